"""From the supervisor's process to an actor's: what a fork must leave behind, and what it must take along."""

import gc
import os
import random
import signal
import sys
import threading
import traceback
from typing import NoReturn

from ratchet import process
from ratchet.actor import ActorSetup
from ratchet.config import outward_variables
from ratchet.logging_setup import close_logging
from ratchet.supervision.spec import ChildSpec

_INHERITED_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGINT, signal.SIGQUIT)


def fork_actor(spec: ChildSpec, setup: ActorSetup) -> int:
    """Fork a process that is this actor until it ends.

    Args:
        spec: What to run.
        setup: What to hand it; its descriptors are all that the process keeps beside the standard ones.

    Returns:
        The process id. Only the parent returns.

    Raises:
        RuntimeError: This process has threads: the fork could inherit a lock that nobody will ever release.
    """
    _require_single_thread()
    parent = os.getpid()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _INHERITED_SIGNALS)
    pid = os.fork()
    if pid != 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return pid
    code = 70
    try:
        process.die_with_parent(parent)
        _become(spec, setup)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        spec.start(setup)
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:  # noqa: BLE001 - the boundary of the process
        traceback.print_exc()
    finally:
        # Never back into the supervisor's frames. They also keep its sockets and selector alive until here, so that no
        # finalizer closes a descriptor that bears another's number by now.
        _end(code)


def _require_single_thread() -> None:
    threads = len(os.listdir("/proc/self/task")) if process.LINUX else threading.active_count()  # noqa: PTH208
    if max(threads, threading.active_count()) != 1:
        raise RuntimeError(f"the supervisor must stay single-threaded to fork, but has {threads} threads")


def _become(spec: ChildSpec, setup: ActorSetup) -> None:
    """Shed what is the supervisor's."""
    signal.set_wakeup_fd(-1)
    for number in _INHERITED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    # A terminal sends these to the whole group; what they mean is for the supervisor to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    close_logging()
    kept = {0, 1, 2, setup.control.fileno(), *setup.fds, *(sock.fileno() for sock in setup.sockets.values())}
    process.close_fds_except(kept)
    _redirect_standard_streams()
    if not spec.reaches_out:
        process.forget_environment(outward_variables(setup.config))
    if spec.subreaper:
        process.become_subreaper()
    process.set_name(process_name(spec.name))
    random.seed()
    gc.enable()


def _redirect_standard_streams() -> None:
    """Nothing to read, and whatever is printed goes where errors go."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if null > 2:
        os.close(null)
    os.dup2(2, 1)


def _end(code: int) -> NoReturn:
    """Leave without the supervisor's exit handlers."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1
    os._exit(code)


def process_name(name: str) -> str:
    """What ps shows for an actor: `ratchet:NAME` in 15 characters, the instance kept whole where it can be."""
    role, _, instance = name.partition(":")
    tail = f":{instance}" if instance else ""
    room = process.NAME_BYTES_MAX - len("ratchet:") - len(tail)
    return f"ratchet:{role[: max(1, room)]}{tail}"[: process.NAME_BYTES_MAX]

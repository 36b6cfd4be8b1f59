"""A machine's own key pair, in a file that only its user may read: made once, never logged."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from ipc.curve import KeyPair, available, key_text, parse_key
from ipc.errors import MalformedError
from ratchet.errors import StartupError


def own_keys(path: Path) -> KeyPair:
    """The key pair in `path`; made where there is none yet. Its folder exists.

    Raises:
        StartupError: It cannot be read or written, others may read it, it holds no key, or libzmq has no CURVE.
    """
    if not available():
        raise StartupError(
            "nodes need CURVE, which the libzmq of this installation was built without: install pyzmq from its wheel "
            "(`pip install --force-reinstall --only-binary :all: pyzmq`), or leave cluster.listen out"
        )
    try:
        with suppress(FileExistsError):
            _make(path)
        return _read(path)
    except OSError as error:
        raise StartupError(f"the key file {path} cannot be used: {error.strerror}") from error


def _make(path: Path) -> None:
    """Write a new one beside it and link it: nobody ever finds half a key, and two who begin find the same."""
    if path.exists():
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key_text(KeyPair.generate().secret) + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(partial)
    finally:
        partial.unlink()


def _read(path: Path) -> KeyPair:
    with path.open(encoding="ascii", errors="replace") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise StartupError(f"others may read the key file {path}: `chmod 600` it, and think of who may have it")
        text = file.read(256).strip()
    try:
        return KeyPair.of_secret(parse_key(text))
    except MalformedError:
        raise StartupError(
            f"the key file {path} holds no key: put its backup back, or remove it to make a new one, which every "
            "node then has to join anew"
        ) from None

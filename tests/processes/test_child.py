"""A child as a process: what it captures, how it fails, how it is stopped, and when it may be used again."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.zygote_harness import MIB, ChildHandle, Run, ZygoteHandle, alive, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc are Linux's")


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteHandle]:
    handle = ZygoteHandle()
    yield handle
    assert handle.close() == 0


class Bench:
    """One task file and a child that runs it."""

    def __init__(self, zygote: ZygoteHandle, path: Path, limits: dict[str, int]) -> None:
        self.path = path
        self.described = zygote.fork().describe(path)
        self.child: ChildHandle = zygote.fork(**limits)

    def run(self, task_id: str, given: dict[str, Any] | None = None, **changes: Any) -> Run:
        return self.child.run(self.described, task_id, given, **changes)

    def order(self, task_id: str, given: dict[str, Any] | None = None, **changes: Any) -> str:
        return self.child.order(self.described, task_id, given, **changes)


class MakeBench:
    def __init__(self, zygote: ZygoteHandle, folder: Path) -> None:
        self._zygote = zygote
        self._folder = folder

    def __call__(self, text: str, **limits: int) -> Bench:
        return Bench(self._zygote, write(self._folder, "tasks.py", text), limits)


@pytest.fixture
def bench(zygote: ZygoteHandle, tmp_path: Path) -> MakeBench:
    return MakeBench(zygote, tmp_path)


# --- what is captured ---------------------------------------------------------------------------------------------


def test_print_logging_warnings_and_the_context_become_records_in_order(bench: MakeBench) -> None:
    run = bench("""
        import logging, sys, warnings

        @task
        def talk(ctx: Context) -> None:
            print("printed", 1)
            print("half", end="")
            logging.getLogger("lib").info("logged %d", 2, extra={"rows": 3})
            print(" line")
            print("to stderr", file=sys.stderr)
            warnings.warn("careful", stacklevel=1)
            ctx.log("said", key={"a": [1, object]})
            ctx.log.debug("details")
            print("unfinished", end="")
    """).run("talk")
    assert run.logs == [
        ("info", "stdout", "printed 1"),
        ("info", "lib", "logged 2"),
        ("info", "stdout", "half line"),
        ("warn", "stderr", "to stderr"),
        ("warn", "warnings", "UserWarning: careful"),
        ("info", "ctx", "said"),
        ("debug", "ctx", "details"),
        ("info", "stdout", "unfinished"),
    ]
    assert run.of("log")[1]["context"] == {"rows": 3}
    assert run.of("log")[5]["context"] == {"key": {"a": [1, "<class 'object'>"]}}


def test_without_trace_there_is_no_debug_record_and_only_the_root_span(bench: MakeBench) -> None:
    run = bench("""
        @task
        def quiet(ctx: Context) -> None:
            ctx.log.debug("details")
            with ctx.span("part"):
                ctx.log("said")
    """).run("quiet", trace=False)
    assert run.logs == [("info", "ctx", "said")]
    assert [span["name"] for span in run.of("span")] == ["quiet"]


def test_structlog_needs_no_configuration(bench: MakeBench) -> None:
    run = bench("""
        import structlog

        @task
        def talk() -> None:
            structlog.get_logger().info("event", rows=3)
    """).run("talk")
    ((level, logger, message),) = run.logs
    assert (level, logger) == ("info", "stdout")
    assert "event" in message
    assert "rows=3" in message


def test_logged_exceptions_carry_their_frames(bench: MakeBench) -> None:
    run = bench("""
        import logging

        @task
        def talk(ctx: Context) -> None:
            try:
                int("x")
            except ValueError:
                ctx.log.exception("from the context", n=1)
                logging.exception("from logging")
    """).run("talk")
    for record in run.of("log"):
        assert record["level"] == "error"
        assert record["error"]["type"] == "ValueError"
        assert record["error"]["frames"][-1]["source"] == 'int("x")'
        assert "Traceback" in record["stack_trace"]


def test_what_bypasses_python_comes_out_of_the_pipes(bench: MakeBench) -> None:
    made = bench("""
        import os, subprocess, sys

        @task
        def raw() -> None:
            os.write(1, b"raw\\n")
            subprocess.run(["echo", "from a subprocess"], check=True)
            subprocess.run(["echo", "through fileno"], stdout=sys.stdout, check=True)
            os.write(2, b"problem\\n")
    """)
    run = made.run("raw")
    assert run.logs == []
    assert made.child.read_out() == b"raw\nfrom a subprocess\nthrough fileno\n"
    assert made.child.read_err() == b"problem\n"
    assert run.done["reusable"]


def test_threads_print_whole_lines_and_their_spans_nest(bench: MakeBench) -> None:
    run = bench("""
        import threading
        from concurrent.futures import ThreadPoolExecutor

        @task
        def work(ctx: Context) -> None:
            def part(n: int) -> None:
                with ctx.span(f"part {n}"):
                    for _ in range(50):
                        print("thread", n, "says", "something")
            with ctx.span("outer"):
                threads = [threading.Thread(target=part, args=(n,)) for n in range(4)]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
                with ThreadPoolExecutor(2) as pool:
                    list(pool.map(part, [4, 5]))
    """).run("work")
    assert len(run.logs) == 300
    assert {message for _, _, message in run.logs} == {f"thread {n} says something" for n in range(6)}
    spans = {span["name"]: span for span in run.of("span")}
    assert spans["work"]["parent_id"] is None
    assert spans["outer"]["parent_id"] == spans["work"]["span_id"]
    assert {spans[f"part {n}"]["parent_id"] for n in range(6)} == {spans["outer"]["span_id"]}


def test_concurrent_coroutines_nest_their_spans_separately(bench: MakeBench) -> None:
    run = bench("""
        import asyncio

        @task
        async def work(ctx: Context) -> str:
            async def branch(name: str) -> None:
                with ctx.span(name):
                    await asyncio.sleep(0.01)
                    with ctx.span(name + " inner"):
                        await asyncio.sleep(0.01)
            await asyncio.gather(branch("a"), branch("b"))
            return "done"
    """).run("work")
    spans = {span["name"]: span for span in run.of("span")}
    assert run.output == "done"
    for name in ("a", "b"):
        assert spans[name]["parent_id"] == spans["work"]["span_id"]
        assert spans[f"{name} inner"]["parent_id"] == spans[name]["span_id"]
    assert spans["work"]["status"] == "ok"


def test_errors_nobody_caught_are_records(bench: MakeBench) -> None:
    run = bench("""
        import threading

        class Loud:
            def __del__(self):
                raise ValueError("in a finalizer")

        @task
        def work() -> None:
            thread = threading.Thread(target=lambda: 1 / 0, name="divider")
            thread.start()
            thread.join()
            Loud()
    """).run("work")
    levels = [(level, logger) for level, logger, _ in run.logs]
    assert levels == [("error", "threading"), ("error", "unraisable")]
    assert run.of("log")[0]["context"] == {"thread": "divider"}


def test_a_huge_message_is_cut_and_says_so(bench: MakeBench) -> None:
    run = bench("""
        @task
        def talk(ctx: Context) -> None:
            ctx.log("x" * 100_000, big="y" * 100_000, nested=[[[[[[[[1]]]]]]]])
    """).run("talk")
    (record,) = run.of("log")
    assert len(record["message"]) < 66_000
    assert "34512 more characters" in record["message"]
    assert len(record["context"]["big"]) < 9_000


def test_a_finalizer_or_repr_that_prints_does_not_break_the_channel(bench: MakeBench) -> None:
    run = bench("""
        class Chatty:
            def __repr__(self):
                print("in repr")
                return "chatty"
            def __del__(self):
                print("in del")

        @task
        def talk(ctx: Context) -> None:
            for _ in range(200):
                ctx.log("message", it=Chatty())
    """).run("talk")
    assert len(run.logs) == 600


def test_processes_that_the_task_forks_speak_through_the_pipes_and_never_through_the_channel(bench: MakeBench) -> None:
    made = bench("""
        import logging, multiprocessing, os, sys

        def part(ctx: Context, n: int) -> None:
            for _ in range(100):
                os.write(1, b"part %d" % n + bytes([10]))
            logging.warning("logged in part %d", n)
            ctx.log("said in a part")
            ctx.progress(1)
            with ctx.span("in a part"):
                pass

        @task
        def work(ctx: Context) -> list[int]:
            print("begun", end=" ")
            fork = multiprocessing.get_context("fork")
            parts = [fork.Process(target=part, args=(ctx, n)) for n in range(4)]
            for one in parts: one.start()
            for one in parts: one.join()
            print("done")
            return [one.exitcode for one in parts]

        @task
        def forget(code: int | str | None) -> int:
            pid = os.fork()
            if pid == 0:
                sys.exit(code)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

        @task
        def come_back(ctx: Context) -> str:
            pid = os.fork()
            if pid == 0:
                return "the fork"
            os.waitpid(pid, 0)
            return "the task"
    """)
    run = made.run("work")
    assert run.output == [0, 0, 0, 0]
    assert run.logs == [("info", "stdout", "begun done")]
    assert not run.of("progress")
    assert sorted(set(made.child.read_out().split(b"\n"))) == [b"", b"part 0", b"part 1", b"part 2", b"part 3"]
    errors = made.child.read_err()
    assert errors.count(b"info ctx: said in a part\n") == 4
    assert b"warn root: logged in part 3\n" in errors
    for code, status in ((3, 3), (None, 0), ("text", 1)):
        assert made.run("forget", {"code": code}).output == status
    assert made.run("come-back").output == "the task"
    assert made.run("come-back").done["reusable"]


def test_progress_carries_its_numbers(bench: MakeBench) -> None:
    run = bench("""
        @task
        def work(ctx: Context) -> None:
            ctx.progress(1, 4, "first")
            ctx.progress(2)
    """).run("work")
    assert [(one["current"], one["total"], one["message"]) for one in run.of("progress")] == [
        (1.0, 4.0, "first"),
        (2.0, None, None),
    ]


# --- how runs end ----------------------------------------------------------------------------------------------------


def test_an_exception_is_described_with_its_chain_and_frames(bench: MakeBench) -> None:
    made = bench("""
        class Broken(Exception):
            pass

        def inner() -> None:
            {}["missing"]

        @task
        def work() -> None:
            try:
                inner()
            except KeyError as error:
                failure = Broken("no luck")
                failure.add_note("try again")
                raise failure from error
    """)
    run = made.run("work")
    failure = run.failure
    assert (failure["category"], failure["type"], failure["message"]) == ("exception", "Broken", "no luck")
    broken, missing = failure["chain"]
    assert broken["notes"] == ["try again"]
    assert (missing["type"], missing["relation"]) == ("KeyError", "cause")
    assert [frame["function"] for frame in missing["frames"]] == ["work", "inner"]
    assert missing["frames"][-1] == {
        "file": str(made.path),
        "line": 7,
        "function": "inner",
        "source": '{}["missing"]',
        "in_task": True,
    }
    assert failure["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert "ratchet_task_" not in failure["stack_trace"]
    assert run.of("span")[-1]["status"] == "error"
    assert run.done["reusable"]


def test_the_members_of_an_exception_group_are_in_the_chain(bench: MakeBench) -> None:
    failure = (
        bench("""
        import asyncio

        async def fail(error: Exception) -> None:
            raise error

        @task
        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail(ValueError("one")))
                group.create_task(fail(OSError("two")))
    """)
        .run("work")
        .failure
    )
    assert failure["type"] == "ExceptionGroup"
    assert [(one["type"], one["relation"]) for one in failure["chain"]] == [
        ("ExceptionGroup", None),
        ("ValueError", "member"),
        ("OSError", "member"),
    ]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("import sys; sys.exit(3)", "SystemExit", "the task called sys.exit(3)"),
        ("raise SystemExit", "SystemExit", "the task called sys.exit(None)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", "KeyboardInterrupt", ""),
        ("def f(): f()\n            f()", "RecursionError", "maximum recursion depth"),
    ],
)
def test_attempts_to_leave_are_failures_and_not_the_end_of_the_process(
    bench: MakeBench, body: str, kind: str, message: str
) -> None:
    made = bench(f"""
        @task
        def work() -> None:
            {body}

        @task
        async def work_async() -> None:
            {body}
    """)
    for task_id in ("work", "work-async"):
        failure = made.run(task_id).failure
        assert (failure["category"], failure["type"]) == ("exception", kind)
        assert message in failure["message"]
        assert len(failure["chain"][0]["frames"]) <= 50


def test_an_exception_that_cannot_be_printed_is_still_a_failure(bench: MakeBench) -> None:
    failure = (
        bench("""
        class Hostile(Exception):
            def __str__(self):
                raise RuntimeError("no")

        @task
        def work() -> None:
            raise Hostile()
    """)
        .run("work")
        .failure
    )
    assert failure["type"] == "Hostile"
    assert "cannot be printed" in failure["message"]


def test_input_that_does_not_fit_names_every_problem(bench: MakeBench) -> None:
    failure = (
        bench("""
        @task
        def work(rows: int, names: list[str], limit: int = 3) -> None: ...
    """)
        .run("work", {"names": ["a", 2], "limt": 5})
        .failure
    )
    assert failure["category"] == "invalid_input"
    assert failure["details"]["problems"] == [
        {"path": "rows", "message": "required, and missing", "given": None},
        {"path": "names[1]", "message": "Input should be a valid string", "given": 2},
        {"path": "limt", "message": "unknown parameter; there are: rows, names, limit", "given": 5},
    ]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("object()", "the output is a builtins.object, which is not JSON"),
        ("{'rows': [1, {2}, open]}", "rows[1] is a builtins.set, which is not JSON"),
        ("{'a': [1.0, float('nan')]}", "a[1] is nan"),
        ("loop()", "[0] is a container that contains itself"),
        ("{'a': '\\ud800'}", "a is text that is not Unicode"),
        ("2 ** 70", "an integer of more than 64 bits"),
        ("'x' * 100_000_000", "4194304 are allowed"),
        ("['x' * 1_000_000] * 100", "4194304 are allowed"),
        ("list(range(2_000_000))", "4194304 are allowed"),
        ("deep()", "nested deeper than 100 levels"),
    ],
)
def test_an_output_that_cannot_be_delivered_is_refused_with_the_place(
    bench: MakeBench, expression: str, message: str
) -> None:
    made = bench(f"""
        def loop():
            it = []
            it.append(it)
            return it

        def deep():
            it = []
            for _ in range(150):
                it = [it]
            return it

        @task
        def work():
            return {expression}
    """)
    failure = made.run("work").failure
    assert failure["category"] == "invalid_output"
    assert message in failure["message"]


def test_an_output_that_does_not_fit_its_annotation_is_refused(bench: MakeBench) -> None:
    failure = (
        bench("""
        @task
        def work() -> dict[str, int]:
            return {"a": 1, "b": "two"}
    """)
        .run("work")
        .failure
    )
    assert failure["category"] == "invalid_output"
    assert failure["details"]["problems"][0]["path"] == "b"


def test_types_beyond_json_go_in_and_come_out(bench: MakeBench) -> None:
    run = bench("""
        from dataclasses import dataclass
        from datetime import datetime, timedelta
        from pathlib import Path
        from pydantic import BaseModel

        class Box(BaseModel):
            size: int
            at: datetime

        @dataclass
        class Pair:
            left: Box
            right: Path

        @task
        def work(box: Box, path: Path, wait: timedelta = timedelta(seconds=2)) -> Pair:
            assert isinstance(box, Box) and isinstance(path, Path) and wait == timedelta(seconds=2)
            return Pair(box, path / "x")
    """).run("work", {"box": {"size": "3", "at": "2026-01-02T03:04:05Z"}, "path": "/tmp"})
    assert run.output == {"left": {"size": 3, "at": "2026-01-02T03:04:05Z"}, "right": "/tmp/x"}


def test_a_file_that_changed_since_it_was_described_is_not_run(bench: MakeBench, tmp_path: Path) -> None:
    made = bench("""
        @task
        def work() -> int:
            return 1
    """)
    write(tmp_path, "tasks.py", "@task\ndef work() -> int:\n    return 2\n")
    run = made.run("work")
    assert (run.failure["category"], run.failure["type"]) == ("task_broken", "VersionChanged")
    assert not run.done["reusable"]


# --- limits ----------------------------------------------------------------------------------------------------------


def test_too_much_memory_is_a_limit_and_the_message_says_so(bench: MakeBench) -> None:
    run = bench(
        """
        @task
        def work() -> int:
            return len(bytearray(500 * 1024 * 1024))

        @task
        def creep() -> None:
            kept = []
            while True:
                kept.append("x" * 1000)
    """,
        memory_bytes=200 * MIB,
    )
    for task_id in ("work", "creep"):
        failed = run.run(task_id)
        assert failed.failure["category"] == "limit"
        assert failed.failure["type"] == "MemoryError"
        assert failed.failure["details"] == {"limit": "memory_bytes", "value": 200 * MIB}
        assert not failed.done["reusable"]


def test_too_large_a_file_is_a_limit(bench: MakeBench, tmp_path: Path) -> None:
    failure = (
        bench(
            """
        @task
        def work(path: str) -> None:
            with open(path, "wb") as file:
                file.write(b"x" * 3_000_000)
    """,
            file_bytes=MIB,
        )
        .run("work", {"path": str(tmp_path / "big")})
        .failure
    )
    assert failure["details"] == {"limit": "file_bytes", "value": MIB}


def test_too_many_open_files_are_a_limit(bench: MakeBench) -> None:
    failure = (
        bench(
            """
        @task
        def work() -> None:
            files = [open("/dev/null") for _ in range(200)]
    """,
            open_files=64,
        )
        .run("work")
        .failure
    )
    assert failure["details"] == {"limit": "open_files", "value": 64}


def test_cpu_time_is_limited_for_each_run_anew(bench: MakeBench) -> None:
    made = bench("""
        import time

        @task
        def spin(seconds: float) -> str:
            end = time.process_time() + seconds
            while time.process_time() < end:
                pass
            return "done"

        @task
        async def spin_async() -> None:
            while True:
                pass
    """)
    assert made.run("spin", {"seconds": 0.8}, cpu_seconds=1).output == "done"
    assert made.run("spin", {"seconds": 0.8}, cpu_seconds=1).output == "done"
    for task_id, given in (("spin", {"seconds": 30}), ("spin-async", {})):
        run = made.run(task_id, given, cpu_seconds=1)
        assert run.failure["details"] == {"limit": "cpu_seconds", "value": 1}


# --- cancelling ------------------------------------------------------------------------------------------------------

STOPPABLE = """
    import asyncio, os, threading, time

    @task
    def loop(ctx: Context) -> None:
        ctx.log("begun")
        while True:
            sum(range(100))

    @task
    def sleep(ctx: Context) -> None:
        ctx.log("begun")
        time.sleep(600)

    @task
    def read(ctx: Context) -> None:
        end, _ = os.pipe()
        ctx.log("begun")
        os.read(end, 1)

    @task
    def lock(ctx: Context) -> None:
        lock = threading.Lock()
        lock.acquire()
        ctx.log("begun")
        lock.acquire()

    @task
    def chatter(ctx: Context) -> None:
        ctx.log("begun")
        while True:
            print("and on and on " * 50)

    @task
    async def sleep_async(ctx: Context) -> None:
        ctx.log("begun")
        await asyncio.sleep(600)

    @task
    async def in_thread(ctx: Context) -> None:
        ctx.log("begun")
        await asyncio.to_thread(time.sleep, 60)

    @task
    def tidy(ctx: Context) -> None:
        try:
            ctx.log("begun")
            time.sleep(600)
        finally:
            ctx.log("tidied up")

    @task
    def stubborn(ctx: Context) -> str:
        try:
            ctx.log("begun")
            time.sleep(600)
        except BaseException:
            pass
        return "finished anyway"

    @task
    def quick() -> str:
        return "quick"
"""


@pytest.mark.parametrize("task_id", ["loop", "sleep", "read", "lock", "chatter", "sleep-async", "in-thread", "tidy"])
def test_a_cancel_ends_whatever_the_task_does(bench: MakeBench, task_id: str) -> None:
    made = bench(STOPPABLE)
    execution_id = made.order(task_id)
    made.child.logged("begun")
    made.child.cancel(execution_id, "changed my mind")
    run = made.child.finish()
    assert run.done["cancelled"]
    assert (run.failure["category"], run.failure["message"]) == ("cancelled", "changed my mind")
    assert not run.done["reusable"]
    if task_id == "tidy":
        assert run.logs == [("info", "ctx", "tidied up")]


def test_a_task_that_finishes_in_spite_of_a_cancel_has_its_output(bench: MakeBench) -> None:
    made = bench(STOPPABLE)
    execution_id = made.order("stubborn")
    made.child.logged("begun")
    made.child.cancel(execution_id)
    run = made.child.finish()
    assert run.output == "finished anyway"
    assert not run.done["cancelled"]


def test_a_cancel_that_comes_too_late_or_for_another_run_does_nothing(bench: MakeBench) -> None:
    made = bench(STOPPABLE)
    for _ in range(50):
        execution_id = made.order("quick")
        made.child.cancel("another execution")
        assert made.child.finish().output == "quick"
        made.child.cancel(execution_id)
        made.child.signal(signal.SIGUSR1)


def test_a_cancel_that_arrives_with_its_order_counts(bench: MakeBench) -> None:
    made = bench(STOPPABLE)
    execution_id = made.order("sleep")
    made.child.cancel(execution_id)
    assert made.child.finish().done["cancelled"]


def test_a_signal_handler_of_the_task_never_cuts_a_message(bench: MakeBench) -> None:
    made = bench("""
        import signal

        class Tick(Exception):
            pass

        def tick(number, frame):
            raise Tick

        @task
        def work(ctx: Context) -> int:
            assert signal.signal(signal.SIGALRM, tick) is signal.SIG_DFL
            assert signal.getsignal(signal.SIGALRM) is tick
            ticks = 0
            for n in range(200):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.0005 + n / 100_000)
                    while True:
                        ctx.log("message " * 500)
                except Tick:
                    ticks += 1
            return ticks
    """)
    assert made.run("work").output == 200
    assert made.run("work").output == 200


def test_a_signal_handler_that_still_fires_when_the_task_has_ended_does_no_harm(bench: MakeBench) -> None:
    made = bench("""
        import signal

        def tick(number, frame):
            raise ValueError("tick")

        @task
        def work() -> str:
            signal.signal(signal.SIGALRM, tick)
            signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
            return "done"
    """)
    for _ in range(100):
        done = made.run("work").done
        assert done.get("output") == "done" or "tick" in done["failure"]["message"]


# --- afterwards ------------------------------------------------------------------------------------------------------


def test_a_run_does_not_see_what_the_one_before_changed(bench: MakeBench) -> None:
    made = bench("""
        import logging, os, random, sys, warnings

        @task
        def change() -> float:
            os.chdir("/tmp")
            os.environ["LEFT"] = "behind"
            os.umask(0)
            sys.path.insert(0, "/nowhere")
            sys.stdout = None
            logging.basicConfig(force=True, level=logging.ERROR)
            logging.disable()
            warnings.simplefilter("error")
            random.seed(1)
            return random.random()

        @task
        def look() -> dict[str, object]:
            drawn = random.random()
            print("seen")
            logging.info("logged")
            mask = os.umask(0o22)
            left = os.environ.get("LEFT")
            return {"cwd": os.getcwd(), "left": left, "mask": mask, "path": sys.path[0], "drawn": drawn}
    """)
    before = made.run("look").output
    first = made.run("change")
    assert first.done["reusable"]
    run = made.run("look")
    assert {**run.output, "drawn": 0} == {**before, "drawn": 0}
    assert run.logs == [("info", "stdout", "seen"), ("info", "root", "logged")]
    assert made.run("change").output == first.output
    assert len({made.run("look").output["drawn"] for _ in range(3)}) == 3


def test_processes_left_behind_are_killed_and_the_child_is_not_used_again(bench: MakeBench) -> None:
    run = bench("""
        import os, subprocess

        @task
        def leave(ctx: Context) -> list[int]:
            left = subprocess.Popen(["sleep", "600"]).pid
            daemon = subprocess.run(
                ["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"], capture_output=True, check=True)
            return [left, int(daemon.stdout)]
    """).run("leave")
    assert not run.done["reusable"]
    assert not [pid for pid in run.output if alive(pid)]
    assert run.logs == [("warn", "ratchet", "the task left 2 process(es) running, which were killed")]


def test_threads_left_behind_are_named_and_the_child_is_not_used_again(bench: MakeBench) -> None:
    run = bench("""
        import threading

        @task
        def leave() -> None:
            threading.Thread(target=threading.Event().wait, name="waiter", daemon=True).start()
    """).run("leave")
    assert not run.done["reusable"]
    assert run.logs == [("warn", "ratchet", "the task left 1 thread(s) running (waiter)")]


def test_a_finished_subprocess_that_nobody_waited_for_is_not_held_against_the_task(bench: MakeBench) -> None:
    run = bench("""
        import os, subprocess

        @task
        def leave() -> None:
            process = subprocess.Popen(["true"])
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    """).run("leave")
    assert run.done["reusable"]


def test_a_child_whose_worker_is_gone_ends_even_in_the_middle_of_a_run(bench: MakeBench) -> None:
    made = bench(STOPPABLE)
    made.order("chatter")
    made.child.logged("begun")
    made.child.peer.close()
    assert made.child.zygote.exited(made.child)["exit_code"] == 69


def test_what_was_said_before_a_crash_is_heard(bench: MakeBench) -> None:
    made = bench("""
        import os

        @task
        def crash(ctx: Context) -> None:
            for n in range(100):
                ctx.log(f"line {n}")
            os._exit(1)
    """)
    made.order("crash")
    heard = [body["message"] for kind, body in made.child.peer.rest() if kind == "log"]
    assert heard == [f"line {n}" for n in range(100)]

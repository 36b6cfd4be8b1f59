"""Eight failures of real tasks in real children, each analysed: class, root cause, frame, and a patch that works."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from actors.worker.outcome import Done, Identity, Stopping, report
from ratchet.analysis import Analysis, analyze, apply_patch
from ratchet.models import Category, Execution, Failure, LogRecord, Source, Status, Task
from tests.processes.zygote_harness import MIB, Run, ZygoteHandle, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")

TASKS = """
    import time
    import urllib.request
    from typing import Any

    from pydantic import BaseModel, ConfigDict

    class Options(BaseModel):
        model_config = ConfigDict(strict=True, extra="forbid")
        width: int
        height: int = 480

    AGGREGATES = {"mean": max, "sum": sum}

    @task
    def resize(options: dict[str, Any]) -> int:
        return Options.model_validate(options).width

    @task
    def deploy(target: dict[str, Any], *, ctx: Context) -> str:
        ctx.log("deploying", fields=sorted(target))
        return target["region"]

    @task
    def summarise(rows: list[int], aggregate: str = "mean") -> int:
        try:
            function = AGGREGATES[aggregate]
        except KeyError as error:
            raise ValueError(f"unknown aggregate {error}; expected one of {', '.join(AGGREGATES)}") from error
        return function(rows)

    @task
    def fetch(url: str) -> int:
        with urllib.request.urlopen(url) as answer:
            return answer.status

    @task
    def wait(ctx: Context) -> None:
        ctx.log("waiting")
        time.sleep(600)

    @task
    def hoard(mebibytes: int) -> int:
        return len(bytearray(mebibytes * 1024 * 1024))

    def _price(order: dict[str, Any]) -> float:
        return order["net"] * (1 + order["tax"] / order["net_rate"])

    def _line(order: dict[str, Any]) -> str:
        return f"{order['id']}: {_price(order)}"

    @task
    def invoice(orders: list[dict[str, Any]]) -> list[str]:
        return [_line(order) for order in orders]
"""


class Workshop:
    """The tasks, and a child that runs them.

    Attributes:
        source: Text of the file.
    """

    def __init__(self, zygote: ZygoteHandle, folder: Path) -> None:
        path = write(folder, "shop.py", TASKS)
        self.source = {str(path): path.read_text(encoding="utf-8")}
        self.described = zygote.fork().describe(path)
        self.child = zygote.fork(memory_bytes=256 * MIB)

    def fails(self, task_id: str, given: dict[str, Any]) -> Analysis:
        """The analysis of the failure of a run."""
        return self.analysis(task_id, given, self.child.run(self.described, task_id, given))

    def analysis(self, task_id: str, given: dict[str, Any], run: Run, stopping: Stopping | None = None) -> Analysis:
        """The analysis of what a child said."""
        ended = report(Identity("exec_1", 1, self.child.pid, 1), Done(run.done), stopping)
        assert ended.failure is not None
        (task,) = (Task.model_validate(one) for one in self.described["tasks"] if one["task_id"] == task_id)
        logs = [LogRecord(sequence=number, **body) for number, body in enumerate(run.of("log"))]
        execution = _execution(task, given, ended.failure)
        return analyze(execution, task=task, log_tail=logs, sources=self.source)

    def patched(self, task_id: str, given: dict[str, Any], analysis: Analysis) -> Any:
        """What the task returns for the input that the next call of the analysis has."""
        assert analysis.suggestions[0].patch is not None
        assert analysis.next is not None
        corrected = apply_patch(given, analysis.suggestions[0].patch)
        assert analysis.next.tool == "execute_task"
        assert analysis.next.arguments["input"] == corrected
        return self.child.run(self.described, task_id, corrected).output


def _execution(task: Task, given: dict[str, Any], failure: Failure) -> Execution:
    return Execution(
        execution_id="exec_1",
        task_id=task.task_id,
        version=task.version,
        status=Status.FAILED,
        input=given,
        failure=failure,
        source=Source(kind="mcp"),
        created_ns=1,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    zygote = ZygoteHandle()
    yield Workshop(zygote, tmp_path)
    assert zygote.close() == 0


def frame(analysis: Analysis) -> tuple[str, str]:
    """Function and source of the failing line."""
    assert analysis.failing_frame is not None
    assert analysis.failing_frame.in_task
    (line,) = (one for one in analysis.failing_frame.source_lines if one.startswith(">"))
    return analysis.failing_frame.function, line.partition("| ")[2].strip()


def test_a_bad_type_in_the_input(shop: Workshop):
    given = {"options": {"width": "640"}}

    analysis = shop.fails("resize", given)

    assert (analysis.category, analysis.retryable.value) == ("bad_input", False)
    assert frame(analysis) == ("resize", "return Options.model_validate(options).width")
    assert shop.patched("resize", given, analysis) == 640


def test_a_missing_field(shop: Workshop):
    given = {"target": {"regoin": "eu", "size": 3}}

    analysis = shop.fails("deploy", given)

    assert (analysis.category, analysis.root_cause.type) == ("bad_input", "KeyError")
    assert frame(analysis) == ("deploy", 'return target["region"]')
    assert analysis.last_log_lines == ['info ctx: deploying {"fields": ["regoin", "size"]}']
    assert shop.patched("deploy", given, analysis) == "eu"


def test_a_near_miss_of_an_enumeration(shop: Workshop):
    given = {"rows": [1, 2], "aggregate": "summ"}

    analysis = shop.fails("summarise", given)

    assert (analysis.category, analysis.error_type, analysis.root_cause.type) == ("bad_input", "ValueError", "KeyError")
    assert frame(analysis) == ("summarise", "function = AGGREGATES[aggregate]")
    assert shop.patched("summarise", given, analysis) == 3


class Failing(BaseHTTPRequestHandler):
    """A service that always fails."""

    def do_GET(self) -> None:
        """Answer with 500."""
        self.send_error(500)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
        """Say nothing."""


def test_a_service_that_fails(shop: Workshop):
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        analysis = shop.fails("fetch", {"url": f"http://127.0.0.1:{server.server_port}/"})
        server.shutdown()
        thread.join()

    assert (analysis.category, analysis.retryable.value) == ("upstream_5xx", True)
    assert analysis.root_cause.type == "urllib.error.HTTPError"
    assert frame(analysis) == ("fetch", "with urllib.request.urlopen(url) as answer:")
    assert analysis.next is not None
    assert analysis.next.tool == "execute_task"


def test_a_refused_connection(shop: Workshop):
    analysis = shop.fails("fetch", {"url": "http://127.0.0.1:9/"})

    assert (analysis.category, analysis.retryable.value) == ("network", True)
    assert (analysis.error_type, analysis.root_cause.type) == ("urllib.error.URLError", "ConnectionRefusedError")
    assert frame(analysis) == ("fetch", "with urllib.request.urlopen(url) as answer:")


def test_a_timeout(shop: Workshop):
    execution_id = shop.child.order(shop.described, "wait")
    shop.child.logged("waiting")
    shop.child.cancel(execution_id, "it ran longer than 2 s")

    analysis = shop.analysis("wait", {}, shop.child.finish(), Stopping(Category.TIMEOUT, "it ran longer than 2 s"))

    assert (analysis.category, analysis.retryable.value) == ("timeout", False)
    assert analysis.root_cause.message == "it ran longer than 2 s"
    assert frame(analysis)[0] == "wait"  # on its way into the sleep, or in it
    assert analysis.next is not None
    assert analysis.next.tool == "get_execution_trace"


def test_memory_that_runs_out(shop: Workshop):
    analysis = shop.fails("hoard", {"mebibytes": 4_096})

    assert (analysis.category, analysis.root_cause.type) == ("resource", "MemoryError")
    assert frame(analysis) == ("hoard", "return len(bytearray(mebibytes * 1024 * 1024))")
    assert "limits.memory_bytes" in analysis.suggestions[0].text


def test_a_bug_three_frames_deep(shop: Workshop):
    analysis = shop.fails("invoice", {"orders": [{"id": "A-1", "net": 2, "tax": 1, "net_rate": 0}]})

    assert (analysis.category, analysis.root_cause.type) == ("bug", "ZeroDivisionError")
    assert frame(analysis) == ("_price", 'return order["net"] * (1 + order["tax"] / order["net_rate"])')
    assert analysis.summary.startswith("ZeroDivisionError: division by zero (shop.py:")
    assert analysis.suggestions[0].kind == "fix_task"

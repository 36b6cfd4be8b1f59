"""Runs to make pages of: what the tools would answer about them, without any process."""

from collections.abc import Sequence

from starlette.responses import Response

from actors.mcp_front.answers import execution_answers, log_answers, trace_answers
from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.answers.log_answers import Fetched, room
from actors.mcp_front.answers.trace_answers import View
from actors.mcp_front.pages.views import Ask
from ratchet.bodies.telemetry import LogPage, SpanPage, StoredLogRecord, StoredSpan
from ratchet.models import LEVELS, ExceptionInfo, Execution, JsonObject, Status
from tests.unit.mcp_examples import WORDING, execution, failure, record, span

# What would act in a page, in an attribute, or on the order of what is read.
EVIL = "</style><script>alert(1)</script><img src=x onerror=alert(2)>\"' onclick='alert(3)'>&lt;{{ 7 * 7 }}"
TURNED = "\u202etxt.exe\u2066 \x1b[31mred\x00\x9b \u2028 \ud800"


def ask_about(execution: Execution, spans: Sequence[StoredSpan], records: Sequence[StoredLogRecord] = ()) -> Ask:
    """Answers of the tools about one execution."""

    async def ask(tool: str, given: JsonObject) -> Answer:
        if tool == "get_execution_trace":
            view = View(span_id=given.get("span_id"), max_spans=given["max_spans"])
            return trace_answers.trace(execution, SpanPage(spans=list(spans), total=len(spans)), view, WORDING)
        if tool == "get_execution_logs":
            form = given.get("format", "concise")
            counts = {level: sum(one.level == level for one in records) for level in LEVELS}
            page = LogPage(records=list(records), counts=counts, next_cursor="1.9", more=True)
            first = next((one for one in records if one.level == "error"), None)
            return log_answers.logs(execution, Fetched(page, room(records, form), first), WORDING, form)
        return execution_answers.status(execution, WORDING)

    return ask


def hostile() -> Ask:
    """About a run that says what would act in a page wherever it can say something."""
    said = EVIL + TURNED
    chain = [ExceptionInfo(type=said, message=said), ExceptionInfo(type=said, message=said, relation="cause")]
    details = {"problems": [{"path": said, "message": said}]}
    failed = execution(
        Status.FAILED,
        task_id=said,
        failure=failure(type=said, message=said, chain=chain, stack_trace=said, details=details),
    )
    http = {"http.request.method": said, "url.full": "javascript:alert(4)", "http.response.status_code": said}
    spans = [
        span("a", 0, 100, name=said, status="error", status_message=said),
        span("b", 10, 40, "a", name=said, attributes={said: said, "nested": {said: [said]}}),
        span('c"><script>alert(5)</script>', 40, 90, "a", name=said, kind="client", attributes=http),
    ]
    error = ExceptionInfo(type=said, message=said)
    records = [
        record(1, said, "error", logger=said, context={said: {said: said}}, error=error, stack_trace=said),
        record(2, said),
    ]
    return ask_about(failed, spans, records)


def concurrent() -> Ask:
    """About a run in which two spans run at the same time and one of them is waited for."""
    spans = [
        span("root", 0, 100, name="main"),
        span("read", 5, 30, "root", name="read", attributes={"rows": 7}),
        span("slow", 35, 95, "root", name="slow"),
        span("inner", 40, 90, "slow", name="inner"),
        span("quick", 35, 60, "root", name="quick", status="error", status_message="no answer"),
    ]
    return ask_about(execution(), spans, [record(1, "read 7 rows")])


def large(count: int = 5_000) -> Ask:
    """About a run with that many spans, in groups of a hundred."""
    groups = [span(f"g{n}", n * 100, n * 100 + 100, "root", name=f"group {n}") for n in range(count // 100)]
    steps = [
        span(f"s{n}", n, n + 1, f"g{n // 100}", name="step", attributes={"n": n})
        for n in range(count - len(groups) - 1)
    ]
    return ask_about(execution(), [span("root", 0, count, name="main"), *groups, *steps])


def text_of(found: Response | Answer) -> str:
    """The HTML of a page."""
    assert isinstance(found, Response)
    return bytes(found.body).decode()

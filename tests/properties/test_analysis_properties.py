"""What holds of every analysis, whatever failed and however."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.analysis import CHARACTERS_MAX, TAXONOMY, Analysis, analyze, apply_patch, fingerprint, repair
from ratchet.analysis.corrections.hints import read_hint
from ratchet.analysis.size import size_of
from ratchet.models import (
    Category,
    ExceptionInfo,
    Execution,
    Failure,
    Frame,
    JsonObject,
    LogRecord,
    ProcessEnd,
    Source,
    Status,
    Task,
)
from ratchet.validation import SchemaValidator

NAMES = st.sampled_from(["rows", "row", "region", "file", "mode", "options", "retries", "retires", "a/b", "api_key"])
WORDS = st.sampled_from(
    [
        "us-east",
        "us-west",
        "us_east",
        "price",
        "pricee",
        "data/a.csv",
        "a.csv",
        "fast",
        "3",
        "true",
        "",
        "é",
        "2026/7/1",
    ]
)
SCALARS = st.one_of(WORDS, st.integers(-20, 20), st.booleans(), st.none(), st.floats(-5, 5), st.text(max_size=20))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
INPUTS = st.dictionaries(NAMES, VALUES, max_size=4)

PIECES = st.sampled_from(
    [
        "unknown region ", "expected one of ", "did you mean ", "must be at most ", "must be between ", " and ", "?",
        ", ", "'", '"', "[", "]", "not in ", "available: ", "is required", "1 validation error for X\n", "rows\n  ",
        "Field required [type=missing, input_value={}, input_type=dict]", "No such file or directory: ", "status 503 ",
    ]
)  # fmt: skip
MESSAGES = st.lists(
    st.one_of(PIECES, WORDS, NAMES, st.integers(-99, 99).map(str), st.text(max_size=9)), max_size=12
).map("".join)
TYPES = st.sampled_from(
    [
        "KeyError", "ValueError", "FileNotFoundError", "ConnectionError", "TimeoutError", "ExceptionGroup", "OSError",
        "asyncio.exceptions.CancelledError", "pydantic_core._pydantic_core.ValidationError", "OrderError", "x.y.Z", "",
    ]
)  # fmt: skip
FACTS = st.dictionaries(
    st.sampled_from(["errno", "http_status", "filename", "key", "name", "retry_after", "other"]), SCALARS, max_size=3
)
FRAMES = st.builds(
    Frame,
    file=st.sampled_from(["/tasks/a.py", "/tasks/lib/__init__.py", "/usr/lib/x.py", "<string>", ""]),
    line=st.integers(-1, 40),
    function=st.sampled_from(["f", "g", "C.method"]),
    source=st.one_of(st.none(), st.sampled_from(["raise ValueError(x)", "return rows[key]", ""])),
    in_task=st.booleans(),
)
EXCEPTIONS = st.builds(
    ExceptionInfo,
    type=TYPES,
    message=MESSAGES,
    frames=st.lists(FRAMES, max_size=4),
    relation=st.sampled_from([None, "cause", "context", "member"]),
    notes=st.lists(MESSAGES, max_size=2),
    bases=st.lists(TYPES, max_size=2),
    facts=FACTS,
)
PROCESSES = st.builds(
    ProcessEnd,
    process=st.sampled_from(["child", "worker:1", ""]),
    pid=st.integers(1, 99),
    signal=st.one_of(st.none(), st.integers(1, 64)),
    signal_name=st.sampled_from([None, "SIGKILL", "SIGSEGV", "SIGABRT", "SIGUSR2"]),
    last_lines=st.lists(MESSAGES, max_size=3),
)
PROBLEMS = st.lists(
    st.one_of(
        SCALARS,
        st.fixed_dictionaries({"path": NAMES, "message": MESSAGES, "given": SCALARS}),
        st.just({"path": "rows", "message": "Input should be a valid integer"}),
        st.just({"path": "mode", "message": "required, and missing"}),
    ),
    max_size=3,
)
DETAILS = st.one_of(
    st.dictionaries(st.sampled_from(["problems", "limit", "value", "path", "line"]), SCALARS, max_size=3),
    PROBLEMS.map(lambda problems: {"problems": problems}),
)
FAILURES = st.builds(
    Failure,
    category=st.sampled_from(Category),
    type=TYPES,
    message=MESSAGES,
    chain=st.lists(EXCEPTIONS, max_size=4),
    stack_trace=st.one_of(st.none(), MESSAGES),
    process=st.one_of(st.none(), PROCESSES),
    details=DETAILS,
)
LOGS = st.lists(
    st.builds(
        LogRecord,
        sequence=st.integers(0, 9),
        at_ns=st.just(1),
        level=st.sampled_from(["info", "error"]),
        logger=st.just("ctx"),
        message=MESSAGES,
        context=INPUTS,
    ),
    max_size=3,
)
FIELDS: st.SearchStrategy[JsonObject] = st.sampled_from(
    [
        {"type": "integer", "minimum": 0, "maximum": 10},
        {"type": "string"},
        {"type": "boolean", "default": False},
        {"enum": ["fast", "slow", 3]},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "array", "items": {"type": "string"}},
        {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        {
            "type": "object",
            "properties": {"rows": {"type": "integer"}},
            "required": ["rows"],
            "additionalProperties": False,
        },
        {},
    ]
)


@st.composite
def schemas(draw: st.DrawFn) -> JsonObject:
    """Schemas of inputs as tasks have them."""
    properties = draw(st.dictionaries(NAMES, FIELDS, max_size=4))
    required = [name for name in sorted(properties) if draw(st.booleans())]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": draw(st.booleans()),
    }


def execution(
    failure: Failure | None, given_input: JsonObject, number: int, status: Status = Status.FAILED
) -> Execution:
    return Execution(
        execution_id=f"exec_{number}",
        task_id="demo",
        version="v1",
        status=status,
        input=given_input,
        failure=failure,
        source=Source(kind="mcp"),
        created_ns=number,
        ended_ns=number,
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Execution, Task | None, list[LogRecord], list[Execution]]:
    """A failed execution and everything around it."""
    schema = draw(schemas())
    task = Task(
        task_id="demo",
        function="f",
        path="/tasks/a.py",
        version=draw(st.sampled_from(["v1", "v2"])),
        input_schema=schema,
    )
    others = [
        execution(draw(FAILURES), draw(INPUTS), number)
        if draw(st.booleans())
        else execution(None, draw(INPUTS), number, Status.COMPLETED)
        for number in draw(st.lists(st.integers(0, 9), max_size=3, unique=True))
    ]
    return execution(draw(FAILURES), draw(INPUTS), 5), draw(st.sampled_from([task, task, None])), draw(LOGS), others


@settings(deadline=None, max_examples=200)
@given(cases())
def test_an_analysis_is_made_of_every_failure_and_every_patch_it_offers_leads_to_a_valid_input(
    case: tuple[Execution, Task | None, list[LogRecord], list[Execution]],
):
    failed, task, logs, others = case
    before = copy.deepcopy(failed.input)

    analysis = analyze(failed, task=task, log_tail=logs, earlier=others)

    assert analysis.category in TAXONOMY
    assert size_of(analysis) <= CHARACTERS_MAX
    assert Analysis.model_validate_json(analysis.model_dump_json()) == analysis
    assert failed.input == before
    for suggestion in analysis.suggestions:
        assert (suggestion.kind == "patch_input") == (suggestion.patch is not None)
        if suggestion.patch is not None:
            assert task is not None
            patched = apply_patch(failed.input, suggestion.patch)
            assert SchemaValidator(task.input_schema).problems(patched) == []
            assert json.dumps(patched, sort_keys=True) != json.dumps(failed.input, sort_keys=True)
    if analysis.next is not None and analysis.next.tool == "execute_task":
        assert task is not None


@settings(deadline=None, max_examples=50)
@given(cases())
def test_an_analysis_depends_on_nothing_but_what_it_is_given(
    case: tuple[Execution, Task | None, list[LogRecord], list[Execution]],
):
    failed, task, logs, others = case

    first = analyze(failed, task=task, log_tail=logs, earlier=others)

    assert analyze(failed, task=task, log_tail=logs, earlier=[*reversed(others)]) == first


@settings(deadline=None, max_examples=50)
@given(cases(), st.integers(500, 3_000))
def test_an_analysis_keeps_to_any_budget(
    case: tuple[Execution, Task | None, list[LogRecord], list[Execution]], characters: int
):
    failed, task, logs, others = case

    analysis = analyze(failed, task=task, log_tail=logs, earlier=others, characters_max=max(1_500, characters))

    assert size_of(analysis) <= max(1_500, characters)


@given(INPUTS, schemas())
def test_a_repair_makes_a_valid_input_or_none_at_all(given_input: JsonObject, schema: JsonObject):
    fix = repair(given_input, schema)

    validator = SchemaValidator(schema)
    if fix is not None:
        assert validator.problems(given_input) != []
        assert validator.problems(apply_patch(given_input, fix.patch)) == []


@given(FAILURES, st.integers(1, 500))
def test_a_fingerprint_does_not_depend_on_line_numbers(failure: Failure, shift: int):
    moved = failure.model_copy(
        update={
            "chain": [
                one.model_copy(
                    update={"frames": [frame.model_copy(update={"line": frame.line + shift}) for frame in one.frames]}
                )
                for one in failure.chain
            ]
        }
    )

    assert fingerprint(moved) == fingerprint(failure)


@given(st.uuids(), st.uuids(), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_fingerprint_does_not_depend_on_ids_in_messages(one: Any, other: Any, first: int, second: int):
    marks = {
        fingerprint(Failure(category=Category.EXCEPTION, type="E", message=f"order {number} of {uid} is gone"))
        for uid, number in ((one, first), (other, second))
    }

    assert len(marks) == 1


@given(st.text(max_size=300))
def test_every_message_can_be_read(message: str):
    hint = read_hint(message)

    assert all(name for name in (*hint.meant, *hint.allowed))

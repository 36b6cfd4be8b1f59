"""Corrections of inputs that failures speak for: only what is said, and only what makes a valid input."""

from pathlib import Path
from typing import Any

import pytest

from ratchet.analysis import Analysis, Suggestion, analyze, apply_patch, repair
from ratchet.analysis.corrections.patch import Verifier, add, move, pointer, remove, replace
from ratchet.models import Category, Failure, JsonObject
from ratchet.validation import SchemaValidator
from tests.unit.failing import ANY_OBJECT, TaskFile, completed, failed, logged, raised, task_of

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "file": {"type": "string"},
        "rows": {"type": "integer", "minimum": 1, "maximum": 100},
        "rate": {"type": "number", "exclusiveMinimum": 0},
        "mode": {"enum": ["mean", "sum", "max"]},
        "deep": {"$ref": "#/$defs/Deep"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "flag": {"type": "boolean"},
        "names": {"type": "array", "items": {"type": "string"}},
        "unit": {"type": "string", "default": "mm"},
    },
    "additionalProperties": False,
    "$defs": {
        "Deep": {
            "type": "object",
            "properties": {"level": {"type": "integer"}, "kind": {"type": "string", "default": "plain"}},
            "required": ["kind"],
            "additionalProperties": False,
        }
    },
}


def best(analysis: Analysis) -> Suggestion:
    """The first suggestion, which must be a patch."""
    first = analysis.suggestions[0]
    assert first.kind == "patch_input", analysis.suggestions
    return first


def patches(analysis: Analysis) -> list[Suggestion]:
    return [one for one in analysis.suggestions if one.patch is not None]


def analyzed(failure: Failure, given: JsonObject, *, schema: JsonObject = ANY_OBJECT) -> Analysis:
    execution = failed(failure, given)
    return analyze(execution, task=task_of(execution, schema=schema))


# --- what the schema says -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "patch", "confidence"),
    [
        ({"rows": "3"}, [replace(("rows",), 3)], "high"),
        ({"rows": 3.5}, None, None),
        ({"rows": "three"}, None, None),
        ({"rows": 900}, [replace(("rows",), 100)], "medium"),
        ({"rows": 0}, [replace(("rows",), 1)], "medium"),
        ({"rate": 0}, [replace(("rate",), 1)], "medium"),
        ({"rate": 0.0}, None, None),
        ({"rate": "0.5"}, [replace(("rate",), 0.5)], "high"),
        ({"file": 7}, [replace(("file",), "7")], "high"),
        ({"flag": "true"}, [replace(("flag",), True)], "high"),
        ({"flag": "no"}, [replace(("flag",), False)], "medium"),
        ({"names": "a"}, [replace(("names",), ["a"])], "medium"),
        ({"names": '["a", "b"]'}, [replace(("names",), ["a", "b"])], "high"),
        ({"mode": "SUM"}, [replace(("mode",), "sum")], "high"),
        ({"mode": "meen"}, [replace(("mode",), "mean")], "medium"),
        ({"mode": "median-ish"}, None, None),
        ({"row": 3}, [move(("row",), ("rows",))], "medium"),
        ({"nothing_like_it": 3}, [remove(("nothing_like_it",))], "low"),
        ({"maybe": "3"}, [replace(("maybe",), 3)], "high"),
        ({"deep": {"level": 1}}, [add(("deep", "kind"), "plain")], "medium"),
        (
            {"deep": {"level": "1", "kinds": "x"}},
            [replace(("deep", "level"), 1), move(("deep", "kinds"), ("deep", "kind"))],
            None,
        ),
        ({"rows": 3}, None, None),
    ],
)
def test_a_refused_input_is_repaired_where_the_schema_leaves_no_doubt(
    given: JsonObject, patch: list[JsonObject] | None, confidence: str | None
):
    fix = repair(given, SCHEMA)

    assert (None if fix is None else sorted(fix.patch, key=str)) == (None if patch is None else sorted(patch, key=str))
    if fix is not None:
        assert SchemaValidator(SCHEMA).problems(apply_patch(given, fix.patch)) == []
        assert confidence in (None, fix.confidence)


def test_what_is_no_schema_repairs_nothing():
    assert repair({"a": 1}, {"type": "no such type"}) is None


def test_an_input_that_a_newer_version_of_the_task_refuses_is_repaired(tmp_path: Path):
    file = TaskFile(tmp_path, "def f(rows):\n    raise RuntimeError('gave up')\n")

    assert best(file.analysis("f", {"rows": "3"}, schema=SCHEMA)).patch == [replace(("rows",), 3)]


# --- what pydantic reported ---------------------------------------------------------------------------------------

OPTIONS = """
from typing import Literal
from pydantic import BaseModel, Field

class Options(BaseModel):
    model_config = {"extra": "forbid"}
    retries: int = Field(le=5)
    mode: Literal["fast", "slow"] = "fast"

def f(options):
    Options.model_validate(options)
"""


@pytest.mark.parametrize(
    ("options", "patched"),
    [
        ({"retries": 9}, {"retries": 5}),
        ({"retries": 2, "mode": "slwo"}, {"retries": 2, "mode": "slow"}),
        ({"retires": 2}, {"retries": 2}),
        ({"retires": 2, "mode": "Fast"}, {"retries": 2, "mode": "fast"}),
        ({"retries": 2.0, "mode": "fst"}, {"retries": 2.0, "mode": "fast"}),
    ],
)
def test_what_a_model_within_the_task_refuses_is_traced_to_the_input(
    tmp_path: Path, options: JsonObject, patched: JsonObject
):
    given = {"name": "x", "options": options}
    source = OPTIONS.replace("def f(options)", "def f(name, options)")
    analysis = TaskFile(tmp_path, source).analysis("f", given)

    patch = best(analysis).patch
    assert patch is not None
    assert apply_patch(given, patch) == {"name": "x", "options": patched}
    assert analysis.category == "bad_input"


def test_a_report_that_cannot_be_mended_is_said_and_nothing_is_patched(tmp_path: Path):
    analysis = TaskFile(tmp_path, OPTIONS).analysis("f", {"options": {"retries": "many", "mode": "slwo"}})

    assert patches(analysis) == []
    assert analysis.suggestions[0].kind == "correct_input"
    assert "`options.retries`: Input should be a valid integer" in analysis.suggestions[0].text
    assert analysis.next is not None
    assert analysis.next.tool == "list_available_tasks"


def test_problems_that_the_tasks_own_types_reported_are_mended():
    problems = [{"path": "when", "message": "Input should be a valid date or datetime", "given": "2026/7/1"}]
    failure = raised("no", "InvalidInputError", Category.INVALID_INPUT, details={"problems": problems})

    analysis = analyzed(failure, {"when": "2026/7/1"})

    assert best(analysis).patch == [replace(("when",), "2026-07-01")]


# --- what messages say --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "given", "patch", "confidence"),
    [
        ("unknown region 'eu-wset'; expected one of 'eu-west', 'us-east'", {"region": "eu-wset"}, "eu-west", "medium"),
        ("unknown region 'EU_WEST'; expected one of 'eu-west', 'us-east'", {"region": "EU_WEST"}, "eu-west", "high"),
        ("no region eu-wset: one of eu-west, us-east", {"region": "eu-wset"}, "eu-west", "medium"),
        ("no region 'mras'. Did you mean 'mars'?", {"region": "mras"}, "mars", "high"),
        ("no region 'mars'. Did you mean 'earth'?", {"region": "mars"}, "earth", "low"),
        ("region must be one of ['earth'], not 'mars'", {"region": "mars"}, "earth", "low"),
        ("unknown region 'us-est'; expected one of 'us-east', 'us-west'", {"region": "us-est"}, None, None),
        ("unknown region 'mars'; expected one of 'us-east', 'us-west'", {"region": "mars"}, None, None),
        ("unknown region; expected one of 'eu-west'", {"region": "eu-wset"}, None, None),
    ],
)
def test_a_name_that_the_message_says_is_wrong_is_replaced_by_the_nearest_listed(
    message: str, given: JsonObject, patch: str | None, confidence: str | None
):
    analysis = analyzed(raised(message), given)

    if patch is None:
        assert patches(analysis) == []
    else:
        (found,) = patches(analysis)
        assert (found.patch, found.confidence) == ([replace(("region",), patch)], confidence)


def test_a_name_that_is_right_elsewhere_in_the_input_stays(tmp_path: Path):
    message = "file data.csv: unknown region 'eu-wset'; did you mean 'eu-west'?"

    analysis = analyzed(raised(message), {"file": "data.csv", "region": "eu-wset"})

    assert best(analysis).patch == [replace(("region",), "eu-west")]


def test_a_wrong_name_is_replaced_everywhere():
    analysis = analyzed(
        raised("no column 'pricee'; there are price, name"), {"columns": ["name", "pricee"], "sort": "pricee"}
    )

    assert best(analysis).patch == [replace(("sort",), "price"), replace(("columns", 1), "price")]


@pytest.mark.parametrize(
    ("message", "given", "patch", "confidence"),
    [
        ("retries must be at most 5, got 9", {"retries": 9, "rows": 20}, replace(("retries",), 5), "high"),
        ("retries must be at most 5", {"retries": 9, "rows": 20}, replace(("retries",), 5), "medium"),
        ("9 is too many: at most 5", {"n": 9, "rows": 20}, replace(("n",), 5), "low"),
        ("`n` must be between 0.5 and 1", {"n": 0.25}, replace(("n",), 0.5), "medium"),
        ("retries must be at most 5", {"retries": 3}, None, None),
        ("waited at most 5 seconds", {"retries": 9}, None, None),
    ],
)
def test_a_number_beyond_the_bound_that_the_message_names_is_put_within(
    message: str, given: JsonObject, patch: JsonObject | None, confidence: str | None
):
    found = patches(analyzed(raised(message), given))

    assert [one.patch for one in found] == ([] if patch is None else [[patch]])
    assert [one.confidence for one in found] == ([] if patch is None else [confidence])


def test_a_column_that_is_not_there_is_found_among_those_that_were_logged(tmp_path: Path):
    file = TaskFile(
        tmp_path,
        """
        def f(columns):
            row = {"price": 1, "name": "x"}
            return [row[name] for name in columns]
        """,
    )

    analysis = file.analysis("f", {"columns": ["name", "pricee"]}, logs=[logged("read", columns=["price", "name"])])

    assert best(analysis).patch == [replace(("columns", 1), "price")]
    assert analysis.category == "bad_input"  # although a KeyError looks like a bug


def test_a_misspelt_key_of_a_free_form_object_is_moved(tmp_path: Path):
    file = TaskFile(tmp_path, "def f(options):\n    return options['retries'] + 1\n")

    analysis = file.analysis("f", {"options": {"retires": 3}})

    assert best(analysis).patch == [move(("options", "retires"), ("options", "retries"))]


# --- files --------------------------------------------------------------------------------------------------------

OPENING = """
import pathlib

def f(file):
    folder = pathlib.Path(__import__("os").environ["DATA_OF_TEST"])
    try:
        return open(folder / file)
    except FileNotFoundError as error:
        names = sorted(one.name for one in (folder / file).parent.iterdir())
        error.add_note(f"available: {', '.join(names)}")
        raise
"""


@pytest.mark.parametrize(
    ("file", "expected"),
    [("large-dataset.csv", "large_dataset.csv"), ("./smal.csv", "./small.csv"), ("unlike.csv", None)],
)
def test_a_file_that_is_not_there_is_found_among_its_siblings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, expected: str | None
):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("large_dataset.csv", "small.csv"):
        (folder / name).touch()
    monkeypatch.setenv("DATA_OF_TEST", str(folder))

    analysis = TaskFile(tmp_path, OPENING).analysis("f", {"file": file})

    assert analysis.category == "not_found"
    assert [one.patch for one in patches(analysis)] == ([[replace(("file",), expected)]] if expected else [])


def test_a_path_keeps_its_folder(tmp_path: Path):
    analysis = TaskFile(tmp_path, "def f(file):\n    open(file)\n").analysis(
        "f", {"file": "no/such/sales-2025.csv"}, logs=[logged("listed", files=["sales_2025.csv", "stock.csv"])]
    )

    assert best(analysis).patch == [replace(("file",), "no/such/sales_2025.csv")]


# --- inputs that worked -------------------------------------------------------------------------------------------

BILLING = """
ORDERS = {"A-1": {"total": 2}, "A-2": {}}

def f(order, options=None):
    return ORDERS[order]["total"] + len((options or {"x": 1})["x"])
"""


def test_a_value_that_worked_before_is_a_guess_and_no_call_to_make(tmp_path: Path):
    earlier = [completed({"order": "A-1"}, execution_id="exec_good", task_id="f", created_ns=1)]

    analysis = TaskFile(tmp_path, BILLING).analysis("f", {"order": "A-2"}, earlier=earlier)

    (guess,) = patches(analysis)
    assert (guess.patch, guess.confidence) == ([replace(("order",), "A-1")], "low")
    assert guess.text == 'exec_good completed with another input: `order` was "A-1", not "A-2".'
    assert analysis.category == "bug"
    assert analysis.next is not None
    assert analysis.next.tool == "get_execution_logs"


def test_of_an_input_that_had_the_missing_key_only_that_is_taken(tmp_path: Path):
    source = "def f(options):\n    return options['mode']\n"
    earlier = [completed({"options": {"n": 1, "mode": "fast"}}, task_id="f", created_ns=1)]

    analysis = TaskFile(tmp_path, source).analysis("f", {"options": {"n": 2}}, earlier=earlier)

    (guess,) = patches(analysis)
    assert (guess.patch, guess.confidence) == ([add(("options", "mode"), "fast")], "low")


def test_the_most_similar_input_is_compared(tmp_path: Path):
    earlier = [
        completed({"order": "A-1", "options": {"x": "y"}}, task_id="f", created_ns=2),
        completed({"order": "A-1"}, task_id="f", created_ns=1, execution_id="exec_near"),
    ]

    (guess,) = patches(TaskFile(tmp_path, BILLING).analysis("f", {"order": "A-2"}, earlier=earlier))

    assert guess.text.startswith("exec_near")


def test_secrets_of_other_inputs_are_neither_offered_nor_shown(tmp_path: Path):
    source = "def f(api_key, rows):\n    raise RuntimeError('refused')\n"
    earlier = [completed({"api_key": "k-good", "rows": 1}, task_id="f", created_ns=1)]

    analysis = TaskFile(tmp_path, source).analysis("f", {"api_key": "k-bad", "rows": 1}, earlier=earlier)

    assert patches(analysis) == []
    assert "k-good" not in analysis.model_dump_json()
    assert analysis.changed_since_last_success is not None
    assert analysis.changed_since_last_success.input[0].then == "[redacted]"


# --- verification -------------------------------------------------------------------------------------------------


def test_a_patch_that_breaks_the_schema_is_not_offered():
    schema: JsonObject = {"type": "object", "properties": {"region": {"enum": ["eu-wset", "x"]}}}
    failure = raised("unknown region 'eu-wset'; expected one of 'eu-west'")

    assert patches(analyzed(failure, {"region": "eu-wset"}, schema=schema)) == []


def test_without_the_tasks_schema_nothing_is_offered():
    execution = failed(raised("retries must be at most 5"), {"retries": 9})

    assert patches(analyze(execution, task=None)) == []


@pytest.mark.parametrize(
    "patch",
    [
        [replace(("no", "such"), 1)],
        [{"op": "nonsense", "path": "/a"}],
        [replace(("a",), 1)],  # changes nothing
        [replace(("a",), "x" * 3_000)],
        [],
    ],
)
def test_a_patch_that_does_not_apply_or_changes_nothing_is_not_accepted(patch: list[JsonObject]):
    assert not Verifier({"a": 1}, {"type": "object"}).accepts(patch)


def test_a_patch_leaves_the_document_as_it_is():
    document: dict[str, Any] = {"a": {"b": [1, 2]}}

    patched = apply_patch(document, [replace(("a", "b", 0), 9), add(("a", "c"), {"d": None}), remove(("a", "b", 1))])

    assert patched == {"a": {"b": [9], "c": {"d": None}}}
    assert document == {"a": {"b": [1, 2]}}


def test_a_patch_that_does_not_apply_is_an_error():
    with pytest.raises(ValueError, match="cannot be applied"):
        apply_patch({}, [remove(("a",))])


def test_pointers_escape_what_keys_may_hold():
    assert pointer(("a/b", "m~n", 0)) == "/a~1b/m~0n/0"


# --- single fields, each as the schema of an input has it ---------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "value", "mended"),
    [
        ({"const": "v2"}, "v1", "v2"),
        ({"enum": [1, 2, 3]}, "2", 2),
        ({"enum": [True, False]}, "False", False),
        ({"type": "integer", "exclusiveMaximum": 10}, 12, 9),
        ({"type": "integer", "exclusiveMinimum": 0, "maximum": 5}, -3, 1),
        ({"type": "string", "pattern": "^[a-z]+$"}, " abc ", "abc"),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"anyOf": [{"type": "integer", "maximum": 5}, {"type": "null"}]}, 9, 5),
        ({"type": ["integer", "null"]}, 3.0, 3.0),
        ({"type": "number", "exclusiveMaximum": 1}, 1.5, None),
        ({"type": "string", "pattern": "^[a-z]+$"}, "ABC", None),
        ({"type": "object"}, "[1]", None),
        ({"type": "object"}, "{broken", None),
        ({"type": "number"}, "inf", None),
        ({"type": "integer"}, True, None),
        ({"type": "boolean"}, "perhaps", None),
        ({"multipleOf": 5}, 7, None),
        ({"enum": ["a", "b"]}, ["a"], None),
    ],
)
def test_a_value_is_mended_as_its_schema_says_or_left_alone(declared: JsonObject, value: Any, mended: Any):
    schema: JsonObject = {"type": "object", "properties": {"field": declared}}

    fix = repair({"field": value}, schema)

    if fix is None:
        assert mended is None or SchemaValidator(schema).problems({"field": value}) == []
    else:
        assert fix.patch == [replace(("field",), mended)]


def test_a_required_field_that_can_only_be_one_thing_is_added():
    schema: JsonObject = {"type": "object", "properties": {"kind": {"const": "table"}}, "required": ["kind"]}

    fix = repair({}, schema)

    assert fix is not None
    assert fix.patch == [add(("kind",), "table")]
    assert repair({}, {"type": "object", "properties": {"kind": {}}, "required": ["kind"]}) is None

"""The example tasks, tested as their authors would: plain functions, a recording context, no Ratchet running."""

import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ratchet.errors import InvalidInputError
from ratchet.testing import RecordingContext, run_task

FOLDER = Path(__file__).parents[2] / "examples" / "tasks"
WEATHER = {"file": "seattle-weather.csv"}


@pytest.fixture(autouse=True)
def task_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the tasks is where their own modules are found, as in a child."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(FOLDER)])


@cache
def load(file: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"example_{file}", FOLDER / f"{file}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def task(file: str, name: str | None = None) -> Callable[..., Any]:
    return getattr(load(file), name or file)


def written(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return {"file": str(path)}


def test_a_real_data_set_is_valid_and_its_columns_are_detected() -> None:
    found = run_task(task("validate_csv"), WEATHER)
    types = {column["name"]: column["type"] for column in found["detected_schema"]["columns"]}
    assert (found["valid"], found["rows"], found["errors"]) == (True, 1461, [])
    assert types["date"] == "date"
    assert types["wind"] == "number"
    assert types["weather"] == "text"


def test_a_value_that_does_not_fit_its_column_is_an_error_on_its_line(tmp_path: Path) -> None:
    rows = [f"{number},1.5" for number in range(20)]
    rows[7] = "seven,1.5"
    found = run_task(task("validate_csv"), written(tmp_path, "n,x\n" + "\n".join(rows)))
    assert not found["valid"]
    assert found["errors"] == [{"line": 9, "column": "n", "message": "'seven' is no integer"}]


def test_a_row_with_too_few_fields_is_an_error(tmp_path: Path) -> None:
    found = run_task(task("validate_csv"), written(tmp_path, "a,b\n1,2\n3\n"))
    assert found["errors"][0] == {"line": 3, "column": None, "message": "1 fields where the header has 2"}


def test_a_file_that_is_no_text_is_not_valid(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b\n\xff\xfe,1\n")
    found = run_task(task("validate_csv"), {"file": str(path)})
    assert not found["valid"]
    assert "is not UTF-8 text" in found["errors"][0]["message"]


@pytest.mark.parametrize("text", ["", "a,b\n"])
def test_a_file_without_rows_is_not_valid(tmp_path: Path, text: str) -> None:
    assert not run_task(task("validate_csv"), written(tmp_path, text))["valid"]


def test_the_problems_that_are_named_are_bounded_and_all_are_counted(tmp_path: Path) -> None:
    given = written(tmp_path, "a,b\n" + "1\n" * 30)
    found = run_task(task("validate_csv"), {**given, "max_errors": 5})
    assert (len(found["errors"]), found["error_count"]) == (5, 30)


def test_a_misspelt_data_set_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'seattle-weather\.csv'"):
        run_task(task("validate_csv"), {"file": "seatle-weather.csv"})


def test_validation_tells_how_far_it_is_and_where_its_time_goes() -> None:
    ctx = RecordingContext()
    run_task(task("validate_csv"), WEATHER, context=ctx)
    assert [update.current for update in ctx.progress_updates] == [500, 1000, 1461]
    assert [span.name for span in ctx.spans] == ["read", "detect", "check"]


def test_records_are_grouped_by_the_month_of_the_first_date() -> None:
    schema = run_task(task("validate_csv"), WEATHER)["detected_schema"]
    summary = run_task(task("transform_data"), {**WEATHER, "schema": schema})
    assert summary["columns"][:3] == ["month", "records", "precipitation"]
    assert len(summary["rows"]) == 48
    assert summary["rows"][0][:2] == ["2012-01", 31]
    assert sum(summary["categories"]["weather"].values()) == 1461


def test_groups_and_their_aggregate_can_be_chosen(tmp_path: Path) -> None:
    given = written(tmp_path, "kind,n\na,1\nb,10\na,2\n,5\n")
    schema = run_task(task("validate_csv"), given)["detected_schema"]
    summary = run_task(
        task("transform_data"),
        {**given, "schema": schema, "group_by": "kind", "aggregate": "sum", "save_as": str(tmp_path / "out.json")},
    )
    assert summary["rows"] == [["(missing)", 1, 5], ["a", 2, 3], ["b", 1, 10]]
    assert (tmp_path / "out.json").is_file()


def test_a_schema_of_another_file_is_refused(tmp_path: Path) -> None:
    schema = run_task(task("validate_csv"), WEATHER)["detected_schema"]
    with pytest.raises(ValueError, match="the schema is of another file"):
        run_task(task("transform_data"), {**written(tmp_path, "a,b\n1,2\n"), "schema": schema})


@pytest.mark.parametrize("file", ["seattle-weather.csv", "airports.csv", "us-employment.csv"])
def test_the_pipeline_ends_in_a_pdf_of_several_pages(tmp_path: Path, file: str) -> None:
    schema = run_task(task("validate_csv"), {"file": file})["detected_schema"]
    summary = run_task(task("transform_data"), {"file": file, "schema": schema})
    target = tmp_path / "report.pdf"
    report = run_task(task("generate_report"), {"data": summary, "format": "pdf", "save_as": str(target)})
    assert report["path"] == str(target)
    assert report["pages"] > 2
    assert report["bytes"] == target.stat().st_size
    assert target.read_bytes().startswith(b"%PDF-")
    assert target.read_bytes().rstrip().endswith(b"%%EOF")


def test_a_report_in_another_format_is_refused() -> None:
    summary = {"title": "x", "group_by": "g", "aggregate": "mean", "columns": ["g", "records"], "rows": []}
    with pytest.raises(InvalidInputError, match="format"):
        run_task(task("generate_report"), {"data": summary, "format": "docx"})


def test_a_report_goes_nowhere_but_into_a_pdf_file(tmp_path: Path) -> None:
    summary = {"title": "x", "group_by": "g", "aggregate": "mean", "columns": ["g", "records"], "rows": []}
    with pytest.raises(ValueError, match=r"does not end in \.pdf"):
        run_task(task("generate_report"), {"data": summary, "save_as": str(tmp_path / ".bashrc")})


def test_measurements_are_summarised_by_station() -> None:
    ctx = RecordingContext()
    found = run_task(task("data_processor"), {"file": "large_dataset.csv"}, context=ctx)
    assert found["rows"] == 4000
    assert [one["station"] for one in found["stations"]] == ["harbour", "hilltop", "old-town", "riverside"]
    assert all(one["lowest"] < one["mean"] < one["highest"] for one in found["stations"])
    assert sum(one["missing"] for one in found["stations"]) == 29
    assert [span.name for span in ctx.spans] == ["find", "read", "group", "summarise"]
    assert ctx.progress_updates[-1].current == 4000


def test_one_station_can_be_chosen() -> None:
    found = run_task(task("data_processor"), {"file": "large_dataset.csv", "station": "hilltop"})
    assert [one["station"] for one in found["stations"]] == ["hilltop"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"file": "large-dataset.csv"}, r"did you mean 'large_dataset\.csv'"),
        ({"file": "large_dataset.csv", "station": "oldtown"}, r"there are 'harbour', 'hilltop', 'old-town'"),
        ({"file": "airports.csv"}, "its columns are iata"),
    ],
)
def test_what_is_wrong_with_the_measurements_asked_for_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        run_task(task("data_processor"), given)


def test_hello_greets() -> None:
    assert task("hello")("Ada") == "Hello, Ada!"


def test_slow_count_says_how_far_it_is() -> None:
    ctx = RecordingContext()
    assert run_task(task("slow_count"), {"to": 3, "pause_seconds": 0}, context=ctx) == 3
    assert [update.message for update in ctx.progress_updates] == ["counted to 1", "counted to 2", "counted to 3"]


def test_failing_fails_with_its_cause() -> None:
    failing = task("failing")
    with pytest.raises(Exception, match="order A-2 has no 'total'") as caught:
        run_task(failing)
    assert isinstance(caught.value.__cause__, KeyError)
    assert run_task(failing, {"order": "A-1"}) == "Ada owes 12.50"


@pytest.mark.parametrize(("chance", "fails"), [(0.0, False), (1.0, True)])
def test_flaky_fails_as_often_as_it_is_told(chance: float, *, fails: bool) -> None:
    flaky = task("failing", "flaky")
    if fails:
        with pytest.raises(ConnectionError):
            run_task(flaky, {"chance": chance})
    else:
        assert run_task(flaky, {"chance": chance}) == "this time it worked"

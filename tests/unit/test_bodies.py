"""What bodies refuse before anything is done with it."""

import pytest
from pydantic import ValidationError

from ratchet.bodies.attempts import DescribeFile, FileDescription
from ratchet.bodies.executions import GetExecution
from ratchet.bodies.node_work import FindCode
from ratchet.models import BrokenFile, Model

_NUL = "/tasks/\0.py"


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (DescribeFile, {"path": _NUL}),
        (FindCode, {"files": [_NUL]}),
        (BrokenFile, {"path": _NUL, "error_type": "ImportCrash", "message": ""}),
        (FileDescription, {"version": "1", "files": [_NUL], "tasks": []}),
        (FileDescription, {"version": "1", "files": [], "tasks": [], "absent": [_NUL]}),
    ],
)
def test_a_path_that_the_system_would_raise_on_is_refused(model: type[Model], fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        model.model_validate(fields)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    body = f'{{"execution_id": "1", "wait_seconds": {number}}}'
    with pytest.raises(ValidationError, match="finite number"):
        GetExecution.model_validate_json(body)

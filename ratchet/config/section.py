"""What every part of the configuration has in common."""

from typing import Any, cast

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A mapping of the file: immutable, unknown keys are errors, and a key left empty means its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, data: Any) -> Any:
        # Commenting out everything below `workers:` leaves a null behind.
        if not isinstance(data, dict):
            return data
        given = cast("dict[str, Any]", data)
        return {name: value for name, value in given.items() if value is not None or name not in cls.model_fields}

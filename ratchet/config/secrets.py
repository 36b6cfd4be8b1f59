"""A configured secret: kept as the template that was written, resolved only in the process that uses it.

Neither repr, str, nor a dump of the model shows what it holds, so a configuration can be logged and handed to actors
that have no business knowing the value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ratchet.config.template import TemplateError, references, substitute
from ratchet.errors import ConfigError

HIDDEN: Final = "********"


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A value that is never shown.

    Attributes:
        template: What the file says, usually `${NAME}`.
        place: `file:line: key.path` of it, for messages; "" where it comes from no file.
    """

    template: str
    place: str = ""

    def resolve(self, environ: Mapping[str, str]) -> str:
        """The value itself.

        Raises:
            ConfigError: A variable is not set.
        """
        try:
            return substitute(self.template, environ)
        except TemplateError as error:
            raise ConfigError(f"{self.place}: {error}" if self.place else str(error)) from None

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables it takes; none where the file holds the value itself."""
        return tuple(reference.name for reference in references(self.template))

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Takes a `Secret` as it is and text as a template; dumps as asterisks."""
        from_text = core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))
        return core_schema.union_schema(
            [core_schema.is_instance_schema(cls), from_text],
            custom_error_type="secret",
            custom_error_message="it must be text",
            serialization=core_schema.to_string_ser_schema(),
        )

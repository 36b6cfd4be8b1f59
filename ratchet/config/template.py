"""`${NAME}` and `${NAME:-default}` in configuration values; `$${` stands for `${` itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_BODY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


class TemplateError(Exception):
    """A template cannot be filled in. The message names variables, and never shows their values or the template."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One variable that a template takes."""

    name: str
    default: str | None


def references(template: str) -> tuple[Reference, ...]:
    """The variables of a template, in order.

    Raises:
        TemplateError: Something that starts as a reference is none.
    """
    return tuple(_reference(match) for match in _REFERENCE.finditer(template) if match[0] != "$${")


def substitute(template: str, environ: Mapping[str, str]) -> str:
    """The template with its references replaced. What is put in is not looked at again.

    As in a shell, the default stands in for a variable that is unset or empty.

    Raises:
        TemplateError: A variable is not set and has no default, or a reference is malformed.
    """

    def value(match: re.Match[str]) -> str:
        return "${" if match[0] == "$${" else _value(_reference(match), environ)

    return _REFERENCE.sub(value, template)


def _value(reference: Reference, environ: Mapping[str, str]) -> str:
    found = environ.get(reference.name)
    if reference.default is not None:
        return found or reference.default
    if found is None:
        raise TemplateError(
            f"the environment variable {reference.name} is not set; set it, or give a default as in "
            f"${{{reference.name}:-default}}"
        )
    return found


def _reference(match: re.Match[str]) -> Reference:
    body = _BODY.fullmatch(match[1])
    if body is None or not match[0].endswith("}"):
        raise TemplateError(
            "a reference to a variable must look like ${NAME} or ${NAME:-default}; write $${ for a plain ${"
        )
    return Reference(name=body[1], default=body[2])

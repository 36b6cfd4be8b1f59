"""Puts the environment into what the file says; secrets stay templates, checked to be resolvable."""

from collections.abc import Mapping
from typing import Any, cast

from ratchet.config.keys import is_secret
from ratchet.config.problems import KeyPath, Problems
from ratchet.config.secrets import Secret
from ratchet.config.template import TemplateError, substitute


def interpolate(data: Any, environ: Mapping[str, str], problems: Problems, path: KeyPath = ()) -> Any:
    """The data with `${NAME}` replaced in every text, but `Secret`s where the model keeps secrets.

    What cannot be filled in is added to `problems` and left as it was.
    """
    if isinstance(data, dict):
        mapping = cast("dict[str, Any]", data)
        return {name: interpolate(value, environ, problems, (*path, name)) for name, value in mapping.items()}
    if isinstance(data, list):
        items = cast("list[Any]", data)
        return [interpolate(value, environ, problems, (*path, index)) for index, value in enumerate(items)]
    return _text(data, environ, problems, path) if isinstance(data, str) else data


def _text(template: str, environ: Mapping[str, str], problems: Problems, path: KeyPath) -> str | Secret:
    filled = template
    try:
        filled = substitute(template, environ)
    except TemplateError as error:
        problems.add(path, str(error))
    return Secret(template, problems.source.place(path)) if is_secret(path) else filled

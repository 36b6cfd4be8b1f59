"""From a project to its configuration, or to everything that is wrong with it."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ratchet.config.access import check_access
from ratchet.config.document import Document, read_document
from ratchet.config.enforcement import refuse_unenforced, without_effect
from ratchet.config.explain import explain
from ratchet.config.interpolation import interpolate
from ratchet.config.keys import is_secret
from ratchet.config.limits import check_rate_limits
from ratchet.config.model import Config
from ratchet.config.outward import check_outward
from ratchet.config.places import default_data_dir
from ratchet.config.problems import Problems, Source
from ratchet.config.settle import settle_places, settle_same
from ratchet.project import Project


def load_config(project: Project, *, environ: Mapping[str, str]) -> Config:
    """The project's configuration: defaults, the file, `--data-dir`.

    Paths are absolute; secrets are templates that `Secret.resolve` fills in; `warnings` says what to tell the user.

    Raises:
        ConfigError: The file cannot be read or used. One line a problem: `file:line: key: what, given what, what then`.
    """
    path = project.config_path
    document = Document({}, Source()) if path is None else read_document(path, as_text=is_secret)
    problems = Problems(document.source)
    data: dict[str, Any] = interpolate(document.data, environ, problems)
    config = _validate(_with_data_dir(data, project, environ), problems)
    if config is None:
        problems.raise_if_any()
        raise AssertionError("an invalid configuration has problems")
    config = settle_same(config, document, problems)
    config, missing = settle_places(config, project.folder, environ, problems)
    refuse_unenforced(config, problems)
    check_rate_limits(config, problems)
    check_outward(config, problems)
    exposed = check_access(config, environ, problems)
    problems.raise_if_any()
    return config.with_warnings((*missing, *exposed, *without_effect(config, problems)))


def _with_data_dir(data: dict[str, Any], project: Project, environ: Mapping[str, str]) -> dict[str, Any]:
    if project.data_dir_override is not None:
        return {**data, "data_dir": project.data_dir_override}
    if data.get("data_dir") is None:
        return {**data, "data_dir": default_data_dir(project.folder, project.key, environ)}
    return data


def _validate(data: dict[str, Any], problems: Problems) -> Config | None:
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        explain(error, problems)
        return None

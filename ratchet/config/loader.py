"""From a project to its configuration."""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from ratchet.config.model import Config
from ratchet.errors import ConfigError
from ratchet.project import Project


def load_config(project: Project, *, environ: Mapping[str, str]) -> Config:
    """The project's configuration.

    Raises:
        ConfigError: It cannot be used.
    """
    data: dict[str, Any] = (yaml.safe_load(project.config_path.read_bytes()) if project.config_path else {}) or {}
    data.setdefault("data_dir", str(project.data_dir_override or project.folder / ".ratchet"))
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(str(error)) from error

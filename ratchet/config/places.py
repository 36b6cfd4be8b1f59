"""Files and folders that the configuration names: made absolute against the project's folder."""

import os
import pwd
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator


def _not_blank(value: Any) -> Any:
    # Path("") is the working directory: not what an empty variable in `${DATA}` was meant to say.
    if isinstance(value, str) and not value.strip():
        raise ValueError("must not be empty")
    return value


Place = Annotated[Path, BeforeValidator(_not_blank)]
"""A path as written: relative to the project's folder, or from `~`."""


def absolute(place: Path, folder: Path, environ: Mapping[str, str]) -> Path:
    """The place with `~` expanded, relative to `folder`, without `..`; symbolic links stay as they are."""
    if place.parts[:1] == ("~",):
        place = home(environ).joinpath(*place.parts[1:])
    # Path.resolve() would follow links, and turn a virtual environment's python into the system's.
    return Path(os.path.normpath(folder / place))


def program(place: Path, folder: Path, environ: Mapping[str, str]) -> Path:
    """Like `absolute`, but a bare name is looked for on the search path first."""
    if len(place.parts) == 1 and not place.is_absolute():
        found = shutil.which(place.name, path=environ.get("PATH", os.defpath))
        if found is not None:
            return absolute(Path(found), folder, environ)
    return absolute(place, folder, environ)


def default_data_dir(folder: Path, key: str, environ: Mapping[str, str]) -> Path:
    """Where a project's data goes when nothing says otherwise: per user, named after the folder and the project's key.

    Args:
        folder: The project's folder.
        key: `Project.key`, since two projects may have folders of one name, or share one folder.
        environ: The environment, for `XDG_DATA_HOME` (which must be absolute, or is ignored as its standard says).
    """
    if sys.platform == "darwin":
        base = home(environ) / "Library" / "Application Support"
    else:
        named = Path(environ.get("XDG_DATA_HOME", ""))
        base = named if named.is_absolute() else home(environ) / ".local" / "share"
    name = re.sub(r"[^\w.-]+", "-", folder.name).strip("-.")[:40] or "root"
    return base / "ratchet" / f"{name}-{key[:8]}"


def home(environ: Mapping[str, str]) -> Path:
    """The user's home directory; asks the user database when the environment does not say."""
    return Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)

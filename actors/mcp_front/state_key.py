"""The key that seals what clients carry from one call to the next: one for a project, whichever front reads it back."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from ratchet.errors import ProjectError

NAME: Final = "request-state.key"
_BYTES: Final = 32


def project_key(data_dir: Path) -> bytes:
    """The project's key; the first front makes it, for its user alone.

    Raises:
        ProjectError: It cannot be read or made.
    """
    path = data_dir / NAME
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise ProjectError(f"{path} cannot be used ({error.strerror or error}): check data_dir") from error
    if len(key) != _BYTES:
        raise ProjectError(f"{path} has {len(key)} bytes and should have {_BYTES}: remove it, and a new one is made")
    return key


def _make(path: Path) -> None:
    """Written whole under another name first: several fronts may start at once, and one of them wins."""
    file, name = tempfile.mkstemp(dir=path.parent, prefix=f".{NAME}.")  # 0600
    try:
        with os.fdopen(file, "wb") as made:
            made.write(secrets.token_bytes(_BYTES))
            made.flush()
            os.fsync(made.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink(missing_ok=True)

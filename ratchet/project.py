"""Which project a command belongs to, and where its supervisor is found.

Owns: the folder, the configuration file's place and digest, the key, the private runtime directory. Deliberately does
not know what the configuration says. `ratchet stdio` imports this before it may answer anything, so it loads nothing
beyond `os`, `hashlib` and the error tree: pathlib alone costs as much as all the rest, and waits until a path is asked
for.
"""

# pathlib is what this module avoids importing:
# ruff: noqa: PTH100, PTH102, PTH112, PTH116, PTH117, PTH118, PTH119, PTH120, PTH123

from __future__ import annotations

import hashlib
import os
import stat
import sys

from ratchet.errors import ProjectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONFIG_NAME = "ratchet.yaml"
CONFIG_BYTES_MAX = 1024 * 1024
# sun_path without its final NUL; Darwin's is shorter.
SOCKET_PATH_BYTES_MAX = 103 if sys.platform == "darwin" else 107
_SOCKET_NAME = "supervisor.sock"
_PRIVATE = 0o700


class Project:
    """One folder and its supervisor: immutable, picklable.

    Attributes:
        config_digest: SHA-256 of the configuration file's bytes and of `--data-dir`.
        key: 16 hexadecimal digits that tell projects of one user apart.
    """

    __slots__ = ("_config_path", "_data_dir_override", "_folder", "_runtime_dir", "config_digest", "key")

    def __init__(
        self,
        *,
        folder: str | os.PathLike[str],
        config_path: str | os.PathLike[str] | None,
        config_digest: str,
        data_dir_override: str | os.PathLike[str] | None,
        key: str,
        runtime_dir: str | os.PathLike[str],
    ) -> None:
        self._folder = os.fspath(folder)
        self._config_path = None if config_path is None else os.fspath(config_path)
        self._data_dir_override = None if data_dir_override is None else os.fspath(data_dir_override)
        self._runtime_dir = os.fspath(runtime_dir)
        self.config_digest = config_digest
        self.key = key

    def __repr__(self) -> str:
        return f"Project(folder={self._folder!r}, config_path={self._config_path!r}, key={self.key!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Project) and self._state() == other._state()

    def __hash__(self) -> int:
        return hash(self._state())

    def _state(self) -> tuple[str | None, ...]:
        return (
            self._folder,
            self._config_path,
            self.config_digest,
            self._data_dir_override,
            self.key,
            self._runtime_dir,
        )

    @property
    def folder(self) -> Path:
        """Where relative paths of the configuration resolve: the file's folder, else the working directory."""
        return _path(self._folder)

    @property
    def config_path(self) -> Path | None:
        """The configuration file, absolute; None where there is none and defaults apply."""
        return None if self._config_path is None else _path(self._config_path)

    @property
    def config_address(self) -> str | None:
        """`config_path` as text, for whoever cannot afford pathlib."""
        return self._config_path

    @property
    def data_dir_override(self) -> Path | None:
        """What `--data-dir` said, absolute."""
        return None if self._data_dir_override is None else _path(self._data_dir_override)

    @property
    def runtime_dir(self) -> Path:
        """Directory of sockets and the lock: ours alone (mode 0700)."""
        return _path(self._runtime_dir)

    @property
    def control_path(self) -> Path:
        """The supervisor's Unix socket."""
        return _path(self.control_address)

    @property
    def control_address(self) -> str:
        """`control_path` as text, for whoever cannot afford pathlib."""
        return f"{self._runtime_dir}/{_SOCKET_NAME}"

    @property
    def lock_path(self) -> Path:
        """The file whose flock elects the one supervisor."""
        return _path(self.lock_address)

    @property
    def lock_address(self) -> str:
        """`lock_path` as text, for whoever cannot afford pathlib."""
        return f"{self._runtime_dir}/lock"

    @property
    def hub_endpoint(self) -> str:
        """ZeroMQ endpoint of the hub."""
        return f"ipc://{self._runtime_dir}/hub.sock"


def find_project(
    config: str | None, data_dir: str | None, environ: Mapping[str, str], cwd: str | os.PathLike[str]
) -> Project:
    """The project that these arguments name; creates its runtime directory.

    Args:
        config: `--config`; else `RATCHET_CONFIG`, else `ratchet.yaml` in `cwd`, else no file at all.
        data_dir: `--data-dir`, relative to `cwd`.
        environ: The environment to look into.
        cwd: The working directory.

    Raises:
        ProjectError: A file that was named does not exist or cannot be read, or the runtime directory is not safe.
    """
    config_path = _config_path(config, environ, os.fspath(cwd))
    folder = os.path.abspath(cwd) if config_path is None else os.path.dirname(config_path)
    if data_dir == "":
        raise ProjectError("--data-dir is empty: name a directory")
    override = None if data_dir is None else _absolute(data_dir, environ, os.fspath(cwd))
    content = b"" if config_path is None else _content(config_path)
    key = _key(folder, config_path, override)
    return Project(
        folder=folder,
        config_path=config_path,
        config_digest=_digest(content, os.fsencode(override or "")),
        data_dir_override=override,
        key=key,
        runtime_dir=_runtime_dir(key, environ),
    )


def _path(text: str) -> Path:
    from pathlib import Path

    return Path(text)


def _absolute(text: str, environ: Mapping[str, str], cwd: str) -> str:
    # An agent's configuration passes "~" through no shell, so it is expanded here.
    home = environ.get("HOME")
    if home and (text == "~" or text.startswith("~/")):
        text = home + text[1:]
    return os.path.abspath(os.path.join(cwd, text))


def _config_path(config: str | None, environ: Mapping[str, str], cwd: str) -> str | None:
    named, by = (config, "--config") if config is not None else (environ.get("RATCHET_CONFIG"), "RATCHET_CONFIG")
    if config is None and not named:
        default = os.path.join(os.path.abspath(cwd), CONFIG_NAME)
        return default if os.path.lexists(default) else None
    if not named:
        raise ProjectError(f"{by} is empty: name a configuration file")
    path = _absolute(named, environ, cwd)
    if not os.path.lexists(path):
        raise ProjectError(
            f"{by} names {named!r}, but there is no file {path}: correct the path, or leave {by} out to use "
            f"{CONFIG_NAME} in the working directory"
        )
    if os.path.isdir(path):
        raise ProjectError(f"{by} names {named!r}, which is a directory: name the file, such as {path}/{CONFIG_NAME}")
    return path


def _content(path: str) -> bytes:
    """The file's bytes, one more than it may have at most: the loader says what is wrong with a longer one."""
    try:
        # A pipe would block, and could be read only once although every process reads the file.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ProjectError(f"{path} is not a regular file: the configuration must be one")
        with open(path, "rb") as file:
            return file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from error


def _digest(*parts: bytes) -> str:
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.hexdigest()


def _key(folder: str, config_path: str | None, override: str | None) -> str:
    """A folder is one project whether or not it has a `ratchet.yaml` yet; another file in it is another project."""
    place = os.path.realpath(folder)
    if config_path is not None and os.path.basename(config_path) != CONFIG_NAME:
        place = os.path.join(place, os.path.basename(config_path))
    data_dir = "" if override is None else os.path.realpath(override)
    return _digest(os.fsencode(place), os.fsencode(data_dir))[:16]


def _runtime_dir(key: str, environ: Mapping[str, str]) -> str:
    uid = os.geteuid()
    # Agents often start servers with a handful of variables only; they must find the supervisor that a login shell
    # started, so the place that XDG_RUNTIME_DIR nearly always names is tried without it too.
    for base in (environ.get("XDG_RUNTIME_DIR"), f"/run/user/{uid}"):
        if not base or not os.path.isabs(base) or not _is_ours(base, open_to_others=0o022):
            continue
        place = os.path.join(base, "ratchet", key)
        if len(os.fsencode(os.path.join(place, _SOCKET_NAME))) <= SOCKET_PATH_BYTES_MAX:
            return _create_private(os.path.join(base, "ratchet"), key)
    return _create_private(f"/tmp/ratchet-{uid}", key)  # noqa: S108 - ownership and mode are checked


def _create_private(parent: str, name: str) -> str:
    place = os.path.join(parent, name)
    for directory in (parent, place):
        try:
            os.mkdir(directory, _PRIVATE)
        except OSError as error:
            if not os.path.lexists(directory):
                raise ProjectError(f"the runtime directory {directory} cannot be created: {error.strerror}") from error
        if not _is_ours(directory, open_to_others=0o077):
            raise ProjectError(
                f"{directory} cannot hold sockets: it must be a directory (no symbolic link) that user {os.geteuid()} "
                "owns and nobody else may enter (mode 0700); remove it, or correct its owner and mode"
            )
    return place


def _is_ours(directory: str, *, open_to_others: int) -> bool:
    """Whether this is a directory of ours, no symbolic link, without any of these permission bits."""
    try:
        found = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & open_to_others

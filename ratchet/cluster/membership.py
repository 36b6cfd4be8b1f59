"""What a machine that joined keeps of that: whose node it is, and under which name. Its key is in a file beside it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ipc.curve import CurveClient, key_text, parse_key
from ipc.errors import MalformedError
from ratchet.cluster.keyfile import own_keys
from ratchet.errors import ProjectError

_NAME = "node.json"
_KEY_NAME = "node.key"
_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Membership:
    """A node's place in a cluster.

    Attributes:
        head: `tcp://host:port` of the head.
        node: The name under which it was enrolled.
        head_public: The key that the head has to prove.
        data_dir: Where this is kept, and the node's own key.
    """

    head: str
    node: str
    head_public: bytes
    data_dir: Path

    @property
    def path(self) -> Path:
        """The file that says so."""
        return self.data_dir / _NAME

    def keys(self) -> CurveClient:
        """What a link to the head needs; the secret key is in memory from here on.

        Raises:
            StartupError: The key file cannot be used.
        """
        return CurveClient(self.head_public, own_keys(key_path(self.data_dir)))


def key_path(data_dir: Path) -> Path:
    """Where a node with this data directory has its own key."""
    return data_dir / _KEY_NAME


def read_membership(data_dir: Path) -> Membership | None:
    """What this data directory is a node of; None: of nothing yet.

    Raises:
        ProjectError: The file cannot be read, or is damaged.
    """
    path = data_dir / _NAME
    if not path.exists():
        return None
    try:
        stored = json.loads(path.read_bytes())
        head_public = parse_key(str(stored["head_public_key"]))
        return Membership(str(stored["head"]), str(stored["node"]), head_public, data_dir)
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, MalformedError) as error:
        raise ProjectError(
            f"{path}, which says whose node this machine is, is damaged ({error}): remove it, and join again with a "
            "new token"
        ) from None


def write_membership(member: Membership) -> None:
    """Keep it: whole or not at all.

    Raises:
        ProjectError: It cannot be written.
    """
    body = {"head": member.head, "node": member.node, "head_public_key": key_text(member.head_public)}
    draft = member.path.with_suffix(".new")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w", encoding="utf-8") as file:
            json.dump(body, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(member.path)
    except OSError as error:
        raise ProjectError(f"{member.path} cannot be written: {error.strerror}") from error

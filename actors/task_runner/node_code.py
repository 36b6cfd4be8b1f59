"""Which task versions each worker-only node has: nothing else may run there.

A node is asked, once, what the files of a version are on its side. What it answers holds until it says that its files
have changed, begins another session, or one of its children finds another version even so.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from ipc.errors import IpcError
from ratchet.bodies.node_work import FindCode, FoundCode
from ratchet.errors import RatchetError

log = structlog.stdlib.get_logger("task-runner")

_VERSION_CHARACTERS = 12
_NAMED_MAX = 5  # nodes of which a waiting execution says why they do not take it

Ask = Callable[[str, FindCode], Awaitable[FoundCode]]
Spawn = Callable[[Coroutine[Any, Any, Any], str], object]


class Presence(Protocol):
    """Which nodes there are, and which of them may get work at all."""

    def names(self) -> list[str]:
        """Every node that belongs to this head."""
        ...

    def session(self, node: str) -> object | None:
        """Its session with the hub, another object each time; None where it is not connected."""
        ...

    def refusal(self, node: str) -> str | None:
        """Why it gets no work, whatever its code: `is drained`. None where it may."""
        ...


@dataclass(slots=True)
class _Known:
    """What is known of one node in one of its sessions.

    Attributes:
        code: What it has of every version that it was asked for.
        asked: Versions it was asked for and has not answered.
        unfit: Versions that one of its children found to be others, although the files are the same.
    """

    session: object
    code: dict[str, FoundCode] = field(default_factory=dict[str, FoundCode])
    asked: set[str] = field(default_factory=set[str])
    unfit: set[str] = field(default_factory=set[str])


class NodeCode:
    """What every node has.

    Args:
        presence: Which nodes there are.
        ask: Asks a node by name.
        files_of: The paths within the task folders of the files of a version; None where no task has it by now.
        spawn: Runs something beside the requests.
        changed: Told whenever a node may take what it could not take before.
    """

    def __init__(
        self,
        *,
        presence: Presence,
        ask: Ask,
        files_of: Callable[[str], Sequence[str] | None],
        spawn: Spawn,
        changed: Callable[[], None],
    ) -> None:
        self._presence = presence
        self._ask = ask
        self._files_of = files_of
        self._spawn = spawn
        self._changed = changed
        self._known: dict[str, _Known] = {}

    def forget(self, node: str) -> None:
        """Its files have changed."""
        self._known.pop(node, None)
        self._changed()

    def found_other(self, node: str, version: str) -> None:
        """A child of the node was to run this version, and found another."""
        known = self._known.get(node)
        if known is not None:
            known.unfit.add(version)

    def fits(self, node: str, version: str) -> bool:
        """Whether an attempt of this version may go to this node; where that is not known, it is found out."""
        session = self._presence.session(node)
        if session is None or self._presence.refusal(node) is not None:
            return False
        known = self._known.get(node)
        if known is None or known.session is not session:
            known = self._known[node] = _Known(session)
        code = known.code.get(version)
        if code is None:
            self._find_out(node, known, version)
            return False
        return code.version == version and version not in known.unfit

    def why_not(self, version: str) -> str:
        """In words: why no node takes an attempt of this version. Empty without nodes."""
        names = self._presence.names()
        reasons = [f"node {name} {self._reason(name, version)}" for name in names[:_NAMED_MAX]]
        more = [f"{len(names) - _NAMED_MAX} more nodes"] if len(names) > _NAMED_MAX else []
        return "; ".join(reasons + more)

    def _reason(self, node: str, version: str) -> str:
        refusal = self._presence.refusal(node)
        if refusal is not None:
            return refusal
        if self._presence.session(node) is None:
            return "is not connected"
        known = self._known.get(node)
        code = known.code.get(version) if known is not None else None
        if known is None or code is None:
            return "is being asked"
        if version in known.unfit:
            return "has the same files, but imports others with them"
        return f"lacks {', '.join(code.missing[:3])}" if code.missing else f"has {short(code.version)}"

    def _find_out(self, node: str, known: _Known, version: str) -> None:
        files = self._files_of(version)
        if files is not None and version not in known.asked:
            known.asked.add(version)
            self._spawn(self._learn(node, known, version, files), f"code of {node}")

    async def _learn(self, node: str, known: _Known, version: str, files: Sequence[str]) -> None:
        try:
            code = await self._ask(node, FindCode(files=list(files)))
        except (IpcError, RatchetError) as error:
            log.warning("a node did not say which code it has", node=node, error=str(error))
        else:
            known.code[version] = code  # of no consequence where it is forgotten by now
            log.info("a node said which code it has", node=node, wanted=short(version), has=short(code.version))
            self._changed()
        finally:
            known.asked.discard(version)


def short(version: str) -> str:
    """A version as people are told of it."""
    return version[:_VERSION_CHARACTERS]

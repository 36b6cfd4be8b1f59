"""How tools are called: by their advertised name, by an alias, and in the advice that answers give.

The names of the seed have a dot (`ratchet.execute_task`); several hosts reject or rewrite dots and then hide the whole
server, so an underscore is the default. Whichever is advertised, both and the bare name work.
"""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

_PREFIXES = ("ratchet_", "ratchet.")


@dataclass(frozen=True, slots=True)
class ToolNames:
    """The advertised form of tool names.

    Attributes:
        style: With which prefix.
        withheld: Tools that whoever reads them may not use.
    """

    style: Literal["underscore", "dotted"] = "underscore"
    withheld: frozenset[str] = frozenset()

    def offers(self, name: str) -> bool:
        """Whether advice may name this tool."""
        return name not in self.withheld

    def advertised(self, name: str) -> str:
        """The name as `tools/list` gives it."""
        return f"ratchet.{name}" if self.style == "dotted" else f"ratchet_{name}"

    def call(self, name: str, **arguments: Any) -> str:
        """A call to make, as a phrase: `ratchet_get_execution_status with {"execution_id": "exec_…"}`."""
        given = json.dumps(arguments, ensure_ascii=False)
        return f"{self.advertised(name)} with {given}" if arguments else self.advertised(name)


def bare_name(called: str) -> str:
    """The name in the table for the name that a client used."""
    for prefix in _PREFIXES:
        if called.startswith(prefix):
            return called[len(prefix) :]
    return called


def nearest_name(called: str, known: Iterable[str]) -> str | None:
    """The known bare name most like the one that a client used, or None where nothing is like it."""
    found = difflib.get_close_matches(bare_name(called).lower(), list(known), n=1, cutoff=0.4)
    return found[0] if found else None

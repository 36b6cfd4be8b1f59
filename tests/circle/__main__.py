"""`make circle`: go around in both eras, on stdio and over HTTP, and show what the trace says."""

import asyncio
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path

from tests.circle.circle import Turn, around
from tests.integration.agents import WAYS


def show(turn: Turn) -> None:
    """Print one way around."""
    print(f"\n{turn.way}: {turn.output['title']!r}, processes {turn.output['processes']}")
    for depth, span in turn.spans:
        said = span.get("attributes", {})
        whom = said.get("ratchet.llm.route") or said.get("mcp.server") or ""
        print(f"  {'  ' * depth}{span['name']} {whom}  {span['duration_ms']:.1f} ms")


async def main() -> int:
    """Go around."""
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="circle-") as folder:
        async with aclosing(around(Path(folder) / "project", WAYS)) as turns:
            async for turn in turns:
                show(turn)
                problems += turn.problems()
    print("\n" + ("\n".join(problems) or "The circle is closed."))
    return 1 if problems else 0


sys.exit(asyncio.run(main()))

"""An agent runs a task that asks a provider, MCP servers and the agent's own LLM: `make circle`, in two of its ways."""

from contextlib import aclosing
from pathlib import Path

from tests.circle.circle import around


async def test_a_task_asks_everybody_and_its_trace_is_one_tree(tmp_path: Path) -> None:
    async with aclosing(around(tmp_path / "project", [("stdio", "auto"), ("http", "legacy")])) as turns:
        assert [problem async for turn in turns for problem in turn.problems()] == []

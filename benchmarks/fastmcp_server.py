"""A FastMCP server with the trivial tool, in the server and as a background task: run by `benchmarks.fastmcp_peer`.

`python fastmcp_server.py PORT REDIS_URL` in an environment that has FastMCP and nothing of Ratchet.
"""

# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# FastMCP is not installed where the types are checked.

import sys

from fastmcp import FastMCP
from fastmcp_tasks import TasksExtension


def main(port: int, redis: str) -> None:
    """Serve until a signal comes."""
    server = FastMCP("peer")
    server.add_extension(TasksExtension(url=redis))

    @server.tool
    def echo(text: str) -> str:
        """Return the text."""
        return text

    @server.tool(task=True)
    async def background(text: str) -> str:
        """Return the text."""
        return text

    server.run(transport="http", host="127.0.0.1", port=port, log_level="warning", show_banner=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

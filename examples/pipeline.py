"""A data pipeline, orchestrated from outside over MCP: validate a CSV file, transform it, write a report.

python -m examples.pipeline                          # a Ratchet that runs already (make run), over HTTP
python -m examples.pipeline airports.csv --stdio     # one that is started for this, over stdio
"""

import argparse
import asyncio
import sys
from pathlib import Path

import httpx2

from examples.agent import DEFAULT_URL, Agent, TaskError, leaves, over_http, over_stdio

_CONFIG = Path(__file__).with_name("ratchet.yaml")


async def run_pipeline(agent: Agent, file: str, report: Path) -> str:
    """Turn a CSV file into a PDF, each step an execution of its own.

    Returns:
        The path of the report.

    Raises:
        TaskError: A step failed, or the file is not valid.
    """
    validation = await agent.execute("validate-csv", {"file": file})
    if not validation["valid"]:
        raise TaskError(f"{file} is not valid: {validation['errors']}")
    print(f"  {validation['rows']} rows, {len(validation['detected_schema']['columns'])} columns")

    summary = await agent.execute("transform-data", {"file": file, "schema": validation["detected_schema"]})
    print(f"  {len(summary['rows'])} groups by {summary['group_by']}")

    written = await agent.execute("generate-report", {"data": summary, "format": "pdf", "save_as": str(report)})
    print(f"  {written['pages']} pages, {written['bytes']} bytes: {written['path']}")
    return written["path"]


async def _main(arguments: argparse.Namespace) -> None:
    connection = over_stdio(arguments.config) if arguments.stdio else over_http(arguments.url, arguments.api_key)
    async with connection as agent:
        await run_pipeline(agent, arguments.file, arguments.out)


def main() -> int:
    """Run the pipeline as the command line says; the exit code is 1 where a step failed."""
    parser = argparse.ArgumentParser(prog="python -m examples.pipeline", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", nargs="?", default="seattle-weather.csv", help="a path, or a data set of vega_datasets")
    parser.add_argument("--out", type=Path, default=Path("report.pdf"), help="the report to write")
    parser.add_argument("--url", default=DEFAULT_URL, help="where Ratchet listens (default: %(default)s)")
    parser.add_argument("--api-key", help="for a Ratchet that asks for one")
    parser.add_argument("--stdio", action="store_true", help="start `ratchet stdio` instead of using --url")
    parser.add_argument("--config", type=Path, default=_CONFIG, help="its configuration (default: %(default)s)")
    arguments = parser.parse_args()
    # Tasks do not run in this folder, so they get absolute paths.
    arguments.out = arguments.out.resolve()
    if Path(arguments.file).exists():
        arguments.file = str(Path(arguments.file).resolve())
    problems: list[str] = []
    try:
        asyncio.run(_main(arguments))
    except* TaskError as errors:
        problems += map(str, leaves(errors))
    except* httpx2.ConnectError:
        problems.append(f"nothing answers at {arguments.url}: start Ratchet with `make run`, or use --stdio")
    for problem in problems:
        print(f"pipeline: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

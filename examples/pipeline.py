"""A data pipeline, orchestrated from outside over MCP: validate a CSV file, transform it, write a report.

python -m examples.pipeline                          # a Ratchet that runs already (make run), over HTTP
python -m examples.pipeline airports.csv --stdio     # one that is started for this, over stdio
"""

import sys
from functools import partial
from pathlib import Path

from examples.agent import Agent, TaskError
from examples.program import arguments_of, run


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

    transforming = await agent.poll("transform-data", {"file": file, "schema": validation["detected_schema"]})
    summary = (await agent.completed(transforming))["output"]
    print(f"  {len(summary['rows'])} groups by {summary['group_by']}")

    written = await agent.execute("generate-report", {"data": summary, "format": "pdf", "save_as": str(report)})
    print(f"  {written['pages']} pages, {written['bytes']} bytes: {written['path']}")
    return written["path"]


def main() -> int:
    """Run the pipeline as the command line says; the exit code is 1 where a step failed."""
    parser = arguments_of("pipeline", __doc__)
    parser.add_argument("file", nargs="?", default="seattle-weather.csv", help="a path, or the name of a data set")
    parser.add_argument("--out", type=Path, default=Path("report.pdf"), help="the report to write")
    arguments = parser.parse_args()
    # Tasks run in their project's folder and not in this one, so they get absolute paths.
    report = arguments.out.resolve()
    file = str(Path(arguments.file).resolve()) if Path(arguments.file).exists() else arguments.file
    return run(arguments, partial(run_pipeline, file=file, report=report), "pipeline")


if __name__ == "__main__":
    sys.exit(main())

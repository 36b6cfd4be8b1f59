"""An agent debugs a failing task: it asks why, reads log and trace, and runs it again with a better input.

python -m examples.use_case_debugging                # a Ratchet that runs already (make run), over HTTP
python -m examples.use_case_debugging --stdio        # one that is started for this, over stdio
"""

import sys
from functools import partial

from examples.agent import Agent, Answer
from examples.corrections import corrected, why
from examples.program import arguments_of, run

_TASK = "data-processor"


async def debug(agent: Agent, file: str) -> Answer:
    """Run `data-processor` on a file, and find out what is wrong where it fails.

    Returns:
        The execution that completed: the first one, or the one with the corrected input.

    Raises:
        TaskError: It failed and nothing better is known, or failed again.
    """
    task_input = {"file": file}
    execution = await agent.follow(_TASK, task_input)
    if execution["status"] != "failed":
        return await agent.completed(execution)

    execution_id = execution["execution_id"]
    analysis = await agent.call("analyze_execution_error", execution_id=execution_id)
    logs = await agent.call("get_execution_logs", execution_id=execution_id, level="error")
    trace = await agent.call("get_execution_trace", execution_id=execution_id)
    _tell(analysis, logs, trace)

    print("\nWhat to do")
    better = corrected(task_input, analysis)
    if better is None:
        for suggestion in analysis["suggestions"]:
            print(f"  {suggestion['text']}")
        return await agent.completed(execution)
    print(f"  so once more with {better}")
    return await agent.completed(await agent.follow(_TASK, better, why(analysis)))


def _tell(analysis: Answer, logs: Answer, trace: Answer) -> None:
    print("\nWhy it failed")
    print(f"  {analysis['summary']}")
    print(f"  category: {analysis['category']}")
    retryable = analysis["retryable"]
    print(f"  the same again {'may help' if retryable['value'] else 'does not help'}: {retryable['reason']}")

    print("\nWhat it logged as an error")
    for record in logs["logs"]:
        print(f"  {record['timestamp']}  {record['message']}  {record.get('context', '')}")

    print("\nHow far it came")
    for span in trace["trace"]["spans"]:
        _tell_span(span, depth=1)
    for insight in trace["insights"]:
        print(f"  {insight}")


def _tell_span(span: Answer, depth: int) -> None:
    print(f"{'  ' * depth}{span['name']}: {span['status']} after {span['duration_ms']} ms")
    for child in span["children"]:
        _tell_span(child, depth + 1)


async def _main(agent: Agent, file: str) -> None:
    processed = (await debug(agent, file))["output"]
    print(f"\n{processed['rows']} measurements of {len(processed['stations'])} stations")
    for station in processed["stations"]:
        print(f"  {station['station']:<10} {station['lowest']} to {station['highest']} °C, mean {station['mean']}")


def main() -> int:
    """Debug as the command line says; the exit code is 1 where the task could not be made to work."""
    parser = arguments_of("use_case_debugging", __doc__)
    parser.add_argument("file", nargs="?", default="large-dataset.csv", help="what to process (default: %(default)s)")
    arguments = parser.parse_args()
    return run(arguments, partial(_main, file=arguments.file), "use_case_debugging")


if __name__ == "__main__":
    sys.exit(main())

"""The table of tools: name, description, schemas, annotations, permission, handler. Everything else derives from it."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from actors.mcp_front.answers.answer import MAX_SPANS
from actors.mcp_front.tools import executions, inventory, schemas
from actors.mcp_front.tools.arguments import Arguments
from actors.mcp_front.tools.call import ToolHandler
from actors.mcp_front.tools.later import later
from actors.mcp_front.tools.schemas import flag, gives, integer, listed, moment, number, takes, text
from ratchet.models import LEVELS, JsonObject
from ratchet.policy.client import Permission

Effect = Literal["reads", "runs", "stops"]


@dataclass(frozen=True, slots=True)
class Tool:
    """One row.

    Attributes:
        name: The bare name.
        title: For people.
        description: For a model: what it does, when to use it, what comes back.
        input_schema: Of its arguments.
        output_schema: Of its structured content.
        effect: What it does to the world: only looks, runs a task, or stops an execution.
        permission: What a client needs in the seed's permissions; None: nothing beyond being let in.
        handler: What answers it.
        arguments: The input schema, compiled.
    """

    name: str
    title: str
    description: str
    input_schema: JsonObject
    output_schema: JsonObject
    effect: Effect
    permission: Permission | None
    handler: ToolHandler
    arguments: Arguments = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", Arguments(self.input_schema))


_TOOLS = (
    Tool(
        name="execute_task",
        title="Execute a task",
        description=(
            "Run a task on an input and wait for its result, at most wait_seconds. Returns the output when it "
            "completed, the error and what to do when it failed. If it is still running when the wait is over, the "
            "status is `running`, the execution goes on, and `next` says which call follows it. "
            "list_available_tasks names the tasks and their inputs."
        ),
        input_schema=takes(
            ("task_id", "input"),
            task_id=text("The task's id, such as validate-csv.", minLength=1),
            input={"type": "object", "description": "What the task gets; it must fit the task's input schema."},
            trace=flag("false: store no spans of the task, and its log from level info only.", default=True),
            wait_seconds=number(
                "How long to wait for the end; 0 returns as soon as the execution is accepted. Longer waits than the "
                "server allows are shortened.",
                minimum=0,
                default=executions.WAIT_SECONDS,
            ),
            priority=integer(
                "Where executions wait for a free worker, higher goes first.", minimum=-100, maximum=100, default=0
            ),
            idempotency_key=text(
                "A second call with the same key and input returns the first one's execution instead of a new one.",
                minLength=1,
                maxLength=200,
            ),
            timeout_seconds=number(
                "It must have ended so many seconds after it was accepted, with all its attempts; else it fails.",
                exclusiveMinimum=0,
                maximum=31_536_000,
            ),
            metadata={"type": "object", "description": "Stored with the execution, such as why it is run again."},
        ),
        output_schema=gives(("execution_id", "status"), **schemas.EXECUTION, **schemas.OUTPUT),
        effect="runs",
        permission="can_execute_tasks",
        handler=executions.execute_task,
    ),
    Tool(
        name="get_execution_status",
        title="Get an execution's status",
        description=(
            "Status, progress, output or error, input, attempts and times of one execution. With wait_seconds it waits "
            "for the end, which is better than asking again and again."
        ),
        input_schema=takes(
            ("execution_id",),
            execution_id=schemas.EXECUTION_ID,
            wait_seconds=number("How long to wait for the end.", minimum=0, default=0),
            output_offset=integer("Where to begin in the JSON text of a long output.", minimum=0, default=0),
        ),
        output_schema=gives(("execution_id", "status"), **schemas.STATUS),
        effect="reads",
        permission=None,
        handler=executions.get_execution_status,
    ),
    Tool(
        name="get_execution_logs",
        title="Get an execution's logs",
        description=(
            "What an execution logged and printed, oldest first, with a summary of the whole log (counts by level, the "
            "first error). Repeated lines are shown once with their count. level: error is the quickest way to a cause."
        ),
        input_schema=takes(
            ("execution_id",),
            execution_id=schemas.EXECUTION_ID,
            attempt=schemas.ATTEMPT,
            level=text("This level and above.", enum=list(LEVELS)),
            limit=integer("Records to read.", minimum=1, maximum=1000, default=100),
            cursor=schemas.CURSOR,
            search=text("Only records whose message contains this, in upper or lower case.", minLength=1),
            format=text(
                "concise fits a context window; detailed shows every record with its context and stack trace.",
                enum=["concise", "detailed"],
                default="concise",
            ),
        ),
        output_schema=gives(
            ("execution_id", "logs", "summary"),
            execution_id={"type": "string"},
            status={"type": "string", "enum": schemas.STATUSES},
            logs=listed(schemas.LOG_ENTRY, "Oldest first."),
            summary=schemas.LOG_SUMMARY,
            next_cursor={**schemas.CURSOR_OUT, "description": "Continues after the last record shown."},
            more={"type": "boolean", "description": "Whether more records match now."},
        ),
        effect="reads",
        permission="can_read_logs",
        handler=later("observations", "get_execution_logs"),
    ),
    Tool(
        name="get_execution_trace",
        title="Get an execution's trace",
        description=(
            "Where an execution's time went: its spans as a tree, the critical path, the bottlenecks, and what stands "
            "out in sentences. Of a large trace the failed, critical and longest spans are shown; span_id zooms in."
        ),
        input_schema=takes(
            ("execution_id",),
            execution_id=schemas.EXECUTION_ID,
            attempt=schemas.ATTEMPT,
            include_http_calls=flag("Whether spans of HTTP calls are shown.", default=True),
            span_id=text("Show only this span and what is below it.", minLength=1, maxLength=64),
            max_spans=integer("Spans to show.", minimum=1, maximum=1000, default=MAX_SPANS),
        ),
        output_schema=gives(
            ("execution_id", "trace", "insights"),
            execution_id={"type": "string"},
            status={"type": "string", "enum": schemas.STATUSES},
            trace=schemas.TRACE,
            insights=listed({"type": "string"}, "What stands out."),
            visualization_url=schemas.VISUALIZATION_URL,
        ),
        effect="reads",
        permission="can_read_traces",
        handler=later("observations", "get_execution_trace"),
    ),
    Tool(
        name="inspect_execution",
        title="Look into a running execution",
        description=(
            "What a running execution is doing at this moment: the stack of every thread and coroutine down to the "
            "line, open spans, CPU, memory, and for how long it has been silent. It goes on unharmed. Use it when an "
            "execution takes longer than it should."
        ),
        input_schema=takes(("execution_id",), execution_id=schemas.EXECUTION_ID),
        output_schema=gives(("execution_id", "seen", "stacks"), **schemas.INSPECTION),
        effect="reads",
        permission="can_read_traces",
        handler=later("inspections", "inspect_execution"),
    ),
    Tool(
        name="list_available_tasks",
        title="List the tasks",
        description=(
            "The tasks that execute_task can run, each with what it does and its input in one line, and the task files "
            "that cannot be loaded with their errors. Use filter and include_schemas for the exact schemas of one task."
        ),
        input_schema=takes(
            filter=text("Only tasks whose id, description or tags contain this."),
            include_schemas=flag("With the JSON Schemas of input and output.", default=False),
            cursor=schemas.CURSOR,
        ),
        output_schema=gives(
            ("tasks",),
            tasks=listed(schemas.TASK, "By id."),
            total=integer("Tasks that match."),
            broken_files=listed(
                {"type": "object"}, "Files that cannot be loaded: path, line, origin, error_type, message."
            ),
            broken_files_total={"type": "integer"},
            next_cursor=schemas.CURSOR_OUT,
        ),
        effect="reads",
        permission=None,
        handler=inventory.list_available_tasks,
    ),
    Tool(
        name="list_executions",
        title="List executions",
        description=(
            "Executions, newest first, with input, times and the error of failed ones. Filter by status, task and "
            "time, for example status: failed, since: 1h."
        ),
        input_schema=takes(
            since=moment("Created at or after this: ISO 8601, milliseconds since 1970, or a time ago such as 1h."),
            until=moment("Created before this; same forms."),
            status=text("Only executions in this status.", enum=schemas.STATUSES),
            task_id=text("Only executions of this task.", minLength=1),
            limit=integer("Executions to return.", minimum=1, maximum=100, default=20),
            cursor=schemas.CURSOR,
            sort=text("Order by time of creation.", enum=["newest", "oldest"], default="newest"),
        ),
        output_schema=gives(
            ("executions",),
            executions=listed(schemas.LISTED_EXECUTION, "In the order asked for."),
            next_cursor=schemas.CURSOR_OUT,
        ),
        effect="reads",
        permission=None,
        handler=executions.list_executions,
    ),
    Tool(
        name="analyze_execution_error",
        title="Analyze an execution's error",
        description=(
            "Why an execution failed: the root cause and the failing line, whether to run it again, what to change "
            "(where the input is at fault, a JSON Patch that fits the task's schema), what differs from the last "
            "success, and the exact call to make next. The first thing to call after a failure."
        ),
        input_schema=takes(
            ("execution_id",),
            execution_id=schemas.EXECUTION_ID,
            include_suggestions=flag("Whether it says what to change.", default=True),
        ),
        output_schema=gives(("execution_id", "status", "summary"), **schemas.ANALYSIS),
        effect="reads",
        permission="can_read_logs",
        handler=later("analyses", "analyze_execution_error"),
    ),
    Tool(
        name="cancel_execution",
        title="Cancel an execution",
        description=(
            "Stop an execution: the task is asked first, then its process is ended. Says how it was stopped. "
            "Cancelling one that has ended changes nothing."
        ),
        input_schema=takes(
            ("execution_id",),
            execution_id=schemas.EXECUTION_ID,
            reason=text("Stored with the execution.", maxLength=500, default=""),
        ),
        output_schema=gives(
            ("execution_id", "status"),
            **schemas.EXECUTION,
            stopped_by=schemas.STOPPED_BY,
            message=text("How it was stopped."),
        ),
        effect="stops",
        permission="can_execute_tasks",
        handler=executions.cancel_execution,
    ),
    Tool(
        name="get_system_health",
        title="Get the system's health",
        description=(
            "Whether Ratchet itself is well: its processes, workers, queue, stores, and anything that was dropped. "
            "Use it when calls are refused or slow, not to look at a task's failure."
        ),
        input_schema=takes(),
        output_schema=gives(("status", "version"), **schemas.HEALTH),
        effect="reads",
        permission=None,
        handler=inventory.get_system_health,
    ),
)

TOOLS = MappingProxyType({tool.name: tool for tool in _TOOLS})

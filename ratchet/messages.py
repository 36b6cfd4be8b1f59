"""Every message between Ratchet's processes: one table of procedures, each with its request and reply.

`ratchet.rpc` carries them over `ipc`. A name is `noun.verb`; the role that serves it stands in the row. Bodies are
pydantic models (`ratchet.bodies`, and beside what they are about), validated by the callee.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from ratchet.bodies.asks import AnswerAsk, AnswerTaken, AskCaller, OpenAsks, ReadAsks, Said, WithdrawAsks
from ratchet.bodies.attempts import (
    AttemptOrder,
    AttemptProgress,
    AttemptReport,
    AttemptTaken,
    DescribeFile,
    FileDescription,
    RegisterWorker,
    Reregister,
    StopAttempt,
)
from ratchet.bodies.common import Empty
from ratchet.bodies.executions import (
    CancelExecution,
    Catalogue,
    ExecutionPage,
    GetExecution,
    ListExecutions,
    ListTasks,
    ListTools,
    RunTask,
    Submit,
)
from ratchet.bodies.health import Health
from ratchet.bodies.inspection import InspectAttempt, InspectExecution, Inspection
from ratchet.bodies.news import FollowNews, News
from ratchet.bodies.node_work import FindCode, FoundCode, WorkerExit
from ratchet.bodies.nodes import (
    Enrol,
    Enrolled,
    MakeToken,
    NameNode,
    NodeInfo,
    NodeList,
    NodeState,
    RegisterNode,
    Token,
)
from ratchet.bodies.retention import ListStored, Prune, Pruned, PrunedRows, PruneRows, StoredExecutions
from ratchet.bodies.telemetry import (
    AppendLogs,
    AppendSpans,
    FollowLogs,
    LogBatch,
    LogPage,
    ReadLogs,
    ReadSpans,
    SpanPage,
)
from ratchet.exposure import ExposedTools, ToolsChanged
from ratchet.llm import bodies as llm
from ratchet.models import Execution, Model, RunEnd
from ratchet.policy.requests import Admission, Admit, AppendAudit, AuditPage, ReadAudit

RequestT = TypeVar("RequestT", bound=Model)
ReplyT = TypeVar("ReplyT", bound=Model)


@dataclass(frozen=True, slots=True)
class Procedure(Generic[RequestT, ReplyT]):
    """One row of the table.

    Attributes:
        name: What travels in the envelope's method field.
        role: Who serves it.
        request: Model of the body that goes.
        reply: Model of the body that comes back.
        idempotent: Whether sending it again after a lost connection is harmless.
        event: It is sent one way; there is no reply.
        patient: Nobody waits for the reply: it may travel with whatever goes the same way next.
    """

    name: str
    role: str
    request: type[RequestT]
    reply: type[ReplyT]
    idempotent: bool = True
    event: bool = False
    patient: bool = False


@dataclass(frozen=True, slots=True)
class StreamProcedure(Generic[RequestT, ReplyT]):
    """A row that is answered with a stream of items. It is never asked for again by itself.

    Attributes:
        name: What travels in the envelope's method field.
        role: Who serves it.
        request: Model of the body that goes.
        item: Model of each body that comes back.
    """

    name: str
    role: str
    request: type[RequestT]
    item: type[ReplyT]


SUBMIT = Procedure("executions.submit", "task-runner", Submit, Execution)
GET_EXECUTION = Procedure("executions.get", "task-runner", GetExecution, Execution)
LIST_EXECUTIONS = Procedure("executions.list", "task-runner", ListExecutions, ExecutionPage)
CANCEL_EXECUTION = Procedure("executions.cancel", "task-runner", CancelExecution, Execution)
INSPECT_EXECUTION = Procedure("executions.inspect", "task-runner", InspectExecution, Inspection)
RUN_TASK = Procedure("calls.run", "task-runner", RunTask, RunEnd)
ASK_CALLER = Procedure("asks.ask", "task-runner", AskCaller, Said)
WITHDRAW_ASKS = Procedure("asks.withdraw", "task-runner", WithdrawAsks, Empty, event=True)
READ_ASKS = Procedure("asks.read", "task-runner", ReadAsks, OpenAsks)
ANSWER_ASK = Procedure("asks.answer", "task-runner", AnswerAsk, AnswerTaken)
LIST_TASKS = Procedure("tasks.list", "task-runner", ListTasks, Catalogue)
LIST_TOOLS = Procedure("tasks.tools", "task-runner", ListTools, ExposedTools)
TOOLS_CHANGED = Procedure("tasks.changed", "mcp-front", ToolsChanged, Empty, event=True)
FOLLOW_NEWS = StreamProcedure("news.follow", "task-runner", FollowNews, News)
ADMIT = Procedure("policy.admit", "task-runner", Admit, Admission)
APPEND_AUDIT = Procedure("audit.append", "task-runner", AppendAudit, Empty)
READ_AUDIT = Procedure("audit.read", "task-runner", ReadAudit, AuditPage)
REPORT_ATTEMPT = Procedure("attempts.report", "task-runner", AttemptReport, Empty, patient=True)
ATTEMPT_PROGRESS = Procedure("attempts.progress", "task-runner", AttemptProgress, Empty, event=True)
REREGISTER = Procedure("workers.reregister", "worker", Reregister, Empty, event=True)
# Made anew where it was lost: sent again as it was, it would not have what the worker was ordered meanwhile.
REGISTER_WORKER = Procedure("workers.register", "task-runner", RegisterWorker, Empty, idempotent=False)
RUN_ATTEMPT = Procedure("attempts.run", "worker", AttemptOrder, AttemptTaken, idempotent=False, patient=True)
STOP_ATTEMPT = Procedure("attempts.stop", "worker", StopAttempt, Empty)
INSPECT_ATTEMPT = Procedure("attempts.inspect", "worker", InspectAttempt, Inspection)
DESCRIBE_FILE = Procedure("files.describe", "worker", DescribeFile, FileDescription)
FIND_CODE = Procedure("files.find", "node", FindCode, FoundCode)
CODE_CHANGED = Procedure("nodes.code_changed", "task-runner", Empty, Empty)
WORKER_EXITED = Procedure("nodes.worker_exited", "task-runner", WorkerExit, Empty)
MAKE_TOKEN = Procedure("nodes.token", "task-runner", MakeToken, Token, idempotent=False)
LIST_NODES = Procedure("nodes.list", "task-runner", Empty, NodeList)
DRAIN_NODE = Procedure("nodes.drain", "task-runner", NameNode, NodeInfo)
RESUME_NODE = Procedure("nodes.resume", "task-runner", NameNode, NodeInfo)
REVOKE_NODE = Procedure("nodes.revoke", "task-runner", NameNode, NodeInfo)
ENROL_NODE = Procedure("nodes.enrol", "task-runner", Enrol, Enrolled)
REGISTER_NODE = Procedure("nodes.register", "task-runner", RegisterNode, NodeState)
NODE_CHANGED = Procedure("nodes.changed", "node", NodeState, Empty, event=True)
APPEND_LOGS = Procedure("logs.append", "log-store", AppendLogs, Empty, patient=True)
READ_LOGS = Procedure("logs.read", "log-store", ReadLogs, LogPage)
FOLLOW_LOGS = StreamProcedure("logs.follow", "log-store", FollowLogs, LogBatch)
APPEND_SPANS = Procedure("spans.append", "trace-store", AppendSpans, Empty, patient=True)
READ_SPANS = Procedure("spans.read", "trace-store", ReadSpans, SpanPage)
LIST_LOGGED = Procedure("logs.stored", "log-store", ListStored, StoredExecutions)
PRUNE_LOGS = Procedure("logs.prune", "log-store", PruneRows, PrunedRows)
LIST_TRACED = Procedure("spans.stored", "trace-store", ListStored, StoredExecutions)
PRUNE_SPANS = Procedure("spans.prune", "trace-store", PruneRows, PrunedRows)
PRUNE = Procedure("retention.prune", "task-runner", Prune, Pruned)
LLM_COMPLETE = Procedure("llm.complete", "llm-gateway", llm.Complete, llm.Completion, idempotent=False)
LLM_STREAM = StreamProcedure("llm.stream", "llm-gateway", llm.Complete, llm.Piece)
MCP_LIST_SERVERS = Procedure("mcp.list_servers", "llm-gateway", llm.ListServers, llm.RemoteServers)
MCP_LIST_TOOLS = Procedure("mcp.list_tools", "llm-gateway", llm.ListRemoteTools, llm.RemoteTools)
MCP_CALL_TOOL = Procedure("mcp.call_tool", "llm-gateway", llm.CallRemoteTool, llm.RemoteResult, idempotent=False)
GET_HEALTH = Procedure("health.get", "*", Empty, Health)

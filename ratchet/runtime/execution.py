"""One run of a task in this process: input in, function called, output or failure out."""

import inspect
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from ratchet.authoring import TaskDefinition
from ratchet.calling import Line
from ratchet.channel import FRAME_BYTES_MAX
from ratchet.context import AsyncContext, Context, Span
from ratchet.models import Category, Failure
from ratchet.retry import Retry, asks_for, says_so_itself, worth_another
from ratchet.runtime.failure import Describer
from ratchet.runtime.interruption import Interruptions
from ratchet.runtime.limits import lift_limits, limit_cpu
from ratchet.runtime.loader import LoadedFile
from ratchet.runtime.looprun import run_coroutine
from ratchet.runtime.order import RunOrder
from ratchet.runtime.recorder import Recorder
from ratchet.schema import interface_of

_FRAME_BYTES_SPARE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: with an output, or with a failure."""

    output: Any = None
    failure: Failure | None = None
    cancelled: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether the process may be in a state that the next run should not inherit."""
        return self.failure is not None and self.failure.category in (
            Category.LIMIT,
            Category.CANCELLED,
            Category.TASK_BROKEN,
        )


def find_task(file: LoadedFile, order: RunOrder) -> TaskDefinition | Failure:
    """The ordered task in a loaded file, or why it is not the one that was ordered."""
    if file.version != order.version:
        message = (
            f"{order.path} changed after version {order.version[:12]} was described; it is {file.version[:12]} now"
        )
        return Failure(category=Category.TASK_BROKEN, type="VersionChanged", message=message)
    if file.broken is not None:
        details = {"line": file.broken.line, "path": file.path}
        return Failure(
            category=Category.TASK_BROKEN,
            type=file.broken.error_type,
            message=file.broken.message,
            stack_trace=file.broken.stack_trace,
            details=details,
        )
    task = file.tasks.get(order.task_id)
    if task is None:
        message = f"{order.path} defines no task {order.task_id}; it has {', '.join(sorted(file.tasks)) or 'none'}"
        return Failure(category=Category.TASK_BROKEN, type="UnknownTask", message=message)
    return task


class Execution:
    """Runs one order; everything it says goes to the recorder."""

    def __init__(
        self,
        order: RunOrder,
        recorder: Recorder,
        interruptions: Interruptions,
        describer: Describer,
        line: Line,
    ) -> None:
        self._order = order
        self._recorder = recorder
        self._interruptions = interruptions
        self._describer = describer
        self._line = line
        self._pid = os.getpid()

    def run(self, task: TaskDefinition) -> Outcome:
        """Run the task under a root span. Never raises."""
        root = Span(self._recorder, self._order.task_id, {"ratchet.attempt": self._order.attempt}, None, "server")
        context = AsyncContext(  # which is a `Context` with types for those who await
            self._recorder,
            execution_id=self._order.execution_id,
            attempt=self._order.attempt,
            task_id=self._order.task_id,
            root_span_id=root.span_id,
            line=self._line,
        )
        output: list[Any] = []
        with root:
            error = self.guarded(lambda: output.append(self._perform(task, context)))
            if error is None:
                return Outcome(output=output[0])
            lift_limits()  # describing what was hit must not hit it again
            failure = self._judged(self._describe(error), error, task.retry)
            root.fail(f"{failure.type}: {failure.message}")
        asked = self._interruptions.cancel_reason is not None
        return Outcome(failure=failure, cancelled=asked)

    def _perform(self, task: TaskDefinition, context: Context) -> Any:
        self._interruptions.check()
        interface = interface_of(task)
        bound = interface.bind(self._order.input, context)
        result = task.function(*bound.args, **bound.kwargs)
        if inspect.iscoroutine(result):
            result = run_coroutine(result, self._interruptions.cancel_with)
        return interface.dump(result, min(self._order.output_bytes, FRAME_BYTES_MAX - _FRAME_BYTES_SPARE))

    def guarded(self, work: Callable[[], None]) -> BaseException | None:
        """Do the work while signals may interrupt it; returns what ended it.

        This function is the gate of `Interruptions`: no signal raises in it, so what it decides stands.
        """
        ended: BaseException | None = None
        try:
            limit_cpu(self._order.cpu_seconds)
            self._interruptions.arm(self._order.execution_id)
            work()
        except BaseException as error:  # noqa: BLE001 - whatever an author's code raises ends the run, not the child
            ended = error
        self._interruptions.armed = None
        if os.getpid() != self._pid:
            _leave_fork(ended)
        limit_cpu(None)
        return ended

    def _judged(self, failure: Failure, error: BaseException, retry: Retry | None) -> Failure:
        """The failure with what the task says of another attempt; what no attempt can mend is not asked about."""
        if failure.category not in (Category.EXCEPTION, Category.LIMIT):
            return failure
        try:
            if failure.category is Category.LIMIT and not says_so_itself(error):
                return failure
            said, after = worth_another(retry, error), asks_for(error)
        except Exception as problem:  # noqa: BLE001 - classes of the author's may have their own idea of `isinstance`
            message = f"whether it may be tried again could not be told: {type(problem).__name__}"
            return failure.model_copy(update={"details": {**failure.details, "retry": message}})
        return failure.model_copy(update={"retryable": said, "retry_after_seconds": after if said else None})

    def _describe(self, error: BaseException) -> Failure:
        reason = self._interruptions.cancel_reason
        try:
            return self._describer.failure(error, cancel_reason=reason)
        except Exception as problem:  # noqa: BLE001 - memory may really be gone, or the exception be malicious
            message = f"the exception could not be described: {type(problem).__name__}"
            return Failure(category=Category.EXCEPTION, type=type(error).__name__, message=message)


def _leave_fork(ended: BaseException | None) -> NoReturn:
    """A process that the task forked came back from the task's function: end it as an interpreter would end."""
    code = 0
    if isinstance(ended, SystemExit):
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    elif ended is not None:
        os.write(2, "".join(traceback.format_exception(ended)).encode("utf-8", "backslashreplace"))
        code = 1
    os._exit(code & 0xFF)

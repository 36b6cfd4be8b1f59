"""The classes of errors: what each means, whether running again can help and why, and what to do. A table as data.

A class refines `Failure.category`, which says how an attempt ended, by what made it end so; docs/reference/failures.md
shows the table. `ratchet.analysis.classify` says which class a failure is of.
"""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """One row.

    Attributes:
        name: What programs test.
        meaning: What happened, to stand after a colon.
        retryable: Whether the same input may succeed when it is run again with nothing changed.
        reason: Why, as a sentence.
        suggestion: What to do about it, as a sentence.
        input_dependent: Whether another input might have succeeded, so that inputs that did are worth a look.
    """

    name: str
    meaning: str
    retryable: bool
    reason: str
    suggestion: str
    input_dependent: bool = False


_CLASSES = (
    ErrorClass(
        name="bad_input",
        meaning="the input, or data that it names, is not what the task can use",
        retryable=False,
        reason="The same input fails in the same way.",
        suggestion="Correct the input and execute the task again.",
        input_dependent=True,
    ),
    ErrorClass(
        name="not_found",
        meaning="a file or folder that the task needs is not there",
        retryable=False,
        reason="The path is looked up in the same place again.",
        suggestion="Give a path that exists where the task runs, or create the file first.",
        input_dependent=True,
    ),
    ErrorClass(
        name="permission",
        meaning="the operating system refused access to a file",
        retryable=False,
        reason="Permissions do not change by trying again.",
        suggestion="Grant the user that runs Ratchet access to the path, or give another path.",
        input_dependent=True,
    ),
    ErrorClass(
        name="conflict",
        meaning="something exists already, or was changed by somebody else meanwhile",
        retryable=False,
        reason="What is in the way is still there.",
        suggestion="Remove or rename what is in the way, or give another target.",
        input_dependent=True,
    ),
    ErrorClass(
        name="timeout",
        meaning="the execution's time was up",
        retryable=False,
        reason="The same work takes as long again, unless what it waited for was slow by chance.",
        suggestion="See in the trace where time went; then give it less to do, make it faster, or raise the timeout.",
        input_dependent=True,
    ),
    ErrorClass(
        name="operation_timeout",
        meaning="something that the task waited for did not answer in time",
        retryable=True,
        reason="What did not answer in time may do so the next time.",
        suggestion="Execute it again; if that fails too, see whether the other side is up, or let it wait longer.",
    ),
    ErrorClass(
        name="network",
        meaning="a connection could not be made or broke",
        retryable=True,
        reason="Connections fail for a while and then work again.",
        suggestion="Execute it again in a few seconds; if that fails too, check the host, the port and the service.",
    ),
    ErrorClass(
        name="tls",
        meaning="the other side's certificate was not accepted",
        retryable=False,
        reason="A certificate does not become valid by trying again.",
        suggestion="Check the host name and the certificates that the machine trusts.",
    ),
    ErrorClass(
        name="rate_limited",
        meaning="a service refused because it was called too often",
        retryable=True,
        reason="The limit is over after a while.",
        suggestion="Wait, then execute it again; call the service less often or in larger batches.",
    ),
    ErrorClass(
        name="upstream_5xx",
        meaning="a service that the task called failed on its side",
        retryable=True,
        reason="The fault is the service's and may be over soon.",
        suggestion="Execute it again in a while; if it goes on, tell whoever runs the service.",
    ),
    ErrorClass(
        name="upstream_4xx",
        meaning="a service that the task called refused the request",
        retryable=False,
        reason="The same request is refused again.",
        suggestion="See what the service says about the request, and correct the input or the task that made it so.",
        input_dependent=True,
    ),
    ErrorClass(
        name="auth",
        meaning="a service did not accept the credentials",
        retryable=False,
        reason="The same credentials are refused again.",
        suggestion="Renew the credentials that the task uses, or have their rights extended.",
    ),
    ErrorClass(
        name="missing_dependency",
        meaning="a module or program that the task needs is not installed",
        retryable=False,
        reason="It is still missing the next time.",
        suggestion="Install it for the interpreter that runs the tasks (`tasks.python`), or mend the import.",
    ),
    ErrorClass(
        name="resource",
        meaning="memory, CPU time, disk space or open files ran out",
        retryable=False,
        reason="The same work needs as much again.",
        suggestion="Give it less to do, let it use less at once, or raise the limit.",
        input_dependent=True,
    ),
    ErrorClass(
        name="contention",
        meaning="something was locked or busy at that moment",
        retryable=True,
        reason="Whoever held it lets go of it.",
        suggestion="Execute it again; if it happens often, do not run such tasks at the same time.",
    ),
    ErrorClass(
        name="temporary",
        meaning="the task said that what it met passes",
        retryable=True,
        reason="The task itself says so.",
        suggestion="Execute it again later; have the task tried again by itself with `@task(retry=…)`.",
    ),
    ErrorClass(
        name="permanent",
        meaning="the task said that trying again cannot help",
        retryable=False,
        reason="The task itself says so.",
        suggestion="Read the message: what to change is up to the task.",
        input_dependent=True,
    ),
    ErrorClass(
        name="bug",
        meaning="the task's code did something that Python cannot do",
        retryable=False,
        reason="The same code does the same again.",
        suggestion="Mend the failing line; the task is loaded anew by itself.",
        input_dependent=True,
    ),
    ErrorClass(
        name="task_error",
        meaning="the task gave up for a reason of its own",
        retryable=False,
        reason="Nothing about the error says that it would end otherwise.",
        suggestion="Read the message and the log before it; what to do is up to the task.",
        input_dependent=True,
    ),
    ErrorClass(
        name="invalid_output",
        meaning="what the task returned is no valid output",
        retryable=False,
        reason="The same code returns the same again.",
        suggestion="Mend what the task returns or its annotation; write large results to a file and return its path.",
        input_dependent=True,
    ),
    ErrorClass(
        name="task_broken",
        meaning="the task's file cannot be loaded",
        retryable=False,
        reason="The file has to be mended first.",
        suggestion="Mend the file; it is loaded anew by itself.",
    ),
    ErrorClass(
        name="task_changed",
        meaning="the task's file changed while the execution waited",
        retryable=True,
        reason="The next execution runs the file as it is now.",
        suggestion="Execute it again.",
    ),
    ErrorClass(
        name="crashed",
        meaning="the process of the task died",
        retryable=False,
        reason="Unless the process was killed from outside, the same work kills it again.",
        suggestion="The exit code or signal, the peak memory and the last lines say what to look for.",
        input_dependent=True,
    ),
    ErrorClass(
        name="poison",
        meaning="processes died under one attempt after the other",
        retryable=False,
        reason="What killed three processes kills the next one.",
        suggestion="See in the deaths what they have in common: the exit code or signal, peak memory, the last lines.",
        input_dependent=True,
    ),
    ErrorClass(
        name="worker_lost",
        meaning="the worker that ran it was lost; the task is not at fault",
        retryable=True,
        reason="Another worker runs it the next time.",
        suggestion="Execute it again.",
    ),
    ErrorClass(
        name="shutdown",
        meaning="Ratchet was stopped before it ended; the task is not at fault",
        retryable=True,
        reason="Nothing about the task or its input was wrong.",
        suggestion="Execute it again.",
    ),
    ErrorClass(
        name="cancelled",
        meaning="somebody asked it to stop",
        retryable=True,
        reason="It was stopped on request, not by an error.",
        suggestion="Execute it again if its result is still wanted.",
    ),
)

TAXONOMY = MappingProxyType({one.name: one for one in _CLASSES})

"""How much an execution has asked, against what it may: questions and tokens, kept for the latest executions."""

from collections import OrderedDict
from typing import Final

from ratchet.errors import LlmBudgetError
from ratchet.llm.bodies import Usage

EXECUTIONS_MAX: Final = 10_000


class Budgets:
    """Counts by execution. One that has not asked for long is forgotten before one that has just asked."""

    def __init__(self, *, calls_max: int, tokens_max: int) -> None:
        self._calls_max = calls_max
        self._tokens_max = tokens_max
        self._spent: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def take(self, execution_id: str) -> None:
        """Count one question.

        Raises:
            LlmBudgetError: It would be one too many.
        """
        calls, tokens = self._spent.get(execution_id, (0, 0))
        if calls >= self._calls_max:
            raise LlmBudgetError(
                f"the execution has asked {calls} questions, as many as llm.calls_per_execution allows",
                details={"calls": calls},
            )
        if tokens >= self._tokens_max:
            raise LlmBudgetError(
                f"the execution has spent {tokens} tokens of the {self._tokens_max} of llm.tokens_per_execution",
                details={"tokens": tokens},
            )
        self._put(execution_id, calls + 1, tokens)

    def spend(self, execution_id: str, usage: Usage) -> None:
        """Count the tokens of an answer."""
        calls, tokens = self._spent.get(execution_id, (0, 0))
        self._put(execution_id, calls, tokens + usage.total)

    def _put(self, execution_id: str, calls: int, tokens: int) -> None:
        self._spent[execution_id] = (calls, tokens)
        self._spent.move_to_end(execution_id)
        if len(self._spent) > EXECUTIONS_MAX:
            self._spent.popitem(last=False)

"""From a task's question to an answer: budget, routes in their order, tries of each, the form of the answer."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import structlog

from actors.llm_gateway.budget import Budgets
from actors.llm_gateway.provider_errors import malformed
from actors.llm_gateway.route import Answer, Question, Route
from actors.llm_gateway.structured import Form, asked_again
from ratchet.config.llm import LlmConfig
from ratchet.errors import LlmError, LlmNotConfiguredError, LlmTimeoutError
from ratchet.llm.bodies import Complete, Completion, Usage
from ratchet.llm.retry import delay_before_retry, falls_back

# Of what is left, kept to send the error: whoever asked should hear what happened, not that time is up.
_MARGIN_SECONDS = 0.2

log = structlog.stdlib.get_logger("llm-gateway")


class Desk:
    """Answers questions of tasks.

    Args:
        routes: In the order in which they are asked.
        config: Its bounds.
        counters: Where retries, fallbacks and errors are counted.
    """

    def __init__(self, routes: Sequence[Route], config: LlmConfig, counters: Counter[str]) -> None:
        self._routes = routes
        self._config = config
        self._counters = counters
        self._budgets = Budgets(calls_max=config.calls_per_execution, tokens_max=config.tokens_per_execution)
        self._room = asyncio.Semaphore(config.concurrent_calls)

    async def complete(self, body: Complete, deadline: float) -> Completion:
        """The answer of the first route that has one.

        Args:
            body: What is asked.
            deadline: Loop time after which nobody waits for it.

        Raises:
            LlmError: Nobody answered: the error of the route that was asked last.
            RequestError: The schema is none.
        """
        routes = self._wanted(body.route)
        form = None if body.output_schema is None else Form(body.output_schema)
        question = Question(
            body.messages,
            body.model,
            min(body.max_tokens or self._config.max_tokens, self._config.max_tokens),
            body.temperature,
            body.output_schema,
        )
        self._budgets.take(body.execution_id)
        asking = _Asking(body.execution_id, question, form, deadline - _MARGIN_SECONDS)
        async with self._within(asking, "all of them"), self._room:
            return await self._first_answer(routes, asking)

    def _wanted(self, name: str | None) -> Sequence[Route]:
        if not self._routes:
            raise LlmNotConfiguredError(
                "tasks may ask no LLM: the configuration has neither llm.providers nor llm.scripted"
            )
        found = [route for route in self._routes if name in (None, route.name)]
        if not found:
            known = ", ".join(route.name for route in self._routes)
            raise LlmNotConfiguredError(f"there is no route {name!r}; known here: {known}", details={"route": name})
        return found

    async def _first_answer(self, routes: Sequence[Route], asking: "_Asking") -> Completion:
        failed: list[tuple[str, str]] = []
        for route in routes:
            try:
                return await self._answer(route, asking, failed)
            except LlmError as error:
                self._counters[error.code] += 1
                failed.append((route.name, error.code))
                error.details.setdefault("failed", failed)
                log.warning("a route failed", route=route.name, code=error.code, execution=asking.execution_id)
                if route is routes[-1] or not falls_back(error) or asking.left_seconds <= 0:
                    raise
                self._counters["llm_fallbacks"] += 1
        raise AssertionError("there is at least one route")

    async def _answer(self, route: Route, asking: "_Asking", failed: list[tuple[str, str]]) -> Completion:
        answer = await self._tries(route, asking.question, asking)
        usage, parsed = answer.usage, None
        if asking.form is not None:
            parsed, problem = asking.form.read(answer.text)
            if problem is not None:
                answer = await self._tries(route, asked_again(asking.question, answer.text, problem), asking)
                usage += answer.usage
                parsed, problem = asking.form.read(answer.text)
            if problem is not None:
                raise malformed(route.name, problem)
        return Completion(
            text=answer.text,
            parsed=parsed,
            model=answer.model,
            route=route.name,
            finish_reason=answer.finish_reason,
            usage=usage,
            failed=failed,
        )

    async def _tries(self, route: Route, question: Question, asking: "_Asking") -> Answer:
        tries = 0
        while True:
            tries += 1
            try:
                async with self._within(asking, route.name, route.timeout_seconds):
                    answer = await route.complete(question)
            except LlmError as error:
                delay = delay_before_retry(
                    error,
                    tries,
                    retries=route.retries,
                    left_seconds=asking.left_seconds,
                    chance=random.random(),  # noqa: S311 - jitter
                )
                if delay is None:
                    raise
                self._counters["llm_retries"] += 1
                await asyncio.sleep(delay)
            else:
                self._spend(asking, answer.usage)
                return answer

    def _spend(self, asking: "_Asking", usage: Usage) -> None:
        self._budgets.spend(asking.execution_id, usage)

    @staticmethod
    def _within(asking: "_Asking", route: str, seconds: float = float("inf")) -> "_Within":
        return _Within(route, max(0.0, min(seconds, asking.left_seconds)))


class _Asking:
    """One question on its way through the routes."""

    def __init__(self, execution_id: str, question: Question, form: Form | None, deadline: float) -> None:
        self.execution_id = execution_id
        self.question = question
        self.form = form
        self._deadline = deadline

    @property
    def left_seconds(self) -> float:
        return self._deadline - asyncio.get_running_loop().time()


class _Within:
    """A block that ends with LlmTimeoutError when its time is up."""

    def __init__(self, route: str, seconds: float) -> None:
        self._route = route
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *raised: object) -> None:
        try:
            await self._timeout.__aexit__(*raised)  # pyright: ignore[reportArgumentType]
        except TimeoutError:
            raise LlmTimeoutError(
                f"{self._route} did not answer within {self._seconds:.3g} s", details={"route": self._route}
            ) from None

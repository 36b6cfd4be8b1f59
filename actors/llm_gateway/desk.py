"""From a task's question to an answer: budget, routes in their order, tries of each, the form of the answer."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any

import structlog

from actors.llm_gateway.budget import Budgets
from actors.llm_gateway.provider_errors import malformed
from actors.llm_gateway.route import Answer, Asker, Question, Route
from actors.llm_gateway.structured import Form, asked_again
from ratchet.config.llm import CALLER, LlmConfig
from ratchet.errors import LlmError, LlmNotConfiguredError, LlmTimeoutError, RequestError
from ratchet.llm.bodies import Complete, Completion, Piece, Usage
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
        routes = self._wanted(body)
        form = None if body.output_schema is None else Form(body.output_schema)
        self._budgets.take(body.execution_id)
        asking = _Asking(body.execution_id, self._question(body), form, deadline - _MARGIN_SECONDS)
        return await self._first_answer(routes, asking)

    async def stream(self, body: Complete, deadline: float) -> AsyncGenerator[Piece]:
        """The answer of the first route that begins one, in pieces.

        Once a piece is out no other route is asked: what follows would be another answer.

        Raises:
            LlmError: Nobody answered, or an answer ended in the middle.
            RequestError: A form is wanted, which an answer in pieces cannot be held to.
        """
        if body.output_schema is not None:
            raise RequestError("an answer that must fit a schema cannot be streamed: use llm.complete")
        routes = self._wanted(body)
        self._budgets.take(body.execution_id)
        asking = _Asking(body.execution_id, self._question(body), None, deadline - _MARGIN_SECONDS)
        failed: list[tuple[str, str]] = []
        for route in routes:
            begun = False
            try:
                async with self._room_for(route), aclosing(self._pieces(route, asking, failed)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
            except LlmError as error:
                if begun or self._is_last(route, routes, error, asking, failed):
                    raise
            else:
                return

    async def _pieces(self, route: Route, asking: "_Asking", failed: list[tuple[str, str]]) -> AsyncGenerator[Piece]:
        """What one route says; it may be silent for as long as one try may take."""
        async with aclosing(route.stream(asking.question)) as said:
            while True:
                async with self._within(asking, route.name, route.timeout_seconds):
                    part = await anext(said)
                if isinstance(part, str):
                    yield Piece(text=part)
                    continue
                self._spend(asking, part.usage)
                yield Piece(completion=_completion(route, part, part.usage, None, failed))
                return

    def _question(self, body: Complete) -> Question:
        return Question(
            body.messages,
            body.model,
            min(body.max_tokens or self._config.max_tokens, self._config.max_tokens),
            body.temperature,
            body.output_schema,
            Asker(body.execution_id, body.fence, body.call_id, resume=body.resume),
        )

    def _wanted(self, body: Complete) -> Sequence[Route]:
        """The routes to ask; whoever resumes has asked those before the caller already."""
        name = CALLER if body.resume else body.route
        if not self._routes:
            raise LlmNotConfiguredError(
                "tasks may ask no LLM: the configuration has neither llm.providers nor llm.scripted"
            )
        found = [route for route in self._routes if name in (None, route.name)]
        if not found:
            known = ", ".join(route.name for route in self._routes)
            raise LlmNotConfiguredError(f"there is no route {name!r}; known here: {known}", details={"route": name})
        if body.resume and body.route is None:
            return self._routes[self._routes.index(found[0]) :]
        return found

    def _room_for(self, route: Route) -> AbstractAsyncContextManager[object]:
        return self._room if route.takes_room else nullcontext()

    async def _first_answer(self, routes: Sequence[Route], asking: "_Asking") -> Completion:
        failed: list[tuple[str, str]] = []
        for route in routes:
            try:
                async with self._within(asking, route.name), self._room_for(route):
                    return await self._answer(route, asking, failed)
            except LlmError as error:
                if self._is_last(route, routes, error, asking, failed):
                    raise
        raise AssertionError("there is at least one route")

    def _is_last(
        self,
        route: Route,
        routes: Sequence[Route],
        error: LlmError,
        asking: "_Asking",
        failed: list[tuple[str, str]],
    ) -> bool:
        """Note that a route failed. Returns whether no other is to be asked."""
        self._counters[error.code] += 1
        failed.append((route.name, error.code))
        error.details.setdefault("failed", failed)
        log.warning("a route failed", route=route.name, code=error.code, execution=asking.execution_id)
        if route is routes[-1] or not falls_back(error) or asking.left_seconds <= 0:
            return True
        self._counters["llm_fallbacks"] += 1
        return False

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
        return _completion(route, answer, usage, parsed, failed)

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


def _completion(route: Route, answer: Answer, usage: Usage, parsed: Any, failed: list[tuple[str, str]]) -> Completion:
    return Completion(
        text=answer.text,
        parsed=parsed,
        model=answer.model,
        route=route.name,
        finish_reason=answer.finish_reason,
        usage=usage,
        failed=failed,
    )


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

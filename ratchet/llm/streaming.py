"""An answer while it is made: `for piece in ctx.llm.stream("…")`, or `async for` in an asynchronous task."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratchet.calling import Items
    from ratchet.context import Span
    from ratchet.llm.bodies import Completion


class LlmStream:
    """The pieces of an answer. Iterating over it asks; leaving the loop tells the provider that no more is wanted.

    Attributes:
        completion: The whole answer with its model, route and usage, once the last piece was taken.
    """

    def __init__(
        self, open_stream: "Callable[[], tuple[Items, Span]]", describe: "Callable[[Span, Completion], None]"
    ) -> None:
        self._open = open_stream
        self._describe = describe
        self.completion: Completion | None = None

    def __iter__(self) -> Generator[str]:
        items, span = self._open()
        failed: BaseException | None = None
        try:
            while (item := items.take().result()) is not None:
                if text := self._read(item, span):
                    yield text
        except GeneratorExit:
            raise
        except BaseException as error:
            failed = error
            raise
        finally:
            items.close()
            span.end_beside(failed)

    async def __aiter__(self) -> AsyncGenerator[str]:
        items, span = self._open()
        failed: BaseException | None = None
        try:
            while (item := await asyncio.wrap_future(items.take())) is not None:
                if text := self._read(item, span):
                    yield text
        except GeneratorExit:
            raise
        except BaseException as error:
            failed = error
            raise
        finally:
            items.close()
            span.end_beside(failed)

    def _read(self, item: dict[str, Any], span: "Span") -> str:
        """The text of an item; of the last one, what the answer took goes to the span instead."""
        if item.get("completion") is None:
            return str(item["text"])
        from ratchet.llm.bodies import Completion

        self.completion = Completion.model_validate(item["completion"])
        self._describe(span, self.completion)
        return ""

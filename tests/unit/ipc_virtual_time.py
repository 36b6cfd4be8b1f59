"""An event loop whose clock jumps to the next timer: hours pass in milliseconds, the same way each time."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class _VirtualSelector(selectors.BaseSelector):
    """Never waits: what the loop would have slept is added to its clock."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if not ready:
            assert timeout is not None, "nothing is scheduled any more: the test waits for what will never come"
            self.now += max(timeout, 0)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def stand_still(self, seconds: float) -> None:
        """As if the process had been stopped: time passes and nothing runs."""
        self._virtual.now += seconds


def run_virtually(main: Callable[[VirtualTimeLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main` to its end in virtual time."""
    loops: list[VirtualTimeLoop] = []

    def make() -> VirtualTimeLoop:
        loops.append(VirtualTimeLoop())
        return loops[0]

    async def begin() -> T:
        return await main(loops[0])

    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(begin())

"""What running requests wait for: so that a client can cancel it, and so that a draining front can answer early.

The protocol's `notifications/cancelled` names a request; the execution it started has to be found even though the SDK
has ended the request's handler by then. The end of a request for any other reason (a lost connection, the end of stdin,
a drain) ends only the wait: the execution goes on.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

# A notification may arrive just after its request was given up; so many given-up requests are remembered.
_GIVEN_UP_MAX = 1024

WaitKey = tuple[str, str]


class Waits:
    """Every wait of this front.

    A key is (session, request id): two sessions may use the same request ids.
    """

    def __init__(self) -> None:
        self._executions: dict[WaitKey, str] = {}
        self._given_up: OrderedDict[WaitKey, str] = OrderedDict()
        self._scopes: set[asyncio.Timeout] = set()
        self._draining = False

    @contextmanager
    def starting(self, key: WaitKey | None, execution_id: str) -> Generator[None]:
        """While it lasts (and for a while after it was cancelled) the request `key` stands for this execution."""
        if key is None:
            yield
            return
        self._executions[key] = execution_id
        try:
            yield
        except asyncio.CancelledError:
            self._given_up[key] = execution_id
            while len(self._given_up) > _GIVEN_UP_MAX:
                self._given_up.popitem(last=False)
            raise
        finally:
            if self._executions.get(key) == execution_id:
                del self._executions[key]

    def take(self, key: WaitKey) -> str | None:
        """The execution that this request started and that has not been answered; None where there is none."""
        return self._executions.get(key) or self._given_up.pop(key, None)

    @asynccontextmanager
    async def until_drain(self) -> AsyncGenerator[None]:
        """Cut short when the front drains.

        Raises:
            TimeoutError: It drains.
        """
        async with asyncio.timeout(0 if self._draining else None) as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    def drain(self) -> None:
        """Cut every wait short, and those to come."""
        if self._draining:
            return
        self._draining = True
        now = asyncio.get_running_loop().time()
        for scope in self._scopes:
            scope.reschedule(now)

"""The tasks that are tools of their own, as the runner says: kept by client, and asked whether they still are.

A list that is asked for is true at that moment. Where the runner does not answer in time, what it said last is good
enough: it sends word when there is something else to say.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from ipc.errors import IpcError
from ipc.link import Link
from ratchet import rpc
from ratchet.bodies.executions import ListTools
from ratchet.errors import RatchetError
from ratchet.messages import LIST_TOOLS, ExposedTools
from ratchet.models import JsonObject, Task
from ratchet.policy.client import Client

log = structlog.stdlib.get_logger("mcp-front")

_LIST_SECONDS = 5.0  # a changed file is imported before the answer; hosts wait for this list when they start
_DESCRIBE_SECONDS = 60.0

Tools = Mapping[str, Task]


@dataclass(frozen=True, slots=True)
class Exposed:
    """What clients of this front were told of exposed tasks.

    Attributes:
        link: To the hub.
        enabled: Whether any may be exposed; where not, nobody is asked.
    """

    link: Link
    enabled: bool
    _known: dict[str, ExposedTools] = field(default_factory=dict[str, ExposedTools])

    async def listed(self, client: Client) -> Tools:
        """The client's tools, by name, in the order to list them."""
        if not self.enabled:
            return {}
        try:
            return await self._asked(client, _LIST_SECONDS)
        except (IpcError, RatchetError) as error:
            log.warning("exposed tasks are listed as they were", client=client.name, error=str(error))
            return self.known(client)

    async def find(self, client: Client, name: str) -> Task | None:
        """The task that is this tool of the client's. Running it is decided by the runner, by what is so then."""
        if not self.enabled:
            return None
        known = self.known(client).get(name)
        return known if known is not None else (await self.listed(client)).get(name)

    async def learn(self, clients: Iterable[Client]) -> None:
        """Ask for those of every client, however long files take to load: at the start, and after a change."""
        for client in clients if self.enabled else ():
            try:
                await self._asked(client, _DESCRIBE_SECONDS)
            except (IpcError, RatchetError) as error:
                log.warning("exposed tasks are not known", client=client.name, error=str(error))

    def is_news(self, revision: str) -> bool:
        """Whether somebody may know other tools than those of this revision."""
        if not self.enabled:
            return False
        return not self._known or any(one.revision != revision for one in self._known.values())

    def input_schema(self, name: str) -> JsonObject | None:
        """What the tool of this name takes, whoever may use it: a name means the same to all."""
        found = (one.tools[name] for one in self._known.values() if one.tools is not None and name in one.tools)
        task = next(found, None)
        return None if task is None else task.input_schema

    def known(self, client: Client) -> Tools:
        """The client's tools as it was told last."""
        known = self._known.get(client.name)
        return {} if known is None or known.tools is None else known.tools

    async def _asked(self, client: Client, seconds: float) -> Tools:
        known = self._known.get(client.name)
        request = ListTools(client=client, known=None if known is None else known.revision)
        answer = await rpc.call(self.link, LIST_TOOLS, request, timeout_seconds=seconds)
        if answer.tools is not None:
            self._known[client.name] = answer
        return self.known(client)

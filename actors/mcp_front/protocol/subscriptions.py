"""Who hears of what: `subscriptions/listen` of the current protocol, `resources/subscribe` of the handshake eras.

Whoever may read a view of an execution may subscribe to it, and is refused in the same words where not. What is
subscribed to is freed with the request, or with the session.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial

import mcp_types as t
from mcp.server import NotificationOptions, Server
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError

from actors.mcp_front.caller import Caller, Context, caller_in
from actors.mcp_front.front import Front
from actors.mcp_front.protocol import resources
from actors.mcp_front.protocol.following import Following, Hold
from actors.mcp_front.protocol.handshakes import HandshakeSession, Subscription
from ipc.errors import IpcError
from ratchet.errors import RatchetError

RESOURCES_MAX = 100
LISTENING_PER_CLIENT_MAX = 50
_LISTENING_MAX = 1000
_WAITING_MAX = 256


def register(server: Server[object], front: Front) -> None:
    """Have the server take subscriptions."""
    _Subscriptions(front).register(server)
    server.middleware.append(front.notifications.note_handshakes)
    options = NotificationOptions(tools_changed=front.exposed.enabled, resources_changed=True)  # tasks are resources
    # The handshake of HTTP asks for no options, and there is no other way to say which lists change.
    server.create_initialization_options = partial(server.create_initialization_options, options)  # pyright: ignore[reportAttributeAccessIssue]


class _Subscriptions:
    """Of one front."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._following = Following(front.link, front.own, front.notifications.resource_updated)
        self._serve = ListenHandler(
            front.notifications.bus, max_subscriptions=_LISTENING_MAX, max_buffered_events=_WAITING_MAX
        )
        self._listening: Counter[str] = Counter()

    def register(self, server: Server[object]) -> None:
        server.add_request_handler("subscriptions/listen", t.SubscriptionsListenRequestParams, self._listen)
        server.add_request_handler("resources/subscribe", t.SubscribeRequestParams, self._subscribe)
        server.add_request_handler("resources/unsubscribe", t.UnsubscribeRequestParams, self._unsubscribe)

    # --- the current protocol ---------------------------------------------------------------------------------------

    async def _listen(
        self, context: Context, params: t.SubscriptionsListenRequestParams
    ) -> t.SubscriptionsListenResult:
        caller = caller_in(self._front, context)
        uris = dict.fromkeys(params.notifications.resource_subscriptions or ())
        if len(uris) > RESOURCES_MAX:
            raise _too_many(f"resources ({len(uris)})", f"{RESOURCES_MAX} in one request")
        name = caller.client.name
        if self._listening[name] >= LISTENING_PER_CLIENT_MAX:
            raise _too_many("open subscriptions/listen requests", f"{LISTENING_PER_CLIENT_MAX} of a client")
        self._listening[name] += 1
        try:
            with ExitStack() as held:
                ended = [uri for uri in uris if await self._ended(caller, uri, held)]
                self._tell_soon(ended)  # once the request below listens, which it does before it waits for anything
                async with self._front.waits.until_drain():
                    return await self._serve(context, params)
        except TimeoutError:  # the front drains: the client is told, rather than cut off
            return t.SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: context.request_id})
        finally:
            self._listening[name] -= 1

    async def _ended(self, caller: Caller, uri: str, held: ExitStack) -> bool:
        hold = await self._follow(caller, uri)
        held.callback(hold.release)
        return hold.over

    def _tell_soon(self, uris: Iterable[str]) -> None:
        for uri in uris:
            self._front.spawn(self._front.notifications.resource_updated(uri), "an ended execution")

    # --- the handshake eras -----------------------------------------------------------------------------------------

    async def _subscribe(self, context: Context, params: t.SubscribeRequestParams) -> t.EmptyResult:
        session, uri = self._session(context), params.uri
        hold = await self._follow(caller_in(self._front, context), uri)
        keep(session, uri, hold)
        if hold.over:
            session.tell(ResourceUpdated(uri=uri))
        return t.EmptyResult()

    async def _unsubscribe(self, context: Context, params: t.UnsubscribeRequestParams) -> t.EmptyResult:
        self._session(context).unsubscribe(params.uri)
        return t.EmptyResult()

    def _session(self, context: Context) -> HandshakeSession:
        session = self._front.notifications.session(context)
        if session is None:  # initialize comes first, and a session that has ended asks for nothing
            raise MCPError(code=t.INVALID_REQUEST, message="Subscribe within a session: initialize comes first")
        return session

    # --- both -------------------------------------------------------------------------------------------------------

    async def _follow(self, caller: Caller, uri: str) -> Hold:
        """Follow what the URI names. Where that has ended, the client may have read it before: it is told once.

        Raises:
            MCPError: The caller may not read it, or no more can be followed.
        """
        execution_id, view = await resources.execution_view(self._front, caller, uri)
        try:
            return await self._following.follow(caller.client, execution_id, view, uri)
        except (RatchetError, IpcError) as error:
            raise MCPError(code=t.INTERNAL_ERROR, message=str(error)) from None


def keep(session: HandshakeSession, uri: str, hold: Subscription) -> None:
    """Have the session hold it, or let it go where there is no room: others may have come while it was looked for.

    Raises:
        MCPError: The session holds as much as it may.
    """
    session.unsubscribe(uri)  # of an earlier request for the same
    try:
        make_room(session)
    except MCPError:
        hold.release()
        raise
    session.subscribed[uri] = hold


def make_room(session: HandshakeSession) -> None:
    """Forget what will not change any more, where otherwise there would be too many."""
    if len(session.subscribed) < RESOURCES_MAX:
        return
    for uri in [uri for uri, held in session.subscribed.items() if held.over]:
        session.unsubscribe(uri)
    if len(session.subscribed) >= RESOURCES_MAX:
        raise _too_many("subscribed resources", f"{RESOURCES_MAX} in a session; unsubscribe from some")


def _too_many(what: str, limit: str) -> MCPError:
    return MCPError(code=t.INVALID_REQUEST, message=f"Too many {what}: there may be {limit}")

"""Who hears of what: `subscriptions/listen` of the current protocol, `resources/subscribe` of the handshake eras."""

from functools import partial

import mcp_types as t
from mcp.server import NotificationOptions, Server
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY, ListenHandler

from actors.mcp_front.caller import Context
from actors.mcp_front.front import Front

_LISTENING_MAX = 1000
_WAITING_MAX = 256


def register(server: Server[object], front: Front) -> None:
    """Have the server take subscriptions."""
    serve = ListenHandler(front.notifications.bus, max_subscriptions=_LISTENING_MAX, max_buffered_events=_WAITING_MAX)

    async def listen(context: Context, params: t.SubscriptionsListenRequestParams) -> t.SubscriptionsListenResult:
        try:
            async with front.waits.until_drain():
                return await serve(context, params)
        except TimeoutError:  # the front drains: the client is told, rather than cut off
            return t.SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: context.request_id})

    server.add_request_handler("subscriptions/listen", t.SubscriptionsListenRequestParams, listen)
    server.middleware.append(front.notifications.note_handshakes)
    changing = front.exposed.enabled
    options = NotificationOptions(tools_changed=changing, resources_changed=changing)
    # The handshake of HTTP asks for no options, and there is no other way to say which lists change.
    server.create_initialization_options = partial(server.create_initialization_options, options)  # pyright: ignore[reportAttributeAccessIssue]

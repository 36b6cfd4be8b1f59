"""`logging/setLevel`, and the log notifications of a call.

Nothing is sent that was not asked for: in the handshake eras for a session, in the current one with each request. And
nothing is sent to a client that may not read logs.
"""

from typing import get_args

import mcp_types as t
from mcp.server import Server
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from actors.mcp_front.caller import Caller, Context, caller_in
from actors.mcp_front.front import Front
from actors.mcp_front.protocol.log_relay import LogWish
from ratchet.bodies.telemetry import StoredLogRecord
from ratchet.models import LEVELS, JsonObject, Level
from ratchet.policy.decision import Action, decide

_TEXT_CHARACTERS_MAX = 2_000
_SEVERITIES = get_args(t.LoggingLevel)  # from the mildest
_SEVERITY: dict[Level, t.LoggingLevel] = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "error": "error",
}


def register(server: Server[object], front: Front) -> None:
    """Have the server take the level that sessions want."""

    async def set_level(context: Context, params: t.SetLevelRequestParams) -> t.EmptyResult:
        session = caller_in(front, context).source.session_id
        if session is not None:
            front.loudness.set(session, params.level)
        return t.EmptyResult()

    server.add_request_handler("logging/setLevel", t.SetLevelRequestParams, set_level)


def wish(front: Front, context: Context, caller: Caller) -> LogWish | None:
    """What the client wants to hear, and may, of what this call runs; None: nothing."""
    if not decide(caller.client, Action("can_read_logs")).allowed:
        return None
    level = _level(_wanted(front, context, caller))
    if level is None:
        return None

    async def send(record: StoredLogRecord) -> None:
        params = t.LoggingMessageNotificationParams(
            level=_SEVERITY[record.level], logger=record.logger, data=_data(record)
        )
        await context.session.send_notification(
            t.LoggingMessageNotification(params=params), related_request_id=context.request_id
        )

    return LogWish(level, send)


def _wanted(front: Front, context: Context, caller: Caller) -> str | None:
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return front.loudness.get(caller.source.session_id)
    wanted = dict(context.meta or {}).get(t.LOG_LEVEL_META_KEY)
    return wanted if isinstance(wanted, str) else None


def _level(wanted: str | None) -> Level | None:
    """The mildest level of ours that is at least as severe."""
    if wanted not in _SEVERITIES:
        return None
    least = _SEVERITIES.index(wanted)
    return next((level for level in LEVELS if _SEVERITIES.index(_SEVERITY[level]) >= least), None)


def _data(record: StoredLogRecord) -> JsonObject:
    data: JsonObject = {"message": record.message[:_TEXT_CHARACTERS_MAX]}
    if record.context and len(str(record.context)) <= _TEXT_CHARACTERS_MAX:
        data["context"] = record.context
    if record.error is not None:
        data["error"] = f"{record.error.type}: {record.error.message}"[:_TEXT_CHARACTERS_MAX]
    return data

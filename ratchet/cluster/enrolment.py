"""How a machine joins: over a connection that its token authenticates it asks for its own key to be let in."""

import asyncio
import secrets
import time
from contextlib import suppress

import zmq

from ipc.curve import CurveClient, KeyPair, key_text
from ipc.errors import IpcError
from ipc.link import Link
from ipc.zeromq import ZmqLinkTransport
from ratchet import rpc
from ratchet.bodies.nodes import Enrol, Enrolled
from ratchet.cluster.names import JOINER
from ratchet.cluster.token import JoinToken
from ratchet.errors import RefusedError, UnavailableError
from ratchet.messages import ENROL_NODE
from ratchet.version import VERSION

ENROL_SECONDS = 20.0


async def enrol(
    endpoint: str, token: JoinToken, *, name: str, own: KeyPair, version: str = VERSION, seconds: float = ENROL_SECONDS
) -> Enrolled:
    """Have the head at `endpoint` (`tcp://host:port`) let the key pair in as node `name`. Harmless to repeat.

    Raises:
        RefusedError: The head does not take the token: it is used up, expired, or another head's.
        RequestError: The head does not take the name, the key, or this version of Ratchet.
        UnavailableError: The head does not answer, or is none that can prove the key in the token.
    """
    refused = asyncio.Event()
    curve = CurveClient(token.server_public, KeyPair.of_secret(token.secret))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    link = Link(
        ZmqLinkTransport(context, endpoint, curve=curve, refused=refused.set),
        name=f"{JOINER}:{secrets.token_hex(6)}",
        incarnation=secrets.token_hex(6),
        methods={},
    )
    running = asyncio.create_task(link.run())
    refusal = asyncio.create_task(refused.wait())
    try:
        async with asyncio.timeout(seconds):
            welcome = asyncio.create_task(link.wait_welcomed(seconds))
            try:
                await asyncio.wait({welcome, refusal, running}, return_when=asyncio.FIRST_COMPLETED)
                if refusal.done():
                    raise RefusedError(_why_refused(token))
                await welcome
            finally:
                welcome.cancel()
            body = Enrol(name=name, public_key=key_text(own.public), version=version)
            return await rpc.call(link, ENROL_NODE, body, timeout_seconds=seconds)
    except (TimeoutError, IpcError) as error:
        raise UnavailableError(
            f"the head at {endpoint} did not answer within {seconds:g} s: is it up, does its cluster.listen have this "
            "address, is the port open, and does the token come from it?"
        ) from error
    finally:
        refusal.cancel()
        running.cancel()
        with suppress(asyncio.CancelledError, IpcError):  # ours, of the line above; or what was raised already
            await running
        context.destroy(linger=0)


def _why_refused(token: JoinToken) -> str:
    expired = "it has expired" if token.expires_at <= time.time() else "it was used as often as it may be, or expired"
    return f"the head does not take this join token: {expired}; `ratchet node token` on the head prints another"

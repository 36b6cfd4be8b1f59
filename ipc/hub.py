"""The hub: a switch of envelopes by name.

Owns who is connected, under which incarnation, how lively, and who may call whom. Never opens a body that it forwards,
remembers no calls, and knows nothing of what the names stand for.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from ipc.access import AccessTable, role_of
from ipc.alarm import Alarm
from ipc.codec import encode_error
from ipc.envelope import Envelope, Kind
from ipc.errors import BusyError, DeniedError, IpcError, LostError, UnknownPeerError, UnreachableError
from ipc.handshake import Hello, Welcome, choose_version, decode_hello, encode_welcome, fits
from ipc.link import Link
from ipc.liveness import Liveness, liveness
from ipc.local import LocalTransport
from ipc.peer import Peer
from ipc.serving import Method
from ipc.transport import HubTransport

TICK_SECONDS = 0.5
PROBE_SECONDS = 1.5  # a peer this silent is pinged, which shows at once whether its connection still exists
DISCONNECTED_SECONDS = 0.02  # from the news that some connection is gone to the search for whose
ACCESS_MEMO_MAX = 4096

__all__ = ["Hub", "Peer"]

log = structlog.stdlib.get_logger("ipc.hub")


class Hub:
    """The switch.

    Attributes:
        name: Of the actor that embeds the hub; its own link answers to it.
        incarnation: Random per start of the process.
        counters: What was dropped, refused or forged.
    """

    def __init__(
        self,
        transport: HubTransport,
        *,
        name: str,
        incarnation: str,
        access: AccessTable,
        on_peer: Callable[[Peer, bytes], None] | None = None,
        on_gone: Callable[[Peer], None] | None = None,
        admits: Callable[[bytes, str, str], bool] = fits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a hub that does nothing until `run`.

        Args:
            transport: What carries it.
            name: Of the embedding actor.
            incarnation: Random per start of the process.
            access: Who may call what on whom.
            on_peer: Called with every new peer and the body of its hello.
            on_gone: Called with every peer that left, died, or was replaced.
            admits: Whether the connection of a route may say hello by a name and incarnation.
            clock: The event loop's clock.
        """
        self.name = name
        self.incarnation = incarnation
        self.counters: Counter[str] = Counter()
        self._transport = transport
        self._access = access
        self._on_peer = on_peer
        self._on_gone = on_gone
        self._admits = admits
        self._clock = clock
        self._peers: dict[str, Peer] = {}
        self._routes: dict[bytes, Peer] = {}
        self._targets: dict[str, Peer] = {}  # the peers, and the hub's own link
        self._local: Link | None = None
        self._memo: dict[tuple[str, str, str], bool] = {}
        self._alarm = Alarm(self._tick)
        self._search = Alarm(self._probe_all)
        self._searches: list[float] = []
        self._tick_at = 0.0
        self._started = False
        self._on: dict[Kind, Callable[[Peer, Envelope], None]] = {
            Kind.CALL: self._on_call,
            Kind.EVENT: self._on_event,
            Kind.REPLY: self._forward,
            Kind.ERROR: self._forward,
            Kind.ACCEPT: self._forward,
            Kind.PROGRESS: self._forward,
            Kind.CANCEL: self._forward,
            Kind.ITEM: self._on_item,
            Kind.END: self._forward,
            Kind.CREDIT: self._forward,
            Kind.ACK: self._on_ack,
            Kind.PING: self._on_ping,
            Kind.PONG: _on_pong,
            Kind.DRAIN: _on_drain,
            Kind.BYE: self._on_bye,
        }

    @property
    def peers(self) -> Mapping[str, Peer]:
        """Who is connected, by name; the hub's own link is not among them."""
        return self._peers

    def local_link(self, methods: Mapping[str, Method]) -> Link:
        """The embedding actor's own link: in this process, envelopes handed over as they are.

        It lives as long as the hub runs; there is no need to run it.
        """
        transport = LocalTransport(self._from_local)
        self._local = Link(transport, name=self.name, incarnation=self.incarnation, methods=methods, clock=self._clock)
        hello = Hello(0, 0, self.name, self.incarnation, 0, b"")
        self._targets[self.name] = Peer(
            hello, b"", now=self._clock(), deliver=transport.deliver, queued=lambda _route: 0
        )
        return self._local

    async def run(self) -> None:
        """Switch until cancelled.

        Raises:
            OSError: The endpoint cannot be used.
        """
        try:
            self.start()
            await asyncio.Event().wait()
        finally:
            await self.close()

    def start(self) -> None:
        """Begin listening. `run` does it; call it before to learn at once whether the endpoint can be used.

        Raises:
            OSError: It cannot.
        """
        if self._started:
            return
        self._transport.open(
            receive=self._receive, lost=self._lost, disconnected=self._on_disconnected, counters=self.counters
        )
        self._started = True
        if self._local is not None:
            self._local.start()
        self._tick_at = self._clock() + TICK_SECONDS
        self._alarm.by(self._tick_at)

    def expel(self, peer: Peer) -> None:
        """Have done with a peer, as if it were gone; that it does not come back is the business of `admits`."""
        self._drop(peer)

    async def close(self) -> None:
        """End what `start` began. Idempotent."""
        self._alarm.cancel()
        self._search.cancel()
        if self._local is not None:
            await self._local.close()
        self._transport.close()
        self._peers.clear()
        self._routes.clear()
        self._targets.clear()

    # --- switching -----------------------------------------------------------------------------------------------

    def _receive(self, route: bytes, envelopes: list[Envelope]) -> None:
        now = self._clock()
        strange = False
        for envelope in envelopes:
            peer = self._routes.get(route)
            if envelope.kind is Kind.HELLO:
                self._on_hello(route, envelope, peer)
            elif peer is None:
                self._stranger(route, told=strange)
                strange = True
            else:
                peer.last_seen = now
                self._switch(peer, envelope)

    def _from_local(self, envelope: Envelope) -> None:
        own = self._targets[self.name]
        if envelope.kind is Kind.HELLO:
            hello = decode_hello(envelope.body)
            own.deliver(self._welcome(hello, choose_version(hello)))
        else:
            self._switch(own, envelope)

    def _switch(self, peer: Peer, envelope: Envelope) -> None:
        react = self._on.get(envelope.kind)
        if envelope.source != peer.name:
            self.counters["forged"] += 1
        elif react is None:
            self.counters["ignored"] += 1
        else:
            react(peer, envelope)

    def _on_call(self, peer: Peer, envelope: Envelope) -> None:
        try:
            if not self._allowed(peer, envelope):
                raise DeniedError(f"{peer.role} may not call {envelope.method!r} on {envelope.target}")
            target = self._targets.get(envelope.target)
            if target is None:
                raise UnreachableError(self._nobody(envelope.target))
            if target.draining:
                raise UnreachableError(f"{envelope.target} is about to end and takes no more calls")
            target.deliver(envelope)
        except IpcError as error:
            self.counters[error.code] += 1
            self._refuse(envelope, error)

    def _on_event(self, peer: Peer, envelope: Envelope) -> None:
        if self._allowed(peer, envelope):
            self._forward(peer, envelope)
        else:
            self.counters["denied"] += 1

    def _forward(self, _peer: Peer, envelope: Envelope) -> None:
        target = self._targets.get(envelope.target)
        if target is None:
            self.counters[f"unreachable.{envelope.kind.name.lower()}"] += 1
        else:
            self._tell(target, envelope)

    def _on_item(self, peer: Peer, envelope: Envelope) -> None:
        """A stream without one of its items is lost, and whoever produces it is told: its reader may not hear."""
        target = self._targets.get(envelope.target)
        if target is None:
            self._forward(peer, envelope)
        elif not self._tell(target, envelope):
            self._refuse(envelope, LostError(f"too much waits for {envelope.target} already: an item was dropped"))

    def _on_ack(self, peer: Peer, envelope: Envelope) -> None:
        """A reader asks whether its stream still exists."""
        if envelope.target not in self._targets:
            self._refuse(envelope, LostError(self._nobody(envelope.target)))
        self._forward(peer, envelope)

    def _refuse(self, call: Envelope, error: IpcError) -> None:
        """Answer in the name of the target."""
        body = encode_error(error, own=True)
        caller = self._targets.get(call.source)
        if caller is not None:
            self._tell(caller, Envelope(Kind.ERROR, call.key, call.target, call.source, body=body))

    def _tell(self, peer: Peer, envelope: Envelope) -> bool:
        """Deliver to a peer, if it has room."""
        try:
            peer.deliver(envelope)
        except BusyError:
            self.counters[f"dropped.{envelope.kind.name.lower()}"] += 1
            return False
        return True

    def _allowed(self, peer: Peer, envelope: Envelope) -> bool:
        question = (peer.role, envelope.target, envelope.method)
        allowed = self._memo.get(question)
        if allowed is None:
            if len(self._memo) >= ACCESS_MEMO_MAX:
                self._memo.clear()
            allowed = self._access.allows(peer.role, role_of(envelope.target), envelope.method)
            self._memo[question] = allowed
        return allowed

    def _nobody(self, name: str) -> str:
        instances = sorted(other for other in self._targets if role_of(other) == name and other != name)
        hint = f"; there is {', '.join(instances)}: a call names one of them" if instances else ""
        return f"nobody named {name!r} is connected{hint}"

    # --- sessions ------------------------------------------------------------------------------------------------

    def _on_hello(self, route: bytes, envelope: Envelope, known: Peer | None) -> None:
        try:
            hello = decode_hello(envelope.body)
            version = choose_version(hello)
            if hello.name == self.name or not self._admits(route, hello.name, hello.incarnation):
                raise DeniedError(f"the connection {route!r:.80} may not be {hello.name!r}")
        except IpcError as error:
            self.counters[error.code] += 1
            log.warning("a hello was refused", route=repr(route)[:80], code=error.code, error=error.message)
            self._transport.answer(route, self._session_error(error))
            return
        if known is not None and known.session == hello.session:
            self._tell(known, self._welcome(hello, version))  # it asks again: the first answer is late or lost
            return
        for replaced in (known, self._peers.get(hello.name)):
            if replaced is not None:
                self._drop(replaced)
        peer = Peer(
            hello,
            route,
            now=self._clock(),
            deliver=partial(self._transport.send, route),
            queued=self._transport.queued,
        )
        self._routes[route] = peer
        self._peers[peer.name] = self._targets[peer.name] = peer
        self._tell(peer, self._welcome(hello, version))
        if self._on_peer is not None:
            self._on_peer(peer, hello.body)

    def _welcome(self, hello: Hello, version: int) -> Envelope:
        body = encode_welcome(Welcome(version, self.incarnation, hello.session))
        return Envelope(Kind.WELCOME, b"", self.name, hello.name, body=body)

    def _session_error(self, error: IpcError) -> Envelope:
        return Envelope(Kind.ERROR, b"", self.name, "", body=encode_error(error, own=True))

    def _stranger(self, route: bytes, *, told: bool) -> None:
        self.counters["strangers"] += 1
        if not told:
            self._transport.answer(route, self._session_error(UnknownPeerError("say hello first")))

    def _on_ping(self, peer: Peer, _envelope: Envelope) -> None:
        body = encode_welcome(Welcome(1, self.incarnation, peer.session))
        self._tell(peer, Envelope(Kind.PONG, b"", self.name, peer.name, body=body))

    def _on_bye(self, peer: Peer, _envelope: Envelope) -> None:
        if peer.route:
            self._drop(peer)

    def _drop(self, peer: Peer) -> None:
        """Forget a session, refuse the calls that still waited for it, and tell everybody that it is gone."""
        if self._routes.get(peer.route) is not peer:
            return
        del self._routes[peer.route]
        if self._peers.get(peer.name) is peer:
            del self._peers[peer.name], self._targets[peer.name]
        self._undelivered(self._transport.forget(peer.route))
        farewell = Envelope(Kind.BYE, b"", peer.name, "")
        for other in tuple(self._targets.values()):
            self._tell(other, farewell)
        if self._on_gone is not None:
            self._on_gone(peer)

    def _lost(self, route: bytes, envelopes: list[Envelope]) -> None:
        self._undelivered(envelopes)
        peer = self._routes.get(route)
        if peer is not None:
            self._drop(peer)

    def _undelivered(self, envelopes: list[Envelope]) -> None:
        for envelope in envelopes:
            self.counters[f"unreachable.{envelope.kind.name.lower()}"] += 1
            if envelope.kind is Kind.CALL:
                self._refuse(envelope, UnreachableError(f"{envelope.target} went away before the call reached it"))

    # --- liveness ------------------------------------------------------------------------------------------------

    def _tick(self) -> float | None:
        now = self._clock()
        late = now - self._tick_at
        for peer in tuple(self._peers.values()):
            if late > TICK_SECONDS:  # this process stood still itself: what peers said meanwhile is still unread
                peer.last_seen += late
            silence = now - peer.last_seen
            peer.liveness = liveness(silence)
            if peer.liveness is Liveness.DEAD:
                self.counters["dead"] += 1
                self._drop(peer)
            elif silence > PROBE_SECONDS:
                self._probe(peer)
        self._tick_at = now + TICK_SECONDS
        return self._tick_at

    def _probe(self, peer: Peer) -> None:
        self._tell(peer, Envelope(Kind.PING, b"", self.name, peer.name))

    def _on_disconnected(self) -> None:
        """Some connection is gone: a ping to each peer finds out whose, once the socket itself has taken note."""
        self._searches = [DISCONNECTED_SECONDS, 10 * DISCONNECTED_SECONDS]
        self._search.by(self._clock() + self._searches.pop(0))

    def _probe_all(self) -> float | None:
        for peer in tuple(self._peers.values()):
            self._probe(peer)
        return self._clock() + self._searches.pop(0) if self._searches else None


def _on_drain(peer: Peer, _envelope: Envelope) -> None:
    peer.draining = True


def _on_pong(_peer: Peer, _envelope: Envelope) -> None:
    """Being heard of is all a pong is for."""

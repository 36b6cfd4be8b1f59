"""Whatever is an envelope survives the wire; whatever is not is a MalformedError and nothing else."""

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from ipc.codec import decode_batch, decode_error, encode_batch, encode_error
from ipc.envelope import CREDIT_MAX, KEY_BYTES_MAX, REMAINING_MS_MAX, Envelope, Kind
from ipc.errors import IpcError, MalformedError, RemoteError
from ipc.handshake import Hello, decode_hello, decode_welcome, encode_hello

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=128)
names = st.from_regex(r"[a-z][a-z0-9_-]{0,31}(:[A-Za-z0-9._-]{1,64})?", fullmatch=True)
envelopes = st.builds(
    Envelope,
    kind=st.sampled_from(Kind),
    key=st.binary(max_size=KEY_BYTES_MAX),
    source=texts,
    target=texts,
    method=texts,
    remaining_ms=st.none() | st.integers(0, REMAINING_MS_MAX),
    idempotent=st.booleans(),
    trace=st.none() | texts,
    credit=st.integers(0, CREDIT_MAX),
    body=st.binary(max_size=300),
)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=40)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    lambda inner: st.lists(inner, max_size=15) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=40,
)


def decodes_or_is_malformed(frame: bytes) -> list[Envelope] | None:
    try:
        return decode_batch(frame)
    except MalformedError:
        return None


@given(st.lists(envelopes, max_size=20))
@settings(deadline=None)
def test_a_batch_survives_the_wire(batch: list[Envelope]) -> None:
    decoded = decode_batch(encode_batch(batch))
    assert decoded == batch
    assert all(type(envelope.kind) is Kind for envelope in decoded)


@given(st.binary(max_size=500))
@settings(deadline=None)
def test_arbitrary_bytes_are_malformed_or_harmless(frame: bytes) -> None:
    decodes_or_is_malformed(frame)


@given(plain)
@settings(deadline=None)
def test_arbitrary_values_are_malformed_or_harmless(value: object) -> None:
    decodes_or_is_malformed(msgpack.packb(value))


@given(envelopes, st.integers(0, 10), plain)
@settings(deadline=None)
def test_an_envelope_with_one_wrong_element_is_malformed_or_another_envelope(
    envelope: Envelope, place: int, value: object
) -> None:
    elements: list[object] = [1, *envelope]
    elements[place] = value
    decoded = decodes_or_is_malformed(msgpack.packb([elements]))
    assert decoded is None or [1, *decoded[0]][1:] == elements[1:]


@given(st.lists(envelopes, min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_a_damaged_frame_is_malformed_or_harmless(batch: list[Envelope], data: st.DataObject) -> None:
    frame = bytearray(encode_batch(batch))
    for _ in range(data.draw(st.integers(1, 5))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    decodes_or_is_malformed(bytes(frame))
    decodes_or_is_malformed(bytes(frame[: data.draw(st.integers(0, len(frame)))]))


@given(envelopes, st.lists(plain, min_size=1, max_size=5))
@settings(deadline=None)
def test_elements_that_a_later_version_appends_are_ignored(envelope: Envelope, more: list[object]) -> None:
    assert decode_batch(msgpack.packb([[1, *envelope, *_flat(more)]])) == [envelope]


def _flat(values: list[object]) -> list[object]:
    """Without maps, which no version puts beside a body."""
    return [value for value in values if not isinstance(value, dict | list)]


@given(names, texts, st.binary(max_size=200), st.integers(0, 2**31))
@settings(deadline=None)
def test_a_hello_survives_the_wire(name: str, incarnation: str, body: bytes, session: int) -> None:
    hello = Hello(
        1, 3, name, "".join(one for one in incarnation if one.isalnum() and one.isascii()) or "x", session, body
    )
    assert decode_hello(encode_hello(hello)) == hello


@given(st.binary(max_size=300) | plain.map(msgpack.packb))
@settings(deadline=None)
def test_a_wrong_hello_or_welcome_is_malformed(body: bytes) -> None:
    for decode in (decode_hello, decode_welcome):
        try:
            decode(body)
        except MalformedError:
            continue


@given(st.text(max_size=20), st.text(max_size=100), st.dictionaries(st.text(max_size=10), plain, max_size=5))
@settings(deadline=None)
def test_an_error_survives_the_wire(code: str, message: str, details: dict[str, object]) -> None:
    error = RemoteError(code, message, details)
    read = decode_error(encode_error(error, own=False))
    assert isinstance(read, RemoteError)
    if _encodable(code) and _encodable(message):
        assert (read.code, read.message) == (code, message)
    assert read.details == (details if _packable(details) else {})


def _encodable(text: str) -> bool:
    return not any("\ud800" <= one <= "\udfff" for one in text)


def _packable(value: object) -> bool:
    try:
        msgpack.packb(value)
    except ValueError:
        return False
    return True


@given(st.binary(max_size=300) | plain.map(msgpack.packb))
@settings(deadline=None)
def test_an_error_that_cannot_be_read_is_an_error_all_the_same(body: bytes) -> None:
    assert isinstance(decode_error(body), IpcError)

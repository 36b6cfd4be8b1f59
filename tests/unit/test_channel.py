"""The framing of private channels."""

import os
import socket
from collections.abc import Iterable
from typing import Any

import pytest

from ratchet.channel import FRAME_BYTES_MAX, Channel, ChannelError, Decoder, encode, pair


def test_messages_arrive_whole_however_they_are_cut() -> None:
    data = encode("one", {"a": 1}) + encode("two", {"b": [b"\x00", None]})
    decoder = Decoder()
    arrived = [message for at in range(len(data)) for message in decoder.feed(data[at : at + 1])]
    assert arrived == [("one", {"a": 1}), ("two", {"b": [b"\x00", None]})]


@pytest.mark.parametrize(
    "frame",
    [
        (FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x01\x90",
        encode("kind", {})[:4] + b"\xff" * 8,
        b"\x00\x00\x00\x08\x92\xa1k\x81\x81\x01\x02\x03",  # the key of a map is a map
    ],
)
def test_what_is_no_message_breaks_the_channel(frame: bytes) -> None:
    with pytest.raises(ChannelError):
        list(Decoder().feed(frame))


def test_descriptors_arrive_beside_their_message() -> None:
    ours, theirs = (Channel(end) for end in pair())
    read, write = os.pipe()
    ours.send("take", {"what": "pipe"}, fds=(write,))
    os.close(write)
    assert theirs.receive() == [("take", {"what": "pipe"})]
    (taken,) = theirs.take_fds(1)
    os.write(taken, b"x")
    assert os.read(read, 1) == b"x"
    with pytest.raises(ChannelError, match="1 descriptors expected, 0 arrived"):
        theirs.take_fds(1)
    os.close(taken)
    os.close(read)
    ours.close()
    assert theirs.receive() is None
    theirs.close()


def test_an_answer_is_read_though_the_other_side_hung_up_right_after_it() -> None:
    plain, theirs = pair()

    class Hasty(socket.socket):
        """The other side reads, answers and is gone before this side's write returns."""

        def sendmsg(self, buffers: Iterable[bytes], *rest: Any) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
            sent = super().sendmsg(buffers, *rest)
            answering = Channel(theirs)
            answering.receive()
            answering.send("answer")
            answering.close()
            return sent

    ours = Channel(Hasty(fileno=plain.detach()))
    with open(os.devnull, "rb") as null:  # noqa: PTH123
        ours.send("question", fds=(null.fileno(),))
    assert ours.receive() == [("answer", {})]
    assert ours.receive() is None
    ours.close()

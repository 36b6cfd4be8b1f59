"""Hostile input from a seed: values, bytes, and what becomes of valid messages when somebody tampers with them."""

from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any, cast

import msgpack
from pydantic_core import from_json, to_json

from ratchet import messages
from ratchet.messages import Procedure, StreamProcedure
from ratchet.models import Model

_TEXTS = (
    "",
    "\x00",
    "a" * 200,
    "\u202e",
    "../../etc/passwd",
    "' OR 1=1 --",
    "task-runner",
    "worker:1",
    "e0",
    "\U0001f4a5",
)
_NUMBERS = (0, 1, -1, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, 0.0, -1e308, float("inf"), float("nan"))
PROCEDURES: "list[Procedure[Any, Any] | StreamProcedure[Any, Any]]" = [
    one for one in vars(messages).values() if isinstance(one, Procedure | StreamProcedure)
]
_LARGE_BYTES = 9 * 1024 * 1024
_DEPTH_MAX = 4


class Hostile:
    """Makes it up.

    Args:
        chance: Where everything comes from.
    """

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def value(self, depth: int = 0) -> Any:
        """Something that msgpack can carry."""
        chance = self._chance
        match chance.randint(0, 9 if depth < _DEPTH_MAX else 5):
            case 0:
                return None
            case 1:
                return chance.random() < 0.5
            case 2:
                return chance.choice(_NUMBERS)
            case 3:
                return chance.choice(_TEXTS)
            case 4:
                return chance.randbytes(chance.choice([0, 1, 8, 33, 300]))
            case 5:
                return chance.randint(-5, 20)
            case 6 | 7:
                return [self.value(depth + 1) for _ in range(chance.randint(0, 4))]
            case _:
                return {str(self.value(_DEPTH_MAX))[:40]: self.value(depth + 1) for _ in range(chance.randint(0, 4))}

    def tampered(self, value: Any, depth: int = 0) -> Any:
        """The value with something in it replaced, removed, added or repeated."""
        chance = self._chance
        if isinstance(value, dict) and value and depth < _DEPTH_MAX and chance.random() < 0.9:
            changed = dict(cast("dict[Any, Any]", value))
            key = chance.choice(list(changed))
            match chance.randint(0, 3):
                case 0:
                    del changed[key]
                case 1:
                    changed[chance.choice(_TEXTS)] = self.value()
                case _:
                    changed[key] = self.tampered(changed[key], depth + 1)
            return changed
        if isinstance(value, (list, tuple)) and value and depth < _DEPTH_MAX and chance.random() < 0.9:
            items = list(cast("Sequence[Any]", value))
            place = chance.randrange(len(items))
            match chance.randint(0, 4):
                case 0:
                    del items[place]
                case 1:
                    items.insert(place, self.value())
                case 2:
                    items = items * chance.choice([2, 3])
                case _:
                    items[place] = self.tampered(items[place], depth + 1)
            return items
        return self.value()

    def frame(self, seen: Sequence[bytes]) -> bytes:
        """A frame: noise, or one of those seen with something done to its bytes or to what it says."""
        chance = self._chance
        if not seen or chance.random() < 0.1:
            return chance.randbytes(chance.choice([0, 1, 5, 40, 400]))
        frame = chance.choice(seen)
        if chance.random() < 0.0005:
            return frame + bytes(_LARGE_BYTES)
        if chance.random() < 0.6:
            return self._repacked(frame)
        return self.damaged(frame)

    def body(self, model: type[Model], seen: Sequence[bytes]) -> bytes:
        """The body of a call: like one that was seen, or like the model, or like nothing."""
        chance = self._chance
        if chance.random() < 0.1:
            return chance.randbytes(chance.choice([0, 3, 50]))
        if seen and chance.random() < 0.3:
            return self.damaged(chance.choice(seen))
        if seen and chance.random() < 0.7:
            with suppress(ValueError):
                return to_json(self.tampered(from_json(chance.choice(seen))), bytes_mode="base64")
        fields = {name: self.value() for name in model.model_fields if chance.random() < 0.8}
        return to_json(fields, bytes_mode="base64")

    def _repacked(self, frame: bytes) -> bytes:
        try:
            items = msgpack.unpackb(frame, strict_map_key=False)
            return msgpack.packb(self.tampered(items))
        except (ValueError, TypeError, OverflowError):
            return self.damaged(frame)

    def damaged(self, data: bytes) -> bytes:
        """The bytes with some of them flipped, cut off, added or repeated."""
        chance = self._chance
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 1, 2, 8])):
            place = chance.randint(0, len(damaged))
            match chance.randint(0, 3):
                case 0 if damaged:
                    damaged[place % len(damaged)] ^= 1 << chance.randint(0, 7)
                case 1:
                    del damaged[place:]
                case 2:
                    damaged[place:place] = chance.randbytes(chance.choice([1, 4, 100]))
                case _:
                    damaged += damaged[: chance.randint(0, 64)]
        return bytes(damaged)

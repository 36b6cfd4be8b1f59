"""The part of msgpack that this project calls, typed (the package ships no stubs)."""

from collections.abc import Callable
from typing import Any

class UnpackException(Exception): ...

def packb(o: object, *, use_bin_type: bool = ..., default: Callable[[Any], Any] | None = ...) -> bytes: ...
def unpackb(
    packed: bytes | bytearray | memoryview,
    *,
    raw: bool = ...,
    use_list: bool = ...,
    strict_map_key: bool = ...,
    max_str_len: int = ...,
    max_bin_len: int = ...,
    max_array_len: int = ...,
    max_map_len: int = ...,
    max_ext_len: int = ...,
) -> object: ...

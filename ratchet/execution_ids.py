"""Ids of executions, minted by whoever submits one."""

import secrets
import time


def new_execution_id() -> str:
    """An id that sorts by time (UUID version 7, RFC 9562, as `exec_` and 32 hex digits)."""
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62
    return f"exec_{value | random & 0x3FFF_FFFF_FFFF_FFFF:032x}"

"""Puts a function around a method of somebody else's class."""

import functools
from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]


def wrap(owner: type, name: str, around: Callable[[Function], Function]) -> None:
    """Replace a method by what `around` makes of it; a class that has none of that name is left as it is."""
    original = getattr(owner, name, None)
    if callable(original):
        setattr(owner, name, functools.wraps(original)(around(original)))

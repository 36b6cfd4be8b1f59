"""Tasks that fail, to see what a failure looks like."""

import random
from typing import Any

from ratchet import Context, task

_ORDERS = {"A-1": {"customer": "Ada", "total": 12.5}, "A-2": {"customer": "Grace"}}


class OrderError(Exception):
    """An order cannot be billed."""


@task(tags=["demo"])
def failing(order: str = "A-2", *, ctx: Context) -> str:
    """Bill an order.

    Args:
        order: A-1, or A-2, which has no total.
    """
    ctx.log.info("billing", order=order)
    found = _ORDERS.get(order, {})
    try:
        with ctx.span("bill", order=order):
            return _invoice(found)
    except KeyError as error:
        ctx.log.error("the order is incomplete", order=order, fields=sorted(found))
        raise OrderError(f"order {order} has no {error}") from error


@task(tags=["demo"], idempotent=True)
def flaky(chance: float = 0.5, *, ctx: Context) -> str:
    """Fail now and then.

    Args:
        chance: How probable a failure is.
    """
    drawn = random.random()  # noqa: S311 - nothing secret depends on it
    ctx.log.info("drawn", drawn=round(drawn, 3), chance=chance)
    if drawn < chance:
        raise ConnectionError(f"the service did not answer (drew {drawn:.3f}, below {chance})")
    return "this time it worked"


def _invoice(order: dict[str, Any]) -> str:
    return f"{order['customer']} owes {order['total']:.2f}"

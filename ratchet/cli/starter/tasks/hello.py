"""A first task. Edit it while `ratchet up` runs: the next execution uses the new version."""

from ratchet import Context, task


@task(tags=["example"])
def hello(ctx: Context, name: str = "world", times: int = 3) -> dict[str, list[str]]:
    """Greet somebody.

    Args:
        name: Who is greeted.
        times: How often.
    """
    ctx.log.info("greeting", name=name)
    greetings: list[str] = []
    for number in range(1, times + 1):
        with ctx.span("greet", number=number):
            greetings.append(f"Hello, {name}!")
        ctx.progress(number, times, f"greeted {number} times")
    return {"greetings": greetings}

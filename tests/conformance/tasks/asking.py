"""The suite's tools that ask the caller's LLM."""

from ratchet import Context, task


@task(id="test_sampling")
def sampling(prompt: str, *, ctx: Context) -> str:
    """Ask what it is told to."""
    return f"LLM response: {ctx.llm.complete(prompt, max_tokens=100).text}"


@task(id="test_input_required_result_sampling")
def required_sampling(ctx: Context) -> str:
    """Ask for a capital."""
    return ctx.llm.complete("What is the capital of France?", max_tokens=100).text


@task(id="test_input_required_result_capabilities")
def required_capabilities(ctx: Context) -> str:
    """Ask for what the client can be asked for."""
    return ctx.llm.complete("Can you be asked?", max_tokens=100).text


@task(id="test_input_required_result_tampered_state")
def required_tampered_state(ctx: Context) -> str:
    """Ask, and have nothing but that state go on."""
    return ctx.llm.complete("Is this yours?", max_tokens=100).text

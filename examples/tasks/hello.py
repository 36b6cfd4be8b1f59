"""The smallest task there is."""

from ratchet import task


@task
def hello(name: str = "world") -> str:
    """Greet somebody."""
    print(f"somebody called {name} is being greeted")  # becomes a log record
    return f"Hello, {name}!"

"""Where a chain of exceptions comes from, for chains as real code makes them."""

from pathlib import Path

from ratchet.analysis.root_cause import causal_path, failing_frame, root_cause, shown_frame, where
from ratchet.models import Failure
from tests.unit.failing import TaskFile


def types(failure: Failure) -> list[str]:
    return [error.type for error in causal_path(failure.chain)]


def place(failure: Failure) -> str:
    frame = failing_frame(failure.chain)
    assert frame is not None
    return where(frame)


def test_an_exception_that_nothing_caused_is_its_own_root(tmp_path: Path):
    failure = TaskFile(tmp_path, "def f():\n    raise ValueError('bad')\n").failure("f")

    assert types(failure) == ["ValueError"]
    assert place(failure) == "demo.py:2 in f"


def test_causes_are_followed_to_the_deepest(tmp_path: Path):
    failure = TaskFile(
        tmp_path,
        """
        def parse(row):
            return row["total"]

        def load(row):
            try:
                return parse(row)
            except KeyError as error:
                raise LookupError("no total") from error

        def f():
            try:
                load({})
            except LookupError as error:
                raise RuntimeError("not loaded") from error
        """,
    ).failure("f")

    assert types(failure) == ["RuntimeError", "LookupError", "KeyError"]
    assert place(failure) == "demo.py:3 in parse"


def test_what_a_handler_raises_on_purpose_comes_from_what_it_handled(tmp_path: Path):
    failure = TaskFile(
        tmp_path,
        """
        def f():
            try:
                {}["total"]
            except KeyError:
                raise RuntimeError("no total")
        """,
    ).failure("f")

    assert types(failure) == ["RuntimeError", "KeyError"]


def test_a_fallback_that_fails_by_itself_does_not_come_from_what_it_replaced(tmp_path: Path):
    failure = TaskFile(
        tmp_path,
        """
        def compute():
            raise ValueError("cannot be computed")

        def f():
            try:
                return {}["cached"]
            except KeyError:
                return compute()
        """,
    ).failure("f")

    assert types(failure) == ["ValueError"]
    assert place(failure) == "demo.py:3 in compute"


def test_a_handler_with_a_bug_is_the_cause_itself(tmp_path: Path):
    failure = TaskFile(
        tmp_path,
        """
        def f():
            try:
                open("/nowhere/at/all")
            except OSError as error:
                print(error.nothing)
        """,
    ).failure("f")

    assert types(failure) == ["AttributeError"]


def test_a_timeout_does_not_come_from_the_cancellation_that_made_it(tmp_path: Path):
    failure = TaskFile(
        tmp_path,
        """
        import asyncio

        async def wait():
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)

        def f():
            asyncio.run(wait())
        """,
    ).failure("f")

    assert types(failure) == ["TimeoutError"]
    assert place(failure).endswith("in wait")


def test_of_a_group_the_first_member_that_is_no_cancellation_is_the_cause(tmp_path: Path):
    failure = TaskFile(
        tmp_path,
        """
        import asyncio

        async def bad():
            raise ValueError("in the group")

        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(60))
                group.create_task(bad())

        def f():
            asyncio.run(main())
        """,
    ).failure("f")

    assert types(failure) == ["ExceptionGroup", "ValueError"]
    assert place(failure) == "demo.py:5 in bad"


def test_the_failing_frame_is_the_authors_although_a_library_raised(tmp_path: Path):
    failure = TaskFile(tmp_path, "import json\ndef f(text):\n    return json.loads(text)\n").failure("f", text="{")

    cause = root_cause(failure.chain)
    assert cause is not None
    assert cause.type == "json.decoder.JSONDecodeError"
    assert place(failure) == "demo.py:3 in f"


def test_a_root_cause_in_a_library_leads_to_the_authors_line_around_it(tmp_path: Path):
    failure = TaskFile(
        tmp_path,
        """
        import urllib.request

        def f():
            urllib.request.urlopen("http://127.0.0.1:9/")
        """,
    ).failure("f")

    cause = root_cause(failure.chain)
    assert cause is not None
    assert cause.type == "ConnectionRefusedError"
    assert place(failure) == "demo.py:5 in f"


def test_a_chain_without_exceptions_has_no_cause():
    assert causal_path([]) == []
    assert root_cause([]) is None
    assert failing_frame([]) is None


def test_the_lines_around_the_failing_one_are_shown_with_their_numbers(tmp_path: Path):
    file = TaskFile(tmp_path, "def f():\n    a = 1\n    b = 0\n    return a / b\n\n# end\n")
    frame = failing_frame(file.failure("f").chain)
    assert frame is not None

    shown = shown_frame(frame, {str(file.path): file.source})

    assert shown.source_lines == [
        "     1 | def f():",
        "     2 |     a = 1",
        "     3 |     b = 0",
        ">    4 |     return a / b",
        "     5 |",
        "     6 | # end",
    ]


def test_a_file_that_changed_since_is_not_shown(tmp_path: Path):
    file = TaskFile(tmp_path, "def f():\n    return 1 / 0\n")
    frame = failing_frame(file.failure("f").chain)
    assert frame is not None

    shown = shown_frame(frame, {str(file.path): "# a new first line\n" + file.source})

    assert shown.source_lines == [">    2 | return 1 / 0"]

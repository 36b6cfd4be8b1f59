"""Pages: what they show, that nothing on them acts, and how little a browser may do with them."""

import base64
import hashlib
import shlex
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.pages import views
from actors.mcp_front.pages.accept import prefers_html
from actors.mcp_front.pages.rendering import visible
from actors.mcp_front.pages.waterfall import Bar, ticks, waterfall
from tests.unit.page_examples import EVIL, TURNED, concurrent, hostile, large, text_of

ID = {"execution_id": "exec_1"}


class Elements(HTMLParser):
    """The elements of a page with their attributes, as a browser finds them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.style += data
        else:
            self.text += data

    def of(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.found if name == tag)


async def pages_about_hostile() -> list[str]:
    trace = await views.trace(hostile(), ID, with_logs=True)
    logs = await views.logs(hostile(), {**ID, "search": EVIL}, with_trace=True)
    refused = Answer({"error": {"type": EVIL, "message": EVIL + TURNED, "problems": [{"path": EVIL}]}}, "", failed=True)
    return [text_of(trace), text_of(logs), text_of(views.refused(refused, 400))]


# --- what is said is text ------------------------------------------------------------------------------------------


async def test_nothing_that_a_task_says_becomes_an_element_an_attribute_or_an_address() -> None:
    for page in await pages_about_hostile():
        elements = Elements(page)
        names = {name for name, _ in elements.found}
        attributes = {key for _, given in elements.found for key in given}
        addresses = [given.get("href") or "" for given in elements.of("a")]

        assert not names & {"script", "img", "iframe", "object", "base", "i", "b"}
        assert not [key for key in attributes if key.startswith("on") or key == "style"]
        assert [one for one in addresses if not one.startswith(("/traces/exec_1", "/logs/exec_1", "#"))] == []
        assert EVIL in elements.text
        assert "49" not in elements.text


async def test_characters_that_act_are_spelt_out() -> None:
    for page in await pages_about_hostile():
        assert visible(page.replace("\r", "")) == page
        assert r"\u202etxt.exe\u2066 \u001b[31mred\u0000\u009b \u2028 \ud800" in page


async def test_a_browser_may_load_run_and_send_nothing() -> None:
    for form, found in (
        ("'none'", await views.trace(hostile(), ID, with_logs=True)),
        ("'self'", await views.logs(hostile(), ID, with_trace=True)),
        ("'none'", views.unauthenticated(None, "/traces/exec_1")),
    ):
        assert not isinstance(found, Answer)
        digest = base64.b64encode(hashlib.sha256(Elements(text_of(found)).style.encode()).digest()).decode()
        assert found.headers["content-security-policy"] == (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action {form}; "
            "frame-ancestors 'none'"
        )
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["cache-control"] == "no-store"


def test_a_command_to_copy_holds_no_more_than_one_address() -> None:
    page = Elements(text_of(views.unauthenticated("http://127.0.0.1:8090", "/traces/x' ; rm -rf $(HOME) `id`")))
    command = page.text[page.text.index("curl ") :].splitlines()[0]

    assert shlex.split(command)[-1].startswith("http://127.0.0.1:8090/traces/x%27%20%3B%20rm")
    assert len(shlex.split(command)) == 8


# --- what is shown ------------------------------------------------------------------------------------------------


async def test_a_waterfall_shows_nesting_the_critical_path_and_failures() -> None:
    page = text_of(await views.trace(concurrent(), ID, with_logs=True))
    spans = {given["id"]: given for given in Elements(page).of("li") if "aria-level" in given}

    assert {name: given["aria-level"] for name, given in spans.items()} == {
        "span-root": "1",
        "span-read": "2",
        "span-slow": "2",
        "span-quick": "2",
        "span-inner": "3",
    }
    marked = {name for name, given in spans.items() if "critical" in (given["class"] or "").split()}
    assert marked == {"span-root", "span-read", "span-slow", "span-inner"}
    assert "failed" in (spans["span-quick"]["class"] or "").split()
    assert "read 7 rows" in page
    assert 'href="/logs/exec_1"' in page


async def test_a_part_of_a_large_trace_is_shown_and_what_is_left_out_is_one_link_away() -> None:
    page = text_of(await views.trace(large(), ID, with_logs=False))
    shown = sum("aria-level" in given for given in Elements(page).of("li"))

    assert 100 < shown < 1000
    assert len(page) < 1_000_000
    assert f"{shown} of 5000 spans are shown" in page
    assert 'href="/traces/exec_1/visualize?span_id=g' in page
    zoomed = text_of(await views.trace(large(1000), {**ID, "span_id": "g7"}, with_logs=False))
    assert sum("aria-level" in given for given in Elements(zoomed).of("li")) == 101
    assert "The whole trace" in zoomed


async def test_logs_are_paged_and_filtered_by_links_that_keep_what_was_chosen() -> None:
    page = text_of(await views.logs(hostile(), {**ID, "level": "error", "search": "a b"}, with_trace=True))
    elements = Elements(page)

    assert "/logs/exec_1?level=error&search=a+b&cursor=1.9" in {given.get("href") for given in elements.of("a")}
    assert [given["value"] for given in elements.of("option") if "selected" in given] == ["error"]
    assert [given["value"] for given in elements.of("input")] == ["a b"]


async def test_what_may_not_be_seen_is_not_linked() -> None:
    assert "/logs/" not in text_of(await views.trace(concurrent(), ID, with_logs=False))
    assert "/traces/" not in text_of(await views.logs(concurrent(), ID, with_trace=False))


# --- where things are on the axis ---------------------------------------------------------------------------------


async def test_every_bar_lies_on_the_axis() -> None:
    def below(bars: tuple[Bar, ...]) -> Iterator[Bar]:
        return (one for bar in bars for one in bar.walk())

    drawn = waterfall((await large(500)("get_execution_trace", {"max_spans": 1000})).structured["trace"])
    for bar in below(drawn.bars):
        assert 0 <= bar.start <= bar.start + bar.width <= 100


@pytest.mark.parametrize(
    ("axis_ms", "labels"),
    [
        (0.0004, ["0", "0.1 µs", "0.2 µs", "0.3 µs", "0.4 µs"]),
        (1, ["0", "200 µs", "400 µs", "600 µs", "800 µs", "1000 µs"]),
        (447, ["0", "100 ms", "200 ms", "300 ms", "400 ms"]),
        (6000, ["0", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s"]),
        (0, []),
    ],
)
def test_ticks_are_at_round_times(axis_ms: float, labels: list[str]) -> None:
    assert [tick.label for tick in ticks(axis_ms)] == labels


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/event-stream", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("TEXT/HTML ; q=0.5", True),
        ("application/json, text/html;q=0.9", False),
        ("application/json;q=0.5, text/html", True),
        ("text/html;q=0, */*", False),
        ("text/html;q=nonsense", False),
    ],
)
def test_only_who_prefers_html_gets_it(accept: str, html: bool) -> None:
    assert prefers_html(accept) is html

"""The pages in a real browser: what a person sees, with nothing refused by the pages' own policy."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.responses import Response

from actors.mcp_front.answers.answer import Answer
from actors.mcp_front.pages import views
from ratchet.bodies.executions import Submit
from ratchet.cli.connection import connect
from ratchet.execution_ids import new_execution_id
from ratchet.messages import SUBMIT
from ratchet.models import Source
from tests.harness import Json, RunningProject
from tests.unit.page_examples import EVIL, concurrent, hostile, large

pytestmark = pytest.mark.asyncio(loop_scope="module")

ELSEWHERE = "http://pages.test/traces/exec_1"
ID = {"execution_id": "exec_1"}
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 700}


async def executed(project: RunningProject, task_id: str, given: Json) -> str:
    async with connect(project.project) as shell:
        request = Submit(
            execution_id=new_execution_id(),
            task_id=task_id,
            input=given,
            source=Source(kind="mcp", client="local"),
            wait_seconds=30,
        )
        return (await shell.call(SUBMIT, request)).execution_id


@asynccontextmanager
async def looking(chromium: Any, viewport: Mapping[str, int] = WIDE, scheme: str = "light") -> AsyncGenerator[Any]:
    """A tab. What its console says, and what it could not load, fails the test."""
    tab = await chromium.new_page(viewport=viewport, color_scheme=scheme)
    complaints: list[str] = []

    def complain(what: Any) -> None:
        complaints.append(str(what))

    for event in ("console", "pageerror", "requestfailed", "dialog"):
        tab.on(event, complain)
    try:
        yield tab
        # Violations are reported while the page is laid out: once it has been, there is none to come.
        await tab.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    finally:
        await tab.close()
    assert complaints == []


async def serve(tab: Any, found: Response | Answer) -> None:
    """Have the tab show a page, with the headers it comes with, as if a server had sent it."""
    assert isinstance(found, Response)
    headers = {name: value for name, value in found.headers.items() if name != "content-length"}
    body = bytes(found.body)

    async def fulfil(route: Any) -> None:
        await route.fulfill(status=found.status_code, headers=headers, body=body)

    await tab.unroute_all()
    await tab.route("**/*", fulfil)
    await tab.goto(ELSEWHERE)


async def place(tab: Any, name: str, within: str = "bdi") -> Json:
    """Where the name of a span is, or its bar."""
    row = tab.locator(".span summary").filter(has=tab.get_by_text(name, exact=True)).first
    return await row.locator(within).bounding_box()


async def test_a_person_sees_spans_their_nesting_and_the_critical_path(
    chromium: Any, shared_project: RunningProject
) -> None:
    execution_id = await executed(shared_project, "steps", {"count": 3, "seconds": 0.02})
    async with looking(chromium) as tab:
        response = await tab.goto(f"{shared_project.base_url}/traces/{execution_id}/visualize")
        assert response.status == 200
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert await tab.get_by_role("heading", level=1).inner_text() == "Trace of steps"
        levels = [await one.get_attribute("aria-level") for one in await tab.locator("li[aria-level]").all()]
        assert levels == ["1", "2", "2", "2"]
        assert (await place(tab, "steps"))["x"] < (await place(tab, "step"))["x"]
        assert await tab.locator("li.critical[aria-level]").count() == 4

        # By keyboard: a row is reached and opened like any other control.
        attribute = tab.get_by_text("number", exact=True).first
        assert not await attribute.is_visible()
        await tab.locator(".span summary").nth(1).focus()
        await tab.keyboard.press("Enter")
        await attribute.wait_for(state="visible")

        await tab.get_by_role("link", name="Logs").click()
        await tab.get_by_text("step 2", exact=True).wait_for()
        await tab.get_by_label("Message contains").fill("step 3")
        await tab.keyboard.press("Enter")
        await tab.get_by_role("link", name="Everything").wait_for()
        assert await tab.locator(".records .message").all_inner_texts() == ["step 3"]


async def test_bars_are_where_their_time_was(chromium: Any) -> None:
    async with looking(chromium) as tab:
        await serve(tab, await views.trace(concurrent(), ID, with_logs=True))
        whole, read, slow, quick = [await place(tab, name, "rect") for name in ("main", "read", "slow", "quick")]
        assert read["x"] == pytest.approx(whole["x"] + 0.05 * whole["width"], abs=2)
        assert slow["width"] == pytest.approx(0.6 * whole["width"], abs=2)
        assert quick["x"] == pytest.approx(slow["x"], abs=2)
        # The path and failures are told by more than their colour.
        assert await tab.locator("li.critical[aria-level]").count() == 4
        assert "◆" in await tab.locator("#span-slow > details > summary").inner_text()
        assert "◆" not in await tab.locator("#span-quick > details > summary").inner_text()
        assert await tab.locator("#span-quick").get_by_text("✕ failed").is_visible()


async def test_nothing_hostile_acts(chromium: Any) -> None:
    for found in (
        await views.trace(hostile(), ID, with_logs=True),
        await views.logs(hostile(), {**ID, "search": EVIL}, with_trace=True),
    ):
        async with looking(chromium) as tab:
            await serve(tab, found)
            assert await tab.locator("script, img, [onclick], [style]").count() == 0
            assert EVIL in await tab.locator("body").inner_text()


async def test_pages_fit_the_screen_in_light_and_dark(chromium: Any) -> None:
    pages = [
        await views.trace(hostile(), ID, with_logs=True),
        await views.trace(large(1000), ID, with_logs=True),
        await views.logs(hostile(), ID, with_trace=True),
    ]
    backgrounds: set[str] = set()
    for viewport, scheme in ((WIDE, "light"), (NARROW, "dark")):
        async with looking(chromium, viewport, scheme) as tab:
            for found in pages:
                await serve(tab, found)
                assert await tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            backgrounds.add(await tab.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    assert len(backgrounds) == 2

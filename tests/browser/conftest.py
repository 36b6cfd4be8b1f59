"""A real browser: Playwright with the Chromium of the system. Both are optional; without them the tests say so."""

import os
import shutil
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncGenerator[Any]:
    """A running Chromium, as Playwright's `Browser`."""
    playwright: Any = pytest.importorskip(
        "playwright.async_api", reason="Playwright is not installed: pip install 'ratchet-mcp[browser]'"
    )
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium on the PATH: apt-get install chromium")
    # Its sandbox needs another user than root, as which it runs in containers.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=options)
        try:
            yield browser
        finally:
            await browser.close()

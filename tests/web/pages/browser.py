"""A server of its own and a Chromium that looks at it, for tests that need eyes and fingers."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from litestar import Litestar

ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "pages"
"""Where screenshots are left for people to look at."""

WIDTHS = (1440, 390)
THEMES = ("light", "dark")
VIEWS = [
    ("light", 1440), ("dark", 390), pytest.param("light", 390, marks=pytest.mark.long), pytest.param("dark", 1440, marks=pytest.mark.long),
]  # fmt: skip
"""Every screen is looked at in each theme and at each width; in all pairs of them by the long run."""
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
WHERE = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium() -> str:
    """A browser that is there. Without one the test is skipped, and says so."""
    found = os.environ.get("BETON_CHROMIUM") or next(filter(None, map(shutil.which, WHERE)), None)
    if not found:
        pytest.skip("NO BROWSER: the pages were not looked at. Install one (apt-get install chromium), or name one in BETON_CHROMIUM.")
    return found


@contextmanager
def served(app: Litestar) -> Generator[str]:
    """The application on a real socket; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", ws="none", log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until = time.monotonic() + 10
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@dataclass
class Eyes:
    """A browser at an address, and what it has noticed: requests to elsewhere, and errors of scripts or of the content policy."""

    browser: Any
    address: str
    token: str
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @contextmanager
    def page(self, *, width: int = 1440, theme: str = "light", scripts: bool = True) -> Generator[Any]:
        """A fresh window, signed in."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, java_script_enabled=scripts, reduced_motion="reduce", base_url=self.address
        )
        context.add_cookies([{"name": "beton_session", "value": self.token, "url": self.address}])
        window = context.new_page()
        window.set_default_timeout(10_000)
        window.on("request", self._noted)
        window.on("pageerror", lambda error: self.errors.append(str(error)))
        window.on("console", lambda told: self.errors.append(told.text) if told.type == "error" else None)
        try:
            yield window
        finally:
            context.close()

    def _noted(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.elsewhere.append(request.url)


def violations(window: Any) -> list[str]:
    """What axe finds against WCAG 2.2 AA, one line each."""
    from axe_playwright_python.sync_playwright import Axe

    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(window, options={"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]} ({len(one['nodes'])})" for one in found]


def keep_screenshot(window: Any, name: str) -> None:
    """For people to look at."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    window.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)

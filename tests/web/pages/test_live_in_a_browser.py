"""The rest of the desk as a browser shows it: from nothing to the first feedback, signals by keyboard, and every screen with axe."""

import re

import pytest

from beton.lifecycle import Status
from beton.signals import Feedback, Finding
from beton.store import connections, following, hypotheses, runs, signals
from beton.store.records import RunStatus
from beton.store.store import Store
from tests.web.pages.browser import VIEWS, WIDTHS, Eyes, keep_screenshot, violations
from tests.web.pages.conftest import propose
from tests.web.pages.live import Desk
from tests.web.pages.test_in_a_browser import SMALL, press

SCREENS = {
    "signals": "/signals",
    "signals-mine": "/signals?whose=mine",
    "signal": "/signals/{signal}",
    "signal-taken-back": "/signals/{back}",
    "account": "/accounts/{unit}",
    "routing": "/routing",
    "routing-given-up": "/routing?status=dead",
    "route": "/routing/routes/{route}",
    "reach": "/routing/reach",
    "delivery": "/routing/deliveries/{delivery}",
    "data": "/data",
    "connection": "/data/{connection}",
    "run": "/runs/{run}",
    "settings": "/settings",
    "people": "/settings/people",
    "installation": "/settings/installation",
    "audit": "/settings/audit",
    "start-review": "/start",
}
"""Every further screen, by the name of its screenshot."""

EMPTY = {
    "start": "/start",
    "signals-empty": "/signals",
    "routing-empty": "/routing",
    "route-kinds": "/routing/new",
    "route-slack": "/routing/new/slack",
    "route-email": "/routing/new/email",
    "data-empty": "/data",
}


def look_at(eyes: Eyes, screens: dict[str, str], theme: str, width: int) -> None:
    with eyes.page(width=width, theme=theme) as window:
        for name, path in screens.items():
            window.goto(path, wait_until="domcontentloaded")
            keep_screenshot(window, f"{name}-{theme}-{width}")
            assert violations(window) == [], f"{name}, {theme}, {width}"
            assert window.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width}"
            if width == min(WIDTHS):
                assert window.evaluate(SMALL) == [], f"{name}, {theme}"


@pytest.mark.parametrize(("theme", "width"), VIEWS)
def test_every_screen_of_a_live_desk_is_accessible(eyes: Eyes, desk: Desk, store: Store, theme: str, width: int):
    with store.transaction() as tx:
        following.take_back(tx, desk.signals[6].id, actor="Ada")
        following.say(tx, desk.signals[0].id, Feedback.WORKED, actor="Ada")
        connection = connections.every(tx)[0]
        run = runs.begin(tx, runs.queue(tx, "backtest", connection_id=connection.id).id)
        runs.progress(tx, run.id, done=3, total=16, message="Reading bucket 3 of 16")
        filled = {
            "signal": desk.signals[0].id,
            "back": desk.signals[6].id,
            "unit": str(signals.key_of(tx, desk.signals[0])),
            "route": desk.routes[0].id,
            "delivery": desk.dead,
            "connection": connection.id,
            "run": run.id,
        }
    look_at(eyes, {name: path.format(**filled) for name, path in SCREENS.items()}, theme, width)


@pytest.mark.parametrize(("theme", "width"), VIEWS)
def test_every_empty_screen_is_accessible_and_teaches(eyes_on_nothing: Eyes, theme: str, width: int):
    look_at(eyes_on_nothing, EMPTY, theme, width)


def test_feedback_is_one_key(eyes: Eyes, store: Store, desk: Desk):
    with eyes.page() as window:
        window.goto("/signals")
        first = window.locator(".item.is-at").get_attribute("id")
        press(window, "1")
        window.locator(f'#{first} button[aria-pressed="true"]').wait_for()
        press(window, "j", "c")
        window.get_by_text("with Ada Lovelace").wait_for()
        press(window, "t")
        window.locator(".is-taken-back").wait_for()
        assert window.locator(".is-taken-back").get_attribute("id") != first
        assert violations(window) == []
    with store.reading() as tx:
        assert following.feedback(tx, [str(first)])[str(first)].verdict is Feedback.WORKED


def test_from_nothing_to_the_first_feedback(eyes_on_nothing: Eyes, store: Store, place):
    with eyes_on_nothing.page() as window:
        window.goto("/")
        window.wait_for_url("**/start")
        window.get_by_label("Personal API key").fill("phx_canary")
        window.get_by_role("button", name="Check and connect").click()
        window.get_by_text("What should be predicted?").wait_for()
        press(window, "1")
        window.get_by_text("Searching product").wait_for()
        assert violations(window) == []
        with store.transaction() as tx:
            connection = connections.get(tx, "product")
            (run,) = runs.listing(tx).data
            runs.begin(tx, run.id)
            runs.progress(tx, run.id, done=210, total=674, message="Trying pairs of conditions")
        window.get_by_text("Trying pairs of conditions").wait_for()
        found = propose(store, place, connection)
        with store.transaction() as tx:
            runs.finish(tx, run.id, RunStatus.DONE, counts={"tried": 674, "proposed": len(found)})
        window.get_by_text("7 proposals wait for your decision").wait_for()
        press(window, "o")
        window.wait_for_url("**/review")
        press(window, "a", "a")
        window.get_by_text("Approved", exact=True).wait_for()
        with store.transaction() as tx:
            live = hypotheses.every(tx, statuses=[Status.APPROVED])[0]
            signals.record(tx, live.id, 1, [Finding(unit_kind="person", unit_id="grace@hopper.example", fired_at=tx.now, confidence=0.31)])
        press(window, "g", "s")
        window.get_by_role("link", name="grace@hopper.example").wait_for()
        press(window, "1")
        window.locator('button[aria-pressed="true"]', has_text=re.compile("Worked")).wait_for()


def test_without_script_signals_are_answered_all_the_same(eyes: Eyes, store: Store, desk: Desk):
    one = desk.signals[0]
    with eyes.page(scripts=False, width=390) as window:
        window.goto("/signals")
        window.locator(f"#{one.id}").get_by_role("button", name="Not a fit").click()
        window.wait_for_url("**/signals")
        window.get_by_role("link", name="grace@hopper.example").click()
        window.get_by_text("Not a fit, says Ada Lovelace").wait_for()
        window.goto("/routing")
        window.get_by_text("Add a route", exact=True).click()
        window.get_by_label("Name").fill("second")
        window.get_by_label("Address").fill("https://hooks.example.com/x")
        window.get_by_role("button", name="Add", exact=True).click()
        window.get_by_text("second is added.").wait_for()

"""The pages as a browser shows them: decided on by keyboard, read without script, accessible in both themes and both widths, asking nobody else."""

import pytest

from beton.lifecycle import Action, Status
from beton.store import hypotheses
from beton.store.records import Hypothesis
from beton.store.store import Store
from beton.work.deciding import decide
from tests.web.pages.browser import VIEWS, Eyes, keep_screenshot, violations

SCREENS = {
    "review": "/review",
    "review-nothing-matches": "/review?q=nothing",
    "approve": "/hypotheses/{first}/approve",
    "approve-below": "/hypotheses/{last}/approve",
    "reject": "/hypotheses/{first}/reject",
    "snooze": "/hypotheses/{first}/snooze",
    "several": "/review/several?action=approve&ids={first}&ids={last}",
    "hypotheses": "/hypotheses",
    "hypothesis": "/hypotheses/{first}",
    "hypothesis-against": "/hypotheses/{last}",
    "pictures": "/hypotheses/pictures?capacity=12",
    "pictures-nothing": "/hypotheses/pictures?q=nothing",
    "fires": "/hypotheses/{first}/fires",
    "fires-tp": "/hypotheses/{first}/fires?cell=tp",
    "compare": "/hypotheses/compare?a={first}&b={last}",
    "new": "/hypotheses/new",
    "edit": "/hypotheses/{first}/edit",
    "help-numbers": "/help/numbers",
    "help-keys": "/help/keys",
    "not-found": "/hypotheses/hyp_unknown",
    "sign-in": "/sign-in",
}
"""Every screen, by the name of its screenshot. `first` clears the bar, `last` does not."""


SMALL = """
[...document.querySelectorAll("button, a.button, summary, input, select")]
  .filter((one) => one.getClientRects().length)
  .map((one) => [one.outerHTML.slice(0, 80), (one.type === "checkbox" && one.closest("label") || one).getBoundingClientRect()])
  .filter(([, box]) => box.width > 2 && (box.width < 24 || box.height < 24))
  .map(([html]) => html)"""
"""What is harder to meet than WCAG 2.2 allows; a box that lies in its label is met by that."""


def status_of(store: Store, one: Hypothesis) -> Status:
    with store.reading() as tx:
        return hypotheses.get(tx, one.id).status


def press(window, *keys: str) -> int:
    """One key after the other, as fast as fingers are; how many there were."""
    for key in keys:
        window.keyboard.press(key)
    return len(keys)


def test_a_decision_takes_at_most_three_keys_on_one_page(eyes: Eyes, store: Store, proposed: list[Hypothesis]):
    first, second, third = proposed[:3]
    with eyes.page() as window:
        window.goto("/review")
        assert press(window, "a", "a") <= 3
        window.get_by_text("Approved", exact=True).wait_for()
        assert status_of(store, first) is Status.APPROVED
        assert press(window, "x", "2") <= 3  # the next one is at hand already
        window.get_by_text("Rejected", exact=True).wait_for()
        assert status_of(store, second) is Status.REJECTED
        assert press(window, "h", "2") <= 3
        window.get_by_text("Snoozed", exact=True).wait_for()
        assert status_of(store, third) is Status.SNOOZED
        assert window.locator("#review-line").inner_text() == "4 proposals wait, 1 clears the bar."
        assert window.locator(".wide [data-tally=review]").inner_text().startswith("4")
        keep_screenshot(window, "review-decided-light-1440")
        assert violations(window) == []
        assert window.url.endswith("/review")


def test_u_takes_the_last_decision_back(eyes: Eyes, store: Store, proposed: list[Hypothesis]):
    with eyes.page() as window:
        window.goto("/review")
        press(window, "j", "x", "1")
        window.get_by_text("Rejected", exact=True).wait_for()
        press(window, "x", "3")
        window.locator(f"#{proposed[2].id}.is-done").wait_for()
        press(window, "u")
        window.locator(f"#{proposed[2].id}:not(.is-done)").wait_for()
        assert [status_of(store, one) for one in proposed[:3]] == [Status.PROPOSED, Status.REJECTED, Status.PROPOSED]
        press(window, "u")
        window.locator(f"#{proposed[1].id}:not(.is-done)").wait_for()
        assert status_of(store, proposed[1]) is Status.PROPOSED


def test_what_does_not_clear_takes_a_reason_and_no_more_keys(eyes: Eyes, store: Store, proposed: list[Hypothesis]):
    with eyes.page() as window:
        window.goto("/review")
        press(window, *["j"] * 6, "a", "1")
        window.get_by_text("Approved", exact=True).wait_for()
    with store.reading() as tx:
        assert hypotheses.get(tx, proposed[-1].id).override_reason == "Worth a trial"


def test_keys_walk_search_go_and_explain(eyes: Eyes, proposed: list[Hypothesis]):
    with eyes.page() as window:
        window.goto("/review")
        press(window, "j", "j", "k")
        assert window.locator(".item.is-at").get_attribute("id") == proposed[1].id
        press(window, "?")
        assert window.locator("dialog[open]").is_visible()
        assert violations(window) == []
        press(window, "Escape", "/")
        assert window.evaluate("document.activeElement.name") == "q"
        window.keyboard.type("jaxh")
        assert window.locator("[data-search]").input_value() == "jaxh"
        assert window.locator(".panel > *").count() == 0
        press(window, "Escape", "g", "h")
        window.wait_for_url("**/hypotheses")
        press(window, "j", "Enter")
        window.wait_for_url("**/hypotheses/hyp_*")
        press(window, "e")
        window.wait_for_url("**/edit")


def test_a_stale_decision_is_told_where_one_looks(eyes: Eyes, store: Store, place, proposed: list[Hypothesis]):
    with eyes.page() as window:
        window.goto("/review")
        press(window, "a")
        window.get_by_text("If you approve, from now on:").wait_for()
        decide(place, proposed[0].id, Action.REJECT, actor="somebody else", reason="Known.")
        press(window, "a")
        window.get_by_role("alert").get_by_text("changed by somebody else").wait_for()
        assert violations(window) == []


def test_several_are_decided_together_with_the_space_bar(eyes: Eyes, store: Store, proposed: list[Hypothesis]):
    with eyes.page() as window:
        window.goto("/review")
        press(window, " ", "j", " ")
        assert window.get_by_text("2 selected").is_visible()
        window.get_by_role("button", name="Snooze…").click()
        window.get_by_text("Snooze 2 proposals?").wait_for()
        window.wait_for_load_state("load")
        press(window, "2")
        window.get_by_text("Snoozed: 2").wait_for()
    assert [status_of(store, one) for one in proposed[:3]] == [Status.SNOOZED, Status.SNOOZED, Status.PROPOSED]


def test_a_sentence_follows_what_is_being_written(eyes: Eyes):
    with eyes.page() as window:
        window.goto("/hypotheses/new")
        box = window.get_by_label("The hypothesis")
        box.fill(box.input_value().replace("at_least: 2", "at_least: 5"))
        window.get_by_text("at least 5 times within 7 days").wait_for()
        box.fill(box.input_value().replace("kind: did", "kind: dit"))
        window.get_by_text("thing is not right yet").wait_for()
        assert violations(window) == []


def test_without_script_one_reads_and_decides_all_the_same(eyes: Eyes, store: Store, proposed: list[Hypothesis]):
    with eyes.page(scripts=False, width=390) as window:
        window.goto("/review")
        window.locator(f"#{proposed[0].id}").get_by_role("link", name="Approve").click()
        window.get_by_role("button", name="Approve").click()
        window.wait_for_url("**/review?done=*")
        assert status_of(store, proposed[0]) is Status.APPROVED
        window.get_by_role("button", name="Undo").click()
        window.get_by_text("Back in review").wait_for()
        assert status_of(store, proposed[0]) is Status.PROPOSED
        window.get_by_text("Menu").click()
        window.locator(".menu").get_by_role("link", name="Hypotheses").click()
        assert window.locator("tr[data-item]").count() == 7


@pytest.mark.parametrize(("theme", "width"), VIEWS)
def test_every_screen_is_accessible(eyes: Eyes, proposed: list[Hypothesis], theme: str, width: int):
    with eyes.page(width=width, theme=theme) as window:
        for name, path in SCREENS.items():
            window.goto(path.format(first=proposed[0].id, last=proposed[-1].id))
            keep_screenshot(window, f"{name}-{theme}-{width}")
            assert violations(window) == [], f"{name}, {theme}, {width}"
            assert window.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width}"


@pytest.mark.parametrize(("theme", "width"), VIEWS)
def test_an_open_sheet_is_accessible(eyes: Eyes, theme: str, width: int):
    with eyes.page(width=width, theme=theme) as window:
        window.goto("/review")
        for key in ("a", "x", "h"):
            press(window, key)
            window.locator(".panel form").wait_for()
            keep_screenshot(window, f"review-{key}-{theme}-{width}")
            assert violations(window) == []
            press(window, "Escape")


def test_targets_are_large_enough_to_be_met(eyes: Eyes):
    with eyes.page(width=390) as window:
        window.goto("/review")
        small = window.evaluate(SMALL)
        assert small == []

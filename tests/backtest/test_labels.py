"""Each label on cases taken from the reference logs, at its threshold, and what it must leave alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.labels import Evidence, Order, labels
from backtest.proportions import Closed, Interval

HARMLESS = Evidence(
    fires_total=400,
    excluded_converted=40,
    true_positives=90,
    leads_within_1h=9,
    lift=2.4,
    closed=Closed(70, 230, 130, 1570),
    delayed_lift=Interval(1.6, 2.8),
    order=Order(converters=200, before=95, tied=0, after=35, within_second=1, others=1800, others_fired=270),
    names_outcome=False,
    implied=False,
)


def codes(one: Evidence) -> list[str]:
    return [label.code.value for label in labels(one)]


def test_an_early_sign_has_no_label():
    assert codes(HARMLESS) == []


@pytest.mark.parametrize(("within", "expected"), [(44, []), (45, ["no_lead"]), (90, ["no_lead"])])
def test_half_of_the_hits_within_an_hour_leave_no_lead(within: int, expected: list[str]):
    assert codes(replace(HARMLESS, leads_within_1h=within)) == expected


def test_no_hits_leave_nothing_to_say_about_lead():
    assert codes(replace(HARMLESS, true_positives=0, leads_within_1h=0)) == []


def test_a_step_of_the_own_path_has_lift_only_at_the_fire():
    """Pays by card: precision .916, F lift 11.0, median lead 0.7 s, L lift 0.0. No Katz interval exists without hits."""
    card = replace(HARMLESS, true_positives=220, leads_within_1h=215, lift=11.0, closed=Closed(0, 12, 190, 2100), delayed_lift=None)
    assert codes(card) == ["no_lead", "own_path"]
    assert codes(replace(card, lift=1.9)) == ["no_lead"]
    assert codes(replace(card, leads_within_1h=100)) == []
    survives = replace(card, closed=Closed(120, 280, 100, 1900))
    assert codes(survives) == ["no_lead"]  # harmless in a fast shop: the lift holds at a fixed time
    assert codes(replace(survives, delayed_lift=Interval(0.7, 1.4))) == ["no_lead", "own_path"]
    assert codes(replace(survives, delayed_lift=Interval(1.1, 1.4))) == ["no_lead"]


def test_a_lift_below_1_at_a_fixed_time_is_the_own_path_too():
    paid = replace(HARMLESS, leads_within_1h=90, lift=11.0, closed=Closed(2, 398, 600, 1400))
    assert paid.closed.lift_interval is not None
    assert paid.closed.lift_interval.high < 1
    assert codes(paid) == ["no_lead", "own_path"]


def test_what_follows_the_outcome_says_so():
    invoice = replace(HARMLESS, fires_total=150, excluded_converted=148, order=replace(HARMLESS.order, before=2, after=120))
    assert codes(invoice) == ["after_outcome"]
    assert "99%" in labels(invoice)[0].sentence
    assert codes(replace(invoice, fires_total=4, excluded_converted=4)) == []


def test_use_by_those_who_have_long_converted_is_no_consequence():
    mature = replace(HARMLESS, fires_total=1000, excluded_converted=800)
    assert codes(mature) == []
    slow = replace(HARMLESS, order=replace(HARMLESS.order, before=2, after=120))
    assert codes(slow) == []


def test_twins_become_true_in_the_same_second():
    twin = replace(HARMLESS, order=replace(HARMLESS.order, before=60, tied=40, after=0, within_second=95))
    assert codes(twin) == ["same_second"]
    assert codes(replace(twin, order=replace(twin.order, within_second=94))) == []
    assert codes(replace(twin, order=replace(twin.order, before=4, tied=0, within_second=4))) == []


def test_four_of_five_contacts_are_progress_towards_the_fifth():
    contacts = replace(HARMLESS, names_outcome=True, order=Order(converters=200, before=199, tied=1, others=1800, others_fired=90))
    assert codes(contacts) == ["progress"]
    assert "200 of 200" in labels(contacts)[0].sentence
    assert codes(replace(contacts, names_outcome=False)) == []
    assert codes(replace(contacts, names_outcome=False, implied=True)) == ["progress"]
    assert codes(replace(contacts, order=replace(contacts.order, before=196))) == []
    assert codes(replace(contacts, order=replace(contacts.order, others_fired=1795))) == []
    assert codes(replace(contacts, order=replace(contacts.order, others=0, others_fired=0))) == []


def test_true_for_everyone_and_for_none_get_their_row_and_a_label():
    assert codes(replace(HARMLESS, closed=Closed(200, 1800, 0, 0))) == ["true_for_everyone"]
    never = replace(HARMLESS, fires_total=0, excluded_converted=0, true_positives=0, leads_within_1h=0, lift=None, closed=Closed(0, 0, 200, 1800))
    assert codes(replace(never, order=Order(converters=200, others=1800))) == ["true_for_none"]
    empty = replace(never, closed=Closed(0, 0, 0, 0), order=Order())
    assert codes(empty) == ["true_for_none"]


COUNT = st.integers(0, 1000)


@given(*[st.builds(Order, *[COUNT] * 7)] * 3)
def test_orders_of_disjoint_units_add_in_any_order(one: Order, other: Order, third: Order):
    assert one + other == other + one
    assert (one + other) + third == one + (other + third)
    assert (one + other).fired == one.fired + other.fired
    assert one + Order() == one

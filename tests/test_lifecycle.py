import pytest

from beton.errors import Conflict, IllegalTransition
from beton.lifecycle import SENDING, TRANSITIONS, Action, Status, allowed, check_approval, move, transitions_table

EVERY_PAIR = [(status, action) for status in Status for action in Action]


@pytest.mark.parametrize(("status", "action"), EVERY_PAIR)
def test_whatever_is_not_in_the_table_is_a_conflict_that_lists_what_is(status: Status, action: Action) -> None:
    if (status, action) in TRANSITIONS:
        assert move(status, action) is TRANSITIONS[status, action]
        return
    with pytest.raises(IllegalTransition) as refused:
        move(status, action)
    assert refused.value.status == 409
    assert all(legal in refused.value.fix for legal in allowed(status))


def test_only_a_person_s_approval_leads_to_sending() -> None:
    into = {(start, action) for (start, action), end in TRANSITIONS.items() if end in SENDING}
    assert {action for _, action in into} == {Action.APPROVE, Action.RESUME}
    assert {start for start, action in into if action is Action.RESUME} == {Status.PAUSED}
    assert {start for (start, _), end in TRANSITIONS.items() if end is Status.PAUSED} == {Status.APPROVED}


def test_a_revision_loses_the_approval_and_nobody_revises_what_is_live() -> None:
    assert not {end for (_, action), end in TRANSITIONS.items() if action is Action.REVISE} & SENDING
    assert Action.REVISE not in allowed(Status.APPROVED)


def test_every_status_can_be_reached_and_left() -> None:
    reached, frontier = {Status.DRAFT}, [Status.DRAFT]
    while frontier:
        status = frontier.pop()
        found = {move(status, action) for action in allowed(status)} - reached
        reached |= found
        frontier += found
    assert reached == set(Status)
    assert all(allowed(status) for status in Status)


@pytest.mark.parametrize("clears", [False, None])
@pytest.mark.parametrize("reason", [None, "", "  "])
def test_below_the_bar_an_approval_needs_a_reason(clears: bool | None, reason: str | None) -> None:
    with pytest.raises(Conflict) as refused:
        check_approval(clears, reason)
    assert refused.value.code == "conflict.below_the_bar"


@pytest.mark.parametrize(("clears", "reason"), [(True, None), (False, "The team knows these accounts"), (None, "Early pilot")])
def test_above_the_bar_or_with_a_reason_an_approval_passes(clears: bool | None, reason: str | None) -> None:
    check_approval(clears, reason)


def test_the_printed_table_has_a_row_per_transition() -> None:
    assert len(transitions_table().splitlines()) == 2 + len(TRANSITIONS)
    assert "| approved | pause | paused |" in transitions_table()

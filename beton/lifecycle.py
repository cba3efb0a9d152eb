"""What may happen to a hypothesis, as one table.

Theory of operation. A hypothesis is in exactly one `Status`. People, the agent and the sweep ask for an `Action`; the table says which
status follows. There is no other code that decides it: the pages ask `allowed()` which buttons to draw, the store asks `move()` before it
writes, the reference page prints `transitions_table()`. Everything that is not in the table is a conflict (409) that says what would be legal.

Two rules may be read off the table:

* only `approved` hypotheses send signals, and every way into `approved` is a person's approval (or the resumption of one);
* a changed definition loses its approval: `revise` leads back to `draft` or `proposed`, and is not open to an approved hypothesis, which
  has to be paused first so that nobody edits what is being sent.
"""

from enum import StrEnum

from beton.errors import Conflict, IllegalTransition


class Status(StrEnum):
    """Where a hypothesis stands with the people who decide on it."""

    DRAFT = "draft"  # being written; not yet offered for review
    PROPOSED = "proposed"  # waiting for a person
    SNOOZED = "snoozed"  # waiting, out of sight until a date
    APPROVED = "approved"  # live: its fires become signals
    PAUSED = "paused"  # approved once; sends nothing until resumed
    REJECTED = "rejected"  # a person said no, with a reason
    RETIRED = "retired"  # was live and has had its day


class Action(StrEnum):
    """What one may ask of a hypothesis."""

    PROPOSE = "propose"
    APPROVE = "approve"
    REJECT = "reject"
    SNOOZE = "snooze"
    WAKE = "wake"
    PAUSE = "pause"
    RESUME = "resume"
    RETIRE = "retire"
    REOPEN = "reopen"
    REVISE = "revise"


TRANSITIONS: dict[tuple[Status, Action], Status] = {
    (Status.DRAFT, Action.PROPOSE): Status.PROPOSED,
    (Status.DRAFT, Action.REVISE): Status.DRAFT,
    (Status.DRAFT, Action.REJECT): Status.REJECTED,
    (Status.PROPOSED, Action.APPROVE): Status.APPROVED,
    (Status.PROPOSED, Action.REJECT): Status.REJECTED,
    (Status.PROPOSED, Action.SNOOZE): Status.SNOOZED,
    (Status.PROPOSED, Action.REVISE): Status.PROPOSED,
    (Status.SNOOZED, Action.WAKE): Status.PROPOSED,
    (Status.SNOOZED, Action.APPROVE): Status.APPROVED,
    (Status.SNOOZED, Action.REJECT): Status.REJECTED,
    (Status.SNOOZED, Action.SNOOZE): Status.SNOOZED,  # another date
    (Status.SNOOZED, Action.REVISE): Status.PROPOSED,
    (Status.APPROVED, Action.PAUSE): Status.PAUSED,
    (Status.APPROVED, Action.RETIRE): Status.RETIRED,
    (Status.PAUSED, Action.RESUME): Status.APPROVED,
    (Status.PAUSED, Action.RETIRE): Status.RETIRED,
    (Status.PAUSED, Action.REVISE): Status.PROPOSED,
    (Status.REJECTED, Action.REOPEN): Status.PROPOSED,
    (Status.REJECTED, Action.REVISE): Status.PROPOSED,
    (Status.RETIRED, Action.REOPEN): Status.PROPOSED,
    (Status.RETIRED, Action.REVISE): Status.PROPOSED,
}

SENDING: frozenset[Status] = frozenset({Status.APPROVED})
"""The statuses in which fires become signals."""


def allowed(status: Status) -> tuple[Action, ...]:
    """The legal actions in a status, in the order of the table."""
    return tuple(action for (start, action) in TRANSITIONS if start is status)


def move(status: Status, action: Action) -> Status:
    """The status that follows; `IllegalTransition` when the table has no such row."""
    following = TRANSITIONS.get((status, action))
    if following is None:
        legal = ", ".join(allowed(status)) or "nothing"
        raise IllegalTransition(
            f"A hypothesis that is {status} cannot be asked to {action}.",
            details={"status": str(status), "action": str(action), "allowed": [str(a) for a in allowed(status)]},
            fix=f"From {status}, these are possible: {legal}.",
        )
    return following


def check_approval(clears: bool | None, override_reason: str | None) -> None:
    """Refuse the approval of a hypothesis that does not clear the bar, unless a person says why.

    `clears` is the verdict of the bar: `None` means "cannot tell" (too little data, never tested), which is no more a pass than a failure is.
    """
    if clears is True or (override_reason is not None and override_reason.strip()):
        return
    verdict = "was tested and does not clear the bar" if clears is False else "has no result that could clear the bar"
    raise Conflict(
        f"This hypothesis {verdict}.",
        code="conflict.below_the_bar",
        fix="Approve it with an override reason (it is kept in the audit log), or wait for more data.",
    )


def transitions_table() -> str:
    """The table as Markdown, for the reference page."""
    rows = [f"| {start} | {action} | {end} |" for (start, action), end in TRANSITIONS.items()]
    return "\n".join(["| status | action | becomes |", "|---|---|---|", *rows])

"""The reviewers' message as a durable workflow: every hour asks every workspace whether it is time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dbos import DBOS

from beton.work.calling_reviewers import call_reviewers
from beton.work.this_process import the_place, workspace_ids

CALL_AT = "43 * * * *"
"""In UTC, at a minute that others rarely choose."""


@DBOS.workflow()
def call_tick(scheduled_at: datetime, context: Any) -> None:  # noqa: ARG001 - the engine calls it so
    """All workspaces."""
    call_all()


@DBOS.step()
def call_all() -> dict[str, str]:
    """What became of it, where there was something to tell."""
    outcomes = {one: call_reviewers(the_place().of(one)) for one in workspace_ids()}
    return {one: outcome.kind for one, outcome in outcomes.items() if outcome is not None}

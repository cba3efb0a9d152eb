"""How far a workspace is on its way from nothing to its first proposals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.outcomes import Suggestions
from beton.lifecycle import Status
from beton.store import connections, hypothesis_lists, questions, runs, taxonomies
from beton.store.hypothesis_lists import Wanted
from beton.store.questions import ConfirmedQuestion
from beton.store.records import Connection, Run
from beton.work.asking import suggestions
from beton.work.reviewing import Proposal, queue
from beton.work.workplace import Workplace

Step = Literal["connect", "names", "question", "search", "review"]
STEPS: tuple[tuple[Step, str], ...] = (
    ("connect", "Connect a project"),
    ("names", "Read its names"),
    ("question", "Say what to predict"),
    ("search", "Search"),
    ("review", "Review"),
)
FIRST = 3


@dataclass(frozen=True)
class Beginning:
    """The step that is next, and what is there already."""

    step: Step
    connection: Connection | None
    events: int
    suggested: Suggestions | None
    question: ConfirmedQuestion | None
    run: Run | None
    """The newest search."""
    proposals: tuple[Proposal, ...]
    waiting: int

    @property
    def done(self) -> int:
        """How many steps are behind."""
        return [name for name, _ in STEPS].index(self.step)


def is_empty(place: Workplace) -> bool:
    """Whether nobody has connected or written anything yet."""
    with place.store.reading() as tx:
        return not connections.every(tx) and not any(hypothesis_lists.count_by_status(tx).values())


def look(place: Workplace) -> Beginning:
    """Of the oldest connection: most workspaces have one when this matters."""
    with place.store.reading() as tx:
        every = sorted(connections.every(tx), key=lambda one: one.created_at)
        first = every[0] if every else None
        snapshot = taxonomies.latest(tx, first.id) if first else None
        question = questions.confirmed(tx, first.id) if first else None
        found = runs.listing(tx, kind="propose", connection_id=first.id, limit=1).data if first else ()
    run = found[0] if found else None
    best = queue(place, Wanted(statuses=(Status.PROPOSED,)), limit=FIRST)
    return Beginning(
        step=_step(first is not None, snapshot is not None, question is not None, best.total if run is None or run.status.over else 0),
        connection=first,
        events=len(snapshot.content["events"]) if snapshot else 0,
        suggested=suggestions(place, first) if first is not None and snapshot is not None and question is None else None,
        question=question,
        run=run,
        proposals=best.proposals,
        waiting=best.total,
    )


def _step(connected: bool, named: bool, asked: bool, waiting: int) -> Step:
    if waiting and connected:
        return "review"
    return "connect" if not connected else "names" if not named else "question" if not asked else "search"

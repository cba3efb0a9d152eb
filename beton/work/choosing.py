"""What a workspace chooses differently from the installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from beton.store import hypothesis_lists, workspaces
from beton.store.hypothesis_lists import Wanted
from beton.work.reviewing import rerank
from beton.work.workplace import BAR, Workplace


@dataclass(frozen=True)
class Rejudged:
    """What another bar has changed: how many results there are, and how many of them cleared before and clear now."""

    results: int
    before: int
    now: int


def chosen_of_bar(place: Workplace) -> dict[str, Any]:
    """The parts of the bar that the workspace has chosen itself."""
    with place.store.reading() as tx:
        return workspaces.get(tx).settings.get(BAR, {})


def choose_bar(place: Workplace, parts: dict[str, Any], *, actor: str) -> Rejudged:
    """Choose these parts of the bar, leave the others to the installation, and judge every newest result anew. What is approved stays approved.
    The workplace itself goes on with the bar that it has."""
    before = _clearing(place)
    with place.store.transaction() as tx:
        workspaces.choose(tx, BAR, parts or None, actor=actor)
    results = rerank(place.of(place.store.workspace_id))
    return Rejudged(results, before, _clearing(place))


def _clearing(place: Workplace) -> int:
    with place.store.reading() as tx:
        return hypothesis_lists.count_by_verdict(tx, Wanted())["clears"]

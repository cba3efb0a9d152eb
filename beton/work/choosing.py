"""What a workspace chooses differently from the installation."""

from __future__ import annotations

from typing import Any

from beton.store import workspaces
from beton.work.workplace import BAR, Workplace


def chosen_of_bar(place: Workplace) -> dict[str, Any]:
    """The parts of the bar that the workspace has chosen itself."""
    with place.store.reading() as tx:
        return workspaces.get(tx).settings.get(BAR, {})


def choose_bar(place: Workplace, parts: dict[str, Any], *, actor: str) -> None:
    """Choose these parts of the bar, and leave the others to the installation. The workplace goes on with the bar that it has."""
    with place.store.transaction() as tx:
        workspaces.choose(tx, BAR, parts or None, actor=actor)

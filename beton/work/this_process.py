"""The workplace of this process. The job engine calls its functions by name, and there is one engine per process, so they look up here what they
work with."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from beton.errors import StoreError
from beton.store import workspaces
from beton.work.workplace import Workplace

_PLACE: list[Workplace] = []
_ENDING = threading.Event()
_WORKSPACE: ContextVar[str | None] = ContextVar("beton_workspace", default=None)


def open_for_work(place: Workplace) -> None:
    """From now on jobs work here."""
    _ENDING.clear()
    _PLACE[:] = [place]


def wind_down() -> None:
    """What is in hand may be finished; nothing more is taken up."""
    _ENDING.set()


def winding_down() -> bool:
    """Whether this process is about to end."""
    return _ENDING.is_set()


def close_for_work() -> None:
    """No job may begin any more."""
    _PLACE.clear()


@contextmanager
def working_for(workspace_id: str | None) -> Generator[None]:
    """Jobs of this thread work for a workspace meanwhile; for the first one where none is named. Workflows say so at their beginning, so that their
    steps, run again after a crash, find the same."""
    former = _WORKSPACE.set(workspace_id)
    try:
        yield
    finally:
        _WORKSPACE.reset(former)


def the_place() -> Workplace:
    """Where the jobs of this process work, seen from the workspace that they work for. Raises StoreError when they have not been started."""
    if not _PLACE:
        raise StoreError("The jobs of this process have not been started.", fix="Call start_jobs first.")
    place = _PLACE[0]
    return place.of(_WORKSPACE.get() or place.store.workspace_id)


def workspace_ids() -> list[str]:
    """All workspaces of the installation, the first one first."""
    return [one.id for one in workspaces.every(the_place().store)]

"""The workplace of this process. The job engine calls its functions by name, and there is one engine per process, so they look up here what they
work with."""

from __future__ import annotations

from beton.errors import StoreError
from beton.work.workplace import Workplace

_PLACE: list[Workplace] = []


def open_for_work(place: Workplace) -> None:
    """From now on jobs work here."""
    _PLACE[:] = [place]


def close_for_work() -> None:
    """No job may begin any more."""
    _PLACE.clear()


def the_place() -> Workplace:
    """Where the jobs of this process work. Raises StoreError when they have not been started."""
    if not _PLACE:
        raise StoreError("The jobs of this process have not been started.", fix="Call start_jobs first.")
    return _PLACE[0]

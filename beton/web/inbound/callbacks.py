"""What the addresses share that strangers call because of a message: the installation, and how often a stranger may be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from beton.errors import TooMany
from beton.web.access.doorkeeper import Door
from beton.web.access.limits import Limiter
from beton.work.workplace import Workplace

WRONG = 60
"""Wrong signatures and tokens that one caller may send in a minute; each costs a look into the database."""


@dataclass(frozen=True)
class Stranger:
    """One caller, who is counted only for being wrong."""

    limiter: Limiter
    address: str
    at: float

    def count(self) -> None:
        """Wrong once more."""
        self.limiter.take(self.address, self.at)


@dataclass(frozen=True)
class Callbacks:
    """Handed to the handlers."""

    place: Workplace
    door: Door
    limiter: Limiter = field(default_factory=lambda: Limiter(WRONG, 60), repr=False)

    def check(self, request: Request[Any, Any, Any]) -> Stranger:
        """Whoever asks; `TooMany` where they were wrong too often."""
        headers = {name: value.decode("latin-1") for name, value in request.scope["headers"]}
        stranger = Stranger(self.limiter, self.door.proxies.client_of(request.scope, headers), self.place.clock().timestamp())
        standing = self.limiter.take(stranger.address, stranger.at, cost=0)
        if not standing.allowed:
            raise TooMany("Too much from here was wrong.", retry_after=standing.resets)
        return stranger


TheCallbacks = NamedDependency[SkipValidation[Callbacks]]

"""Send what is due: one lane per route, so that a dead or slow destination delays nobody but itself.

    due_routes        which routes have deliveries waiting
      per route       claim one or a few, send, settle each as it ends; again, while the receiver keeps up

A lane sends one at a time; where the receiver takes longer to answer than we to write down, it doubles. It stops as soon as the receiver is
silent, asks for patience or wants no more, or fails three times running. So a dead receiver costs one attempt of one delivery per call, and a
process that dies leaves hardly more than one message per route that was sent and not written down.

Claims are leases that the outbox takes back when they run out. A process killed between sending and settling has sent a message whose
attempt nobody wrote down; the next holder of the delivery sends it again, with the same `webhook-id` and the same bytes.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import httpx

from beton.errors import Conflict
from beton.routing.addresses import Resolve, resolve
from beton.routing.outcomes import Destination, Outcome
from beton.routing.schedule import next_attempt
from beton.routing.webhook import Patience, deliver, open_client
from beton.signals import AttemptOutcome, Claim, DeliveryStatus

LEASE = timedelta(seconds=60)
"""How long a claim should be leased: four times what an attempt can take, so that a slow database costs no repetition."""

WIDEST = 8
"""Most deliveries on their way to one destination at a time."""

FAILURES = 3
"""Batches in a row in which the receiver only failed, after which it is left alone until the next call. One message that a receiver stumbles
over must not hold up the others."""

PROMPT_MS = 50
"""Up to this latency, sending side by side gains little and would only leave more in the air when a process dies."""

MOST_LANES = 100
"""Most destinations served at a time."""

_T = TypeVar("_T")
ClientFactory = Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed delivery, ready to go.

    `body` is a function of what is stored, so that every attempt has the same bytes; `None` when the signal's unit has been erased since.
    """

    claim: Claim
    destination: Destination
    body: bytes | None


class Outbox(Protocol):
    """What sending needs of the store. Each call is one transaction; calls come from worker threads, one at a time."""

    def due_routes(self) -> Sequence[str]:
        """Ids of the enabled routes that have due deliveries, the longest waiting first."""
        ...

    def claim(self, route_id: str, limit: int) -> Sequence[Parcel]:
        """Lease up to `limit` due deliveries of one route, for `LEASE`. A delivery is leased to one worker at a time."""
        ...

    def settle(self, claim: Claim, outcome: AttemptOutcome) -> None:
        """Write an attempt down. `Conflict` when the lease has been lost."""
        ...

    def disable(self, route_id: str, reason: str) -> None:
        """Switch a route off: its receiver wants no more."""
        ...


@dataclass(slots=True)
class DeliveryReport:
    """What became of the attempts of one call. `lost` are attempts that another worker had taken over; `failed` ones will be tried again."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    lost: int = 0
    disabled: list[str] = field(default_factory=list)
    by_route: Counter[str] = field(default_factory=Counter)
    """Attempts per route."""

    @property
    def attempts(self) -> int:
        return self.by_route.total()


async def deliver_due(
    outbox: Outbox,
    client_factory: ClientFactory = open_client,
    *,
    clock: Callable[[], datetime],
    rng: random.Random,
    limit: int = 500,
    resolve: Resolve = resolve,
    patience: Patience | None = None,
) -> DeliveryReport:
    """Send what is due, at most `limit` deliveries per route, and write down every attempt.

    `client_factory` opens a client per route. What the outbox raises ends its lane; the other lanes finish first, then it is raised.
    """
    round_ = _Round(outbox, client_factory, clock, rng, limit, resolve, patience)
    lanes = [round_.lane(route_id) for route_id in await round_.ask(outbox.due_routes)]
    endings = await asyncio.gather(*lanes, return_exceptions=True)
    failures = [ending for ending in endings if isinstance(ending, BaseException)]
    if failures:
        if len(failures) > 1:
            failures[0].add_note(f"{len(failures) - 1} more routes failed in this call")
        raise failures[0]
    return round_.report


@dataclass
class _Round:
    """One call's shared state."""

    outbox: Outbox
    client_factory: ClientFactory
    clock: Callable[[], datetime]
    rng: random.Random
    limit: int
    resolve: Resolve
    patience: Patience | None
    report: DeliveryReport = field(default_factory=DeliveryReport)
    lanes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_LANES))
    store: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, call: Callable[..., _T], *arguments: object) -> _T:
        """Call the outbox without stopping those who wait for receivers."""
        async with self.store:
            return await asyncio.to_thread(call, *arguments)

    async def lane(self, route_id: str) -> None:
        async with self.lanes, self.client_factory() as client:
            width, left, failures = 1, self.limit, 0
            while left > 0 and failures < FAILURES:
                parcels = await self.ask(self.outbox.claim, route_id, min(width, left))
                if not parcels:
                    return
                endings = await _all([self._send(parcel, client) for parcel in parcels])
                outcomes = [ending for ending in endings if ending is not None]
                if _needs_rest(outcomes):
                    return
                failures = failures + 1 if outcomes and all(outcome.kind == "retry" for outcome in outcomes) else 0
                slow = any(outcome.latency_ms > PROMPT_MS for outcome in outcomes)
                width, left = min(width * 2, WIDEST) if slow else 1, left - len(parcels)

    async def _send(self, parcel: Parcel, client: httpx.AsyncClient) -> Outcome | None:
        """One attempt, written down; `None` when there was nothing to attempt."""
        claim = parcel.claim
        if parcel.body is None:
            await self._settle(claim, AttemptOutcome(status=DeliveryStatus.DEAD, error="The unit was erased before this could be sent."))
            return None
        outcome = await deliver(
            parcel.destination,
            claim.delivery.message_id,
            parcel.body,
            client=client,
            clock=self.clock,
            resolve=self.resolve,
            patience=self.patience,
        )
        self.report.by_route[claim.delivery.route_id] += 1
        if outcome.kind == "gone" and claim.delivery.route_id not in self.report.disabled:
            self.report.disabled.append(claim.delivery.route_id)
            await self.ask(self.outbox.disable, claim.delivery.route_id, "The receiver answered 410: it wants no more deliveries.")
        await self._settle(claim, written(outcome, claim.delivery.attempts + 1, self.clock(), self.rng))
        return outcome

    async def _settle(self, claim: Claim, written: AttemptOutcome) -> None:
        try:
            await self.ask(self.outbox.settle, claim, written)
        except Conflict:  # another worker holds the delivery by now, and will write down its own attempt
            self.report.lost += 1
            return
        match written.status:
            case DeliveryStatus.DELIVERED:
                self.report.delivered += 1
            case DeliveryStatus.FAILED:
                self.report.failed += 1
            case _:
                self.report.dead += 1


def written(outcome: Outcome, attempts_made: int, now: datetime, rng: random.Random) -> AttemptOutcome:
    """An outcome as it is written down: delivered, failed with the next attempt's instant, or dead."""
    due = next_attempt(attempts_made, outcome, now, rng)
    status = DeliveryStatus.DELIVERED if outcome.kind == "delivered" else DeliveryStatus.FAILED if due else DeliveryStatus.DEAD
    return AttemptOutcome(
        status=status,
        status_code=outcome.status_code,
        latency_ms=outcome.latency_ms,
        response_head=outcome.response_head,
        error=outcome.failure.message if outcome.failure else None,
        next_attempt_at=due,
    )


def _needs_rest(outcomes: Sequence[Outcome]) -> bool:
    """Whether the receiver asks for patience, wants no more, or does not answer at all."""
    if any(outcome.kind == "gone" or outcome.retry_after is not None or outcome.status_code == 429 for outcome in outcomes):
        return True
    return bool(outcomes) and all(outcome.kind == "retry" and outcome.status_code is None for outcome in outcomes)


async def _all(attempts: Sequence[Awaitable[Outcome | None]]) -> list[Outcome | None]:
    """All attempts to their end, then the first failure if there was one: none is cut off in mid-sending because another's settling failed."""
    endings = await asyncio.gather(*attempts, return_exceptions=True)
    for ending in endings:
        if isinstance(ending, BaseException):
            raise ending
    return [ending for ending in endings if not isinstance(ending, BaseException)]

"""What every job needs, made once and handed down: no job reaches for a global."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from pydantic import SecretStr

from backtest.taxonomy import PropertyDefinition, PropertyType, Taxonomy
from backtest.values import PropertyTypes
from backtest.verdict import Bar
from beton.errors import BadInput, BetonError, PostHogWrongAddress
from beton.posthog.client import PostHogClient, RequestRecord
from beton.posthog.hosts import normalise_host
from beton.posthog.ledger import Ledger, Spent
from beton.posthog.limits import Limits
from beton.routing.pinned import Pinned, Reach
from beton.settings import Settings
from beton.store import connections, taxonomies, workspaces
from beton.store.ledger import RequestLedger
from beton.store.records import Connection
from beton.store.store import Store

BAR = "bar"
"""The name under which a workspace keeps what it has chosen of the bar."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Reading:
    """What a job has asked of PostHog so far."""

    requests: int = 0
    queries: int = 0
    received: int = 0
    read: int = 0

    def note(self, record: RequestRecord) -> None:
        """Count one request."""
        self.requests += 1
        self.queries += record.surface == "query"
        self.received += record.received
        self.read += record.read or 0

    def to_json(self) -> dict[str, int]:
        """For run records and `--json`."""
        return {"requests": self.requests, "queries": self.queries, "bytes_received": self.received, "bytes_read": self.read}


@dataclass(frozen=True)
class Workplace:
    """Settings, store and clock of this process."""

    settings: Settings
    store: Store
    clock: Callable[[], datetime]
    reading: Reading = field(default_factory=Reading)
    declared: Mapping[str, PropertyType] = field(default_factory=dict)
    """Types of properties that a person knows better than PostHog, for this piece of work."""
    ledger: Ledger | None = None
    """The book of requests where time is only played: the shared one holds what was sent in real time."""

    @cached_property
    def bar(self) -> Bar:
        """The workspace's bar: what it has chosen itself, else the installation's."""
        with self.store.reading() as tx:
            chosen = workspaces.chosen(tx, BAR) or {}
        return Bar(**{field.name: chosen.get(field.name, getattr(self.settings.bar, field.name)) for field in fields(Bar)})

    def of(self, workspace_id: str) -> Workplace:
        """The same process, working for another workspace."""
        return replace(self, store=self.store.of(workspace_id), reading=Reading())

    def connection(self, name: str) -> Connection:
        """The connection with this name or id."""
        with self.store.reading() as tx:
            return connections.get(tx, name)

    @asynccontextmanager
    async def client(self, connection: Connection) -> AsyncGenerator[PostHogClient]:
        """A client that shares one budget with every other process through the store."""
        with self.store.reading() as tx:
            key = connections.api_key(tx, connection.id)
        host = normalise_host(connection.host, allow_insecure=self.settings.allow_insecure_hosts)
        cloud = host.cloud or connection.limits.get("throttled_as") == "cloud"
        limits = limits_for(cloud, connection.share, self.clock, self.ledger or RequestLedger(self.store, connection.id, Spent))
        guarded = to_posthog(self.settings)
        async with PostHogClient(
            host, connection.project_id, SecretStr(key), limits, clock=self.clock, transport=guarded, on_request=self.reading.note
        ) as client:
            yield client

    def taxonomy(self, connection: Connection) -> Taxonomy:
        """The latest snapshot; `BadInput` when there is none yet."""
        with self.store.reading() as tx:
            snapshot = taxonomies.latest(tx, connection.id)
        if snapshot is None:
            raise BadInput(
                f"The taxonomy of {connection.name} has not been read yet.", code="taxonomy.missing", fix=f"Run: beton taxonomy {connection.name}"
            )
        taxonomy = Taxonomy.model_validate(snapshot.content)
        others = tuple(one for one in taxonomy.properties if one.kind != "event" or one.name not in self.declared)
        declared = tuple(PropertyDefinition(name=name, type=kind) for name, kind in self.declared.items())
        return taxonomy.model_copy(update={"properties": others + declared}) if declared else taxonomy


def to_posthog(settings: Settings) -> Pinned:
    """The way to a PostHog: only to addresses that may be called."""

    def refused(error: BetonError) -> BetonError:
        return PostHogWrongAddress(error.message, code="posthog.address_forbidden", fix=error.fix)

    return Pinned(Reach(settings.allow_insecure_hosts, settings.only_here), refused)


def limits_for(cloud: bool, share: float, clock: Callable[[], datetime], ledger: Ledger | None = None) -> Limits:
    """PostHog Cloud's limits, or the tighter ones of a self-hosted server."""
    make = Limits.for_cloud if cloud else Limits.for_self_hosted
    return make(share, clock=clock, ledger=ledger)


def property_types(taxonomy: Taxonomy) -> PropertyTypes:
    """Event property types as the engine wants them."""
    return {one.name: one.type for one in taxonomy.properties if one.kind == "event"}


def microseconds(at: datetime) -> int:
    """Exact, where `timestamp()` would round."""
    return (at.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def instant(at: int) -> datetime:
    """The way back."""
    return EPOCH + timedelta(microseconds=at)

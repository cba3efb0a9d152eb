"""What the store hands out and takes in: frozen values, never rows. Instants are aware UTC; secrets are absent."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import AwareDatetime, Field

from beton.lifecycle import Status
from beton.roles import Permission, Role
from beton.signals import RouteKind, UnitKind, Value
from beton.store.route_rules import Rules

Source = Literal["agent", "person", "search"]
VerdictWord = Literal["clears", "does_not_clear", "cannot_tell"]
ConnectionStatus = Literal["unchecked", "working", "failing"]
RunKind = Literal["taxonomy", "propose", "backtest", "sweep"]
LinkPurpose = Literal["invite", "reset", "sign_in"]
T = TypeVar("T")


class RunStatus(StrEnum):
    """How far a run got."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Nothing more will happen."""
        return self in {RunStatus.DONE, RunStatus.FAILED, RunStatus.CANCELLED}


class Page(Value, Generic[T]):
    """Some of a listing, newest first. `next_after` goes into the next call; `None` at the end."""

    data: tuple[T, ...]
    next_after: str | None = None


class Connection(Value):
    """A PostHog project that Beton reads. The key stays in the store: see `connections.api_key`."""

    id: str
    workspace_id: str
    name: str
    host: str
    project_id: str
    share: float
    timezone: str
    status: ConnectionStatus
    problem: str | None
    last_checked_at: datetime | None
    limits: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class Workspace(Value):
    """One team with its connections, hypotheses and members. `settings` hold what it has chosen differently from the installation."""

    id: str
    name: str
    settings: dict[str, Any]
    created_at: datetime


class Member(Value):
    """A person in a workspace."""

    id: str
    account_id: str
    email: str
    name: str
    role: Role
    created_at: datetime
    signed_in_at: datetime | None


class AccessLink(Value):
    """A single-use address: an invitation, a reset of a password, or a sign-in. Its token is shown once."""

    purpose: LinkPurpose
    email: str
    role: Role | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


class ApiKey(Value):
    """A key that lets a program in, for a part of what its maker may do. Only its hash is kept."""

    id: str
    name: str
    prefix: str
    scopes: tuple[Permission, ...]
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class TaxonomySnapshot(Value):
    """Names, types and counts of a project at an instant."""

    id: str
    connection_id: str
    taken_at: datetime
    digest: str
    content: dict[str, Any]


class NewHypothesis(Value):
    """A hypothesis to be written down. `definition` is its canonical JSON form, `fingerprint` what identifies it."""

    connection_id: str
    name: str
    fingerprint: str
    definition: dict[str, Any]
    sentence: str
    type: str
    """The kind of outcome: converts, expands, churns, returns, custom."""
    source: Source
    selected: bool
    """Mined on the window it is judged on: then only its confirmed numbers count."""
    status: Literal[Status.DRAFT, Status.PROPOSED] = Status.PROPOSED


class Hypothesis(Value):
    """A hypothesis and where it stands. `row_version` is its ETag: every change adds one."""

    id: str
    workspace_id: str
    connection_id: str
    name: str
    version: int
    fingerprint: str
    definition: dict[str, Any]
    sentence: str
    type: str
    status: Status
    row_version: int
    source: Source
    selected: bool
    rejected_reason: str | None
    snoozed_until: datetime | None
    override_reason: str | None
    decided_by: str | None
    decided_at: datetime | None
    live_from: datetime | None
    """S0, frozen at approval: fires before it are not sent."""
    live_since: datetime | None
    fired_count: int
    newest_backtest_id: str | None
    """The newest result of the present version."""
    verdict: VerdictWord | None
    """The bar's verdict on it; `None` while untested."""
    rank: float
    """Where it stands in the queue, the highest first: what clears the bar, then by shrunken lift."""
    created_at: datetime
    updated_at: datetime


class HypothesisVersion(Value):
    """What one version said. `backtest_id` is the result on which it was approved: the promise that its signals carry."""

    hypothesis_id: str
    version: int
    fingerprint: str
    definition: dict[str, Any]
    sentence: str
    backtest_id: str | None
    created_at: datetime


class NewBacktest(Value):
    """A result to be kept. `result` holds the published numbers, and no unit's id."""

    hypothesis_id: str
    hypothesis_version: int
    run_id: str
    as_of: AwareDatetime
    window_days: float = Field(gt=0)
    fingerprint: str
    result: dict[str, Any]
    clears: bool | None
    """Whether it clears the bar; `None` when that cannot be told."""


class Backtest(NewBacktest):
    """A kept result. It never changes; `digest` is the SHA-256 of its canonical JSON."""

    id: str
    digest: str
    created_at: datetime


class BacktestFire(Value):
    """A unit's first fire in a backtest. `outcome_at` is `None` where the outcome had not come by the end of the window."""

    unit_kind: UnitKind
    unit_id: str = Field(min_length=1)
    fired_at: AwareDatetime
    outcome_at: AwareDatetime | None


class Run(Value):
    """One piece of work with its progress, what it cost, and how it ended."""

    id: str
    connection_id: str | None
    kind: RunKind
    status: RunStatus
    request: dict[str, Any]
    progress: dict[str, Any]
    """`done`, `total`, `message`."""
    counts: dict[str, Any]
    """Queries, bytes, rows skipped with their reasons, and the like."""
    error: dict[str, Any] | None
    workflow_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Route(Value):
    """Where signals go. `address` is for people (a host, no path); the URL and the signing secret stay sealed."""

    id: str
    name: str
    kind: RouteKind
    address: str
    enabled: bool
    notices: bool
    """Whether it also gets every change of a hypothesis's status."""
    problem: str | None
    """Why it was switched off, where the receiver was the reason."""
    rules: Rules = Rules()
    """What it takes, how often, whose that is, and what it says."""
    failing_since: datetime | None = None
    """Since when nothing has arrived, where the last attempts failed."""
    failures: int = 0
    """Attempts that failed since something arrived."""
    resting_until: datetime | None = None
    """Until when the receiver has asked to be left alone."""
    created_at: datetime
    updated_at: datetime


class Destination(Value):
    """Where a route leads: the settings of its channel, which are sealed, and what people see of them."""

    kind: RouteKind = "webhook"
    address: str
    """Enough to know it again, nothing secret: of a webhook the scheme, host and port."""
    settings: dict[str, Any] = Field(repr=False)


class DeliveryAttempt(Value):
    """One attempt, as shown in the delivery log."""

    at: datetime
    status: str
    status_code: int | None
    latency_ms: int | None
    response_head: str | None
    error: str | None


class AuditEntry(Value):
    """Who did what to what, and when."""

    id: int
    at: datetime
    actor: str
    action: str
    object_type: str
    object_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    number: int
    """Counts the workspace's entries from 1, without gaps."""
    chain: str
    """SHA-256 over the chain before it and this entry."""


class LiveMatch(NamedTuple):
    """One event that matched one atom of a live hypothesis: its instant, the value where the hypothesis names one, and its id in 16 bytes.

    What no event stands for has no bytes there. A tuple and no checked value, its instant in microseconds since 1970: there may be hundreds of
    thousands in a sweep.
    """

    atom: str
    unit_id: str
    at: int
    value: Any = None
    event: bytes = b""


class LiveFired(NamedTuple):
    """A unit that has had its fire for this hypothesis version, sent or seen by the backtest; `at` in microseconds since 1970."""

    unit_id: str
    at: int
    occurrence: int = 1


class Erased(Value):
    """What the erasure of a unit removed, row by row."""

    signals: int
    live_matches: int
    live_fired: int
    read_buckets: int
    inbound_bodies: int

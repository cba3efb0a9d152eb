"""What the API sends. No field has a default: what is documented is sent, always, and null where there is nothing to say."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from backtest.taxonomy import PropertyKind, PropertyType, Taxonomy
from beton.lifecycle import Status
from beton.store.records import (
    AuditEntry,
    Connection,
    ConnectionStatus,
    Run,
    RunKind,
    RunStatus,
    Source,
    TaxonomySnapshot,
)
from beton.work.deciding import Resource


class Sent(BaseModel):
    """Base of everything that is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Listing(Sent):
    """Some of a listing. `next_cursor` goes into `?cursor=` for what follows; null at the end."""

    data: list[Any]
    next_cursor: str | None
    has_more: bool


# --- hypotheses ------------------------------------------------------------------------------------------------------

_LIMITS = ("precision_low", "precision_high", "recall_low", "recall_high", "lift_vs_baseline_low", "lift_vs_baseline_high", "baseline", "q_value")
_OBJECTS = ("counts", "closed", "lead", "discovery", "confirmed", "insufficient")


def _further_numbers(schema: dict[str, Any]) -> None:
    """Numbers that stand beside the five where the result has them."""
    schema["properties"] |= {name: {"type": ["number", "null"]} for name in _LIMITS}
    schema["properties"] |= {name: {"type": ["object", "null"]} for name in _OBJECTS}
    schema["additionalProperties"] = True


class BacktestNumbers(BaseModel):
    """The newest result of a hypothesis. A ratio that cannot be told is null, and `insufficient` then says why nothing is concluded."""

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_extra=_further_numbers)

    as_of: AwareDatetime = Field(description="End of the tested window.")
    window_days: int | float
    precision: float | None = Field(description="Share of fires that were followed by the outcome within the horizon.")
    recall: float | None = Field(description="Share of outcomes that were preceded by the fire within the horizon.")
    lift_vs_baseline: float | None = Field(description="Outcomes after fires against those expected of units equally old.")
    sample_size: int = Field(description="Fires that the precision rests on.")


class VerdictReason(Sent):
    """Why the bar says what it says."""

    code: str
    sentence: str


class VerdictRead(Sent):
    """The present bar's verdict on the newest numbers."""

    verdict: Literal["clears", "does_not_clear", "cannot_tell"]
    reasons: list[VerdictReason]


class HypothesisRead(Sent):
    """A hypothesis with its newest numbers."""

    hypothesis_id: str
    hypothesis: str = Field(description="The hypothesis as one sentence.")
    backtest: BacktestNumbers | None = Field(description="Null until this version has been tested.")
    status: Status
    name: str
    definition: dict[str, Any] = Field(description="The hypothesis in the language's JSON form.")
    version: int = Field(description="Counts the changes of the definition.")
    row_version: int = Field(description="Counts all changes; the ETag. Send it back with a decision.")
    verdict: VerdictRead | None
    connection_id: str
    source: Source
    fired: int = Field(description="Signals so far.")
    rejected_reason: str | None
    snoozed_until: AwareDatetime | None
    decided_by: str | None = Field(description="Who made the last decision.")
    decided_at: AwareDatetime | None

    @classmethod
    def of(cls, resource: Resource) -> HypothesisRead:
        return cls.model_validate(resource.to_json())


class HypothesisPage(Listing):
    data: list[HypothesisRead]


class HistoryEntry(Sent):
    """One entry of the audit log."""

    entry_id: int
    at: datetime
    actor: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @classmethod
    def of(cls, entry: AuditEntry) -> HistoryEntry:
        return cls(entry_id=entry.id, at=entry.at, actor=entry.actor, action=entry.action, before=entry.before, after=entry.after)


class History(Sent):
    """The newest entries first; `has_more` says that older ones were left out."""

    data: list[HistoryEntry]
    has_more: bool


# --- connections -----------------------------------------------------------------------------------------------------


class ConnectionRead(Sent):
    """A PostHog project that is read. Its key is never sent."""

    connection_id: str
    name: str
    host: str
    project_id: str
    share: float = Field(description="Share of PostHog's limits that may be used.")
    timezone: str
    status: ConnectionStatus
    problem: str | None
    last_checked_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, one: Connection) -> ConnectionRead:
        return cls(connection_id=one.id, **one.model_dump(exclude={"id", "workspace_id", "limits"}))


class ConnectionPage(Listing):
    data: list[ConnectionRead]


class EventRead(Sent):
    """An event of a project: `volume` occurrences by `units` distinct persons within the window."""

    name: str
    volume: int
    units: int
    first_seen: datetime | None
    last_seen: datetime | None
    description: str
    internal: bool
    hidden: bool
    verified: bool
    properties: list[str]


class PropertyRead(Sent):
    """A property of one kind. `events` is null where it was not read which events carry it."""

    name: str
    kind: PropertyKind
    type: PropertyType
    group_type: str | None
    events: list[str] | None
    cardinality: int | None
    description: str
    internal: bool
    hidden: bool
    virtual: bool


class GroupTypeRead(Sent):
    """A kind of account."""

    index: int
    name: str


class TaxonomyRead(Sent):
    """The latest snapshot of a project's names. Sampled values are not sent."""

    connection_id: str
    digest: str
    taken_at: datetime
    window_days: int
    events: list[EventRead]
    properties: list[PropertyRead]
    group_types: list[GroupTypeRead]
    notes: list[str] = Field(description="What could not be read completely.")

    @classmethod
    def of(cls, snapshot: TaxonomySnapshot) -> TaxonomyRead:
        content = Taxonomy.model_validate(snapshot.content).model_dump(exclude={"properties": {"__all__": {"values"}}})
        return cls(connection_id=snapshot.connection_id, digest=snapshot.digest, **content)


# --- runs ------------------------------------------------------------------------------------------------------------


class Progress(Sent):
    """How far a run is; `total` is 0 while that is not known."""

    done: int
    total: int
    message: str


class RunRead(Sent):
    """One piece of work. `error` is a problem as of any refused request."""

    run_id: str
    connection_id: str | None
    kind: RunKind
    status: RunStatus
    request: dict[str, Any]
    progress: Progress
    counts: dict[str, Any]
    error: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, run: Run) -> RunRead:
        progress = Progress(**run.progress)
        return cls(run_id=run.id, progress=progress, **run.model_dump(exclude={"id", "workflow_id", "progress"}))


class RunPage(Listing):
    data: list[RunRead]


# --- signals, routes, deliveries -------------------------------------------------------------------------------------


class ProblemFault(Sent):
    """One thing wrong in a request. `pointer` (RFC 6901) leads to it in the body; null where a parameter is at fault."""

    field: str
    pointer: str | None
    message: str
    line: int | None
    nearest: list[str] = Field(description="Valid choices that look like what was sent.")


class Problem(Sent):
    """A refusal or failure (RFC 9457). `code` is stable; `fix` says what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    fix: str
    details: dict[str, JsonValue]
    errors: list[ProblemFault]
    request_id: str


class Health(Sent):
    """The process lives."""

    status: Literal["ok"]


class Readiness(Sent):
    """The database answers and has the schema of this version."""

    status: Literal["ready"]
    queue_age_seconds: float | None = Field(description="How long the oldest waiting work waits for a worker; null where none waits.")


SENT: tuple[type[BaseModel], ...] = (
    HypothesisRead, HypothesisPage, History, ConnectionRead, ConnectionPage, TaxonomyRead, RunRead, RunPage, Problem, Health, Readiness,
)  # fmt: skip
"""Every body that the API sends, but for those of the other modules of this kind."""

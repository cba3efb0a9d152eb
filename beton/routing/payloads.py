"""The bodies of the messages about signals and changes of status, and the JSON Schemas that receivers can hold them against.

The body holds only what is written down with the signal and the approval, and never the time of sending: so every attempt to deliver carries
the same bytes, and so do attempts after a restart. `docs/reference/signal.schema.json` and `status.schema.json` are `schema_text()` and
`status_schema_text()`; a test keeps them equal.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from beton.errors import Conflict
from beton.lifecycle import Action, Status
from beton.signals import Notice, Signal, SignalType, UnitKind, Value

MOST_RECEIPTS = 50
"""Receipts sent with a signal, the last ones: they keep the body near the 20 kB that Standard Webhooks asks for."""

_Share = Annotated[float, Field(ge=0, le=1)]


class Unit(Value):
    """Who did it: the id is PostHog's for a person, and the group's key for an account."""

    kind: UnitKind
    id: str


class Account(Value):
    """The company, as far as it is known."""

    name: str | None = None
    domain: str | None = None


class EventReceipt(Value):
    """An event that made the hypothesis fire, to be found in PostHog by its id."""

    name: str
    id: str | None = Field(description="PostHog's uuid of the event; null where it was not read.")
    at: AwareDatetime


class Promise(Value):
    """What the backtest had found when a person approved the hypothesis. Null is 'cannot tell', never zero."""

    precision: _Share | None = Field(description="Share of fires that were followed by the outcome within the horizon.")
    precision_low: _Share | None = Field(description="Lower end of the 95 % interval of the precision.")
    precision_high: _Share | None = Field(description="Upper end of the 95 % interval of the precision.")
    recall: _Share | None = Field(description="Share of outcomes that were preceded by the fire within the horizon.")
    lift_vs_baseline: float | None = Field(ge=0, description="Outcomes after fires against those expected of units equally old.")
    sample_size: int = Field(ge=0, description="Fires the precision rests on.")
    window_days: float = Field(gt=0, description="Days of history that were read.")

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> "Promise":
        """The promise in a published result of the engine."""
        return cls(**{name: result[name] for name in cls.model_fields})


class SignalMessage(Value):
    """A hypothesis that a person approved fired for a unit."""

    type: Literal["signal.created", "signal.unclaimed"] = Field(
        default="signal.created", description="`signal.unclaimed` says once more, under an id of its own, what nobody has claimed in time."
    )
    signal_id: str
    signal_type: SignalType
    confidence: _Share | None = Field(description="The promised precision; null until it can be told.")
    confidence_reason: str | None = Field(description="Why there is no confidence; null where there is one.")
    source: Literal["posthog"] = "posthog"
    hypothesis_id: str
    hypothesis_version: int = Field(ge=1)
    hypothesis: str = Field(description="The hypothesis as one sentence.")
    unit: Unit
    account: Account | None = Field(description="Null where the unit's company is not known.")
    occurrence: int = Field(ge=1, description="1 for the unit's first fire, counting on where a hypothesis may fire again.")
    fired_at: AwareDatetime = Field(description="The instant at which all conditions became true.")
    detected_at: AwareDatetime = Field(description="When Beton saw it.")
    events: tuple[EventReceipt, ...] = Field(max_length=MOST_RECEIPTS, description="The last events that made it fire.")
    events_total: int = Field(ge=0, description="How many events made it fire; more than are listed where the list was cut.")
    enrichment: dict[str, str | int | float | bool | None] = Field(description="Facts from elsewhere about the unit; may be empty.")
    backtest: Promise | None = Field(description="Null where the hypothesis was approved without a result.")
    links: dict[str, str] = Field(description="Addresses of pages about this signal, by name.")
    owner: str | None = Field(default=None, description="The name of whose it is; null where it is nobody's.")
    text: str | None = Field(default=None, description="The route's own text, filled in; null where it has none.")

    @model_validator(mode="after")
    def _confidence_or_reason(self) -> "SignalMessage":
        if (self.confidence is None) is (self.confidence_reason is None):
            raise ValueError("either a confidence or the reason why there is none")
        return self


class StatusMessage(Value):
    """A hypothesis changed its status: somebody decided, or its snooze was over."""

    model_config = ConfigDict(serialize_by_alias=True)

    type: Literal["hypothesis.status_changed"] = "hypothesis.status_changed"
    notice_id: str
    hypothesis_id: str
    hypothesis: str = Field(description="The hypothesis as one sentence, as it read after the change.")
    version: int = Field(ge=1, description="Of its definition: signals name it as hypothesis_version.")
    row_version: int = Field(ge=1, description="Counts all changes of the hypothesis: the higher one is the later one.")
    was: Status = Field(alias="from")
    became: Status = Field(alias="to")
    action: Action | Literal["drift", "names_broke"] = Field(
        description="What was done; `drift` and `names_broke` are what Beton noticed itself, with the status as it was."
    )
    actor: str = Field(description="Who did it: the name of a member or a key; what happens by itself is done by 'beton'.")
    reason: str | None = Field(description="Why, where a reason was given.")
    at: AwareDatetime


def signal_payload(
    signal: Signal,
    *,
    sentence: str,
    backtest: Mapping[str, Any] | None = None,
    confidence_reason: str | None = None,
    account: Account | None = None,
    enrichment: Mapping[str, str | int | float | bool | None] | None = None,
    links: Mapping[str, str] | None = None,
    owner: str | None = None,
    unclaimed: bool = False,
) -> dict[str, Any]:
    """The message about a signal as JSON values. `backtest` is the engine's published result at approval, `sentence` the hypothesis in words.

    Raises `Conflict` for a signal whose unit has been erased: there is nobody left to tell about.
    """
    if signal.unit_id is None:
        raise Conflict(f"The unit of signal {signal.id} has been erased.", code="conflict.unit_erased", fix="Nothing: it is not sent.")
    receipts = sorted(signal.receipts, key=lambda receipt: (receipt.at, receipt.event_id or "", receipt.event))
    return SignalMessage(
        type="signal.unclaimed" if unclaimed else "signal.created",
        signal_id=signal.id,
        signal_type=signal.signal_type,
        confidence=signal.confidence,
        confidence_reason=None if signal.confidence is not None else confidence_reason or _reason(backtest),
        hypothesis_id=signal.hypothesis_id,
        hypothesis_version=signal.hypothesis_version,
        hypothesis=sentence,
        unit=Unit(kind=signal.unit_kind, id=signal.unit_id),
        account=account,
        occurrence=signal.occurrence,
        fired_at=_utc(signal.fired_at),
        detected_at=_utc(signal.detected_at),
        events=tuple(EventReceipt(name=one.event, id=one.event_id, at=_utc(one.at)) for one in receipts[-MOST_RECEIPTS:]),
        events_total=len(receipts),
        enrichment=dict(enrichment or {}),
        backtest=None if backtest is None else Promise.from_result(backtest),
        links=dict(links or {}),
        owner=owner,
    ).model_dump(mode="json")


def status_payload(notice: Notice) -> dict[str, Any]:
    """The message about a change of status as JSON values."""
    told = notice.model_dump(exclude={"id", "sentence", "hypothesis_version", "was", "became", "at"})
    change = {"from": notice.was, "to": notice.became, "version": notice.hypothesis_version, "at": _utc(notice.at)}
    message = StatusMessage.model_validate(told | change | {"notice_id": notice.id, "hypothesis": notice.sentence})
    return message.model_dump(mode="json")


def trial_payload(route: str, now: datetime) -> dict[str, Any]:
    """A message that is no signal."""
    return {"type": "route.test", "route": route, "sent_at": now.isoformat()}


def with_text(body: bytes, text: str) -> bytes:
    """A body with the route's own text."""
    return body_bytes({**orjson.loads(body), "text": text})


def body_bytes(payload: Mapping[str, Any]) -> bytes:
    """The one spelling of a payload: keys sorted, no spaces, UTF-8."""
    return orjson.dumps(dict(payload), option=orjson.OPT_SORT_KEYS)


def schema_text() -> str:
    """The JSON Schema (2020-12) of a signal message as shipped with the documentation."""
    return _schema(SignalMessage, "Beton signal")


def status_schema_text() -> str:
    """The same of a message about a change of status."""
    return _schema(StatusMessage, "Beton change of status")


def _schema(message: type[Value], title: str) -> str:
    """Open where the model is closed: a later version may add fields, and receivers have to ignore those they do not know."""
    schema = _open(message.model_json_schema(mode="serialization"))
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}
    return orjson.dumps(whole, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2).decode() + "\n"


def _open(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_open(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _open(value) for key, value in schema.items() if (key, value) != ("additionalProperties", False)}


def _reason(backtest: Mapping[str, Any] | None) -> str:
    if backtest is None:
        return "the hypothesis was approved without a backtest"
    insufficient = backtest.get("insufficient")
    return insufficient["reason"] if insufficient else "the backtest gave no precision"


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)

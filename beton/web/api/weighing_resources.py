"""What the API sends to whoever weighs a hypothesis: what an approval would set going, two side by side, what a draft says."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from backtest.rates import Rate
from beton.signals import RouteKind, UnitKind
from beton.web.api.resources import HypothesisRead, ProblemFault, Sent
from beton.web.problems import pointer
from beton.work.drafting import Draft
from beton.work.looking import Difference
from beton.work.reviewing import Outlook, Proposal


class RateRead(Sent):
    """Signals a week: the rate that was seen, and the 95 % limits of the true one."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, one: Rate | None) -> RateRead | None:
        return None if one is None else cls(value=one.value, low=one.low, high=one.high)


class OpenRoute(Sent):
    """A route that takes signals now."""

    route_id: str
    name: str
    kind: RouteKind
    address: str


class FiredUnit(Sent):
    """Somebody who fired in the newest backtest."""

    kind: UnitKind
    id: str
    fired_at: AwareDatetime
    outcome_at: AwareDatetime | None
    open: bool = Field(description="Whether the outcome may still come in time.")


class OutlookRead(Sent):
    """What an approval would set going."""

    hypothesis_id: str
    version: int
    row_version: int = Field(description="Send it back with the decision.")
    verdict: Literal["clears", "does_not_clear", "cannot_tell", "untested"] = Field(description="Anything but `clears` needs an `override_reason`.")
    weekly: RateRead | None = Field(description="Signals a week to expect; null before the first backtest.")
    routes: list[OpenRoute] = Field(description="Each gets every signal.")
    fires: list[FiredUnit] | None = Field(
        description="The latest who fired, half of them long enough ago to know what became of them. Null where the caller may not read signals."
    )

    @classmethod
    def of(cls, one: Outlook, *, units: bool) -> OutlookRead:
        row = one.proposal.resource.hypothesis
        fires = [
            FiredUnit(kind=fire.unit_kind, id=fire.unit_id, fired_at=fire.fired_at, outcome_at=fire.outcome_at, open=one.open(fire))
            for fire in one.fires
        ]
        routes = [OpenRoute(route_id=route.id, name=route.name, kind=route.kind, address=route.address) for route in one.routes]
        told: dict[str, Any] = {"hypothesis_id": row.id, "version": row.version, "row_version": row.row_version, "verdict": one.proposal.verdict}
        return cls(**told, weekly=RateRead.of(one.proposal.weekly), routes=routes, fires=fires if units else None)


class UndoneRead(HypothesisRead):
    """Back in review."""

    signals: int = Field(description="Recorded between the approval and now; what had left stays sent.")


class NumberRead(Sent):
    """A number with its 95 % interval; null where it cannot be told."""

    value: float | None
    low: float | None
    high: float | None


class DifferenceRead(Sent):
    """One number of both."""

    name: str
    a: NumberRead
    b: NumberRead
    apart: bool | None = Field(description="Whether the intervals do not overlap. Null where one has none.")

    @classmethod
    def of(cls, name: str, one: Difference) -> DifferenceRead:
        a, b = (NumberRead(value=value, low=low, high=high) for value, low, high in (one.a, one.b))
        return cls(name=name, a=a, b=b, apart=one.apart)


class ComparisonRead(Sent):
    """Two hypotheses, and their numbers of the whole window side by side."""

    a: HypothesisRead
    b: HypothesisRead
    differences: list[DifferenceRead]

    @classmethod
    def of(cls, a: Proposal, b: Proposal, told: dict[str, Difference]) -> ComparisonRead:
        differences = [DifferenceRead.of(name, one) for name, one in told.items()]
        return cls(a=HypothesisRead.of(a.resource), b=HypothesisRead.of(b.resource), differences=differences)


class PreviewRead(Sent):
    """What a draft says, or all that is wrong with it."""

    hypothesis: str | None = Field(description="The sentence; null while there are faults.")
    definition: dict[str, Any] | None = Field(description="In its canonical form; null while there are faults.")
    errors: list[ProblemFault]
    hypothesis_id: str | None = Field(description="The known one of the same meaning.")

    @classmethod
    def of(cls, one: Draft, *, as_text: bool) -> PreviewRead:
        errors = [
            ProblemFault(
                field=fault.field,
                pointer=None if as_text else pointer(f"definition.{fault.field}"),
                message=fault.message,
                line=fault.line,
                nearest=list(fault.nearest),
            )
            for fault in one.faults
        ]
        return cls(
            hypothesis=one.sentence or None,
            definition=None if one.definition is None else one.definition.canonical().to_json(),
            errors=errors,
            hypothesis_id=None if one.known is None else one.known.id,
        )


WEIGHED: tuple[type[BaseModel], ...] = (OutlookRead, UndoneRead, ComparisonRead, PreviewRead)
"""Every body that is sent from here."""

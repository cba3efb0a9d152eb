"""What pictures show of hypotheses: estimates with their intervals and the number of cases, from the published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from beton.work.deciding import Resource

Verdict = Literal["clears", "does_not_clear", "cannot_tell"]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; unknown unless all three are there, since no picture shows a point without its interval."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, numbers: Mapping[str, Any] | None, name: str) -> Estimate:
        """The published number of this name."""
        told = numbers or {}
        return cls(told.get(name), told.get(f"{name}_low"), told.get(f"{name}_high"))

    @property
    def known(self) -> bool:
        """Whether it can be drawn."""
        return None not in (self.value, self.low, self.high)

    @property
    def share(self) -> str:
        """In percent."""
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})" if self.known else "cannot tell"

    @property
    def times(self) -> str:
        """As a multiple."""
        return f"{self.value:.2f}× ({self.low:.2f} to {self.high:.2f})" if self.known else "cannot tell"


@dataclass(frozen=True)
class Point:
    """One hypothesis in a picture; `number` is how the picture and its table refer to it."""

    number: int
    sentence: str
    href: str
    verdict: Verdict
    n: int
    precision: Estimate
    recall: Estimate
    lift: Estimate
    discovery: Estimate
    confirmed: Estimate
    confirmed_n: int


def points(found: Sequence[Resource], address: str) -> list[Point]:
    """Those that have been tested, numbered from 1 in the order given. `address` comes before the id in links."""
    tested = [one.to_json() for one in found if one.to_json()["backtest"] is not None]
    return [_point(number, told, address) for number, told in enumerate(tested, 1)]


def _point(number: int, told: dict[str, Any], address: str) -> Point:
    numbers = told["backtest"]
    confirmed = numbers.get("confirmed")
    judged = confirmed or numbers
    return Point(
        number=number,
        sentence=told["hypothesis"],
        href=f"{address}/{told['hypothesis_id']}",
        verdict="cannot_tell" if told["verdict"] is None else told["verdict"]["verdict"],
        n=judged["sample_size"],
        precision=Estimate.of(judged, "precision"),
        recall=Estimate.of(judged, "recall"),
        lift=Estimate.of(judged, "lift_vs_baseline"),
        discovery=Estimate.of(numbers.get("discovery"), "lift_vs_baseline"),
        confirmed=Estimate.of(confirmed, "lift_vs_baseline"),
        confirmed_n=0 if confirmed is None else confirmed["sample_size"],
    )

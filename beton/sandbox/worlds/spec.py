"""What a `world.yaml` may say: a business, how people behave in it, what really causes the outcome, and what only looks as if it did.

Every part is closed to unknown fields. Lengths of time are written as in the hypothesis language (`7d`, `90s`), `0` where nothing is allowed.
`docs/reference/worlds.md` explains each field with an example.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from backtest.durations import Duration
from backtest.language import Clause, Event, Group, Hypothesis, Lapse, Outcome, PropertyOutcome, Unit
from backtest.matching import EventMatch


class WorldRefused(ValueError):
    """A world that cannot be read or made, with the reason in plain words."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _length(value: Any) -> Any:
    return 0 if value in (0, "0") else Duration.parse(value)


def _spelled(length: int) -> str:
    return str(Duration(length)) if length else "0"


Length = Annotated[int, BeforeValidator(_length), PlainSerializer(_spelled)]
"""Microseconds; like a `Duration`, but may be nothing."""

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, le=1000)]
Factor = Annotated[float, Field(gt=0, le=1000)]
Between = tuple[Length, Length]
"""From the first length to the second."""

Levels = dict[str, dict[str, Rate]]
"""By trait and level, what a rate is multiplied with."""


class Level(Section):
    """One level of a trait: the share of units that have it, and what it does to their outcomes and to their activity."""

    share: Share
    hazard: Factor = 1.0
    activity: Rate = 1.0
    seats: Factor = 1.0


class Arrivals(Section):
    """When units enter: weekends against weekdays, and the end of the history against its start."""

    weekend: Factor = 0.4
    growth: Factor = 1.3


class Seats(Section):
    """Account units: the group type, and how many persons join after the first one, how soon."""

    group: str
    mean: Rate = 3
    within: Length = Duration.days(30)
    joined: str = "member_joined"


class Phase(Section):
    """A stretch of more or less activity in the life of a share of the units."""

    share: Share
    starts: Between
    lasts: Between
    factor: Rate
    traits: Levels = {}


class Sessions(Section):
    per_day: Rate
    spread: Rate = 0.5
    stays: Length = Duration.days(60)
    events: Factor = 5
    weekend: Factor = 0.4
    phases: tuple[Phase, ...] = ()


class Background(Section):
    """What fills sessions: names by Zipf's law, the first the most frequent."""

    names: Annotated[tuple[str, ...], Field(min_length=1)]
    exponent: Rate = 1.1


class Burst(Section):
    """A share of the units does the event `count` times within a stretch of its life; `everyone`: by the account's persons in turn."""

    share: Share
    count: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 1)
    starts: Between = (0, 0)
    within: Length
    traits: Levels = {}
    everyone: bool = False


class Follows(Section):
    """The event comes after another of the same person, in its session."""

    event: str
    share: Share = 1.0
    after: Between


class Feature(Section):
    """A custom event and the ways in which it comes about. `since` and `until` count back from the as-of instant."""

    name: str
    per_session: Rate = 0
    users: Share = 1.0
    traits: Levels = {}
    bursts: tuple[Burst, ...] = ()
    follows: Follows | None = None
    since: Length | None = None
    until: Length | None = None


class Values(Section):
    """How the values of one property come about: exactly one of the ways, and what may happen to them."""

    constant: Any = None
    choice: tuple[Any, ...] | None = None
    weights: tuple[Rate, ...] | None = None
    number: tuple[float, float] | None = None
    decimals: Annotated[int, Field(ge=0, le=6)] = 0
    logarithmic: bool = False
    boolean: Share | None = None
    trait: str | None = None
    running: tuple[float, float] | None = None
    per: Length | None = None
    nested: dict[str, Values] | None = None
    array: tuple[Any, ...] | None = None
    prefixed: str | None = None
    property: str | None = None
    as_text: bool = False
    missing: Share = 0
    changed: Length | None = None
    to: Values | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Values:
        ways = [name for name in WAYS if getattr(self, name) is not None]
        if len(ways) != 1:
            raise ValueError(f"a property needs exactly one of {', '.join(WAYS)}; it has {' and '.join(ways) or 'none'}")
        if self.weights is not None and (self.choice is None or len(self.weights) != len(self.choice)):
            raise ValueError("weights go with a choice, one for each value")
        if (self.prefixed is None) != (self.property is None) or (self.changed is None) != (self.to is None):
            raise ValueError("prefixed needs the property it prefixes; changed needs what it changes to")
        return self


WAYS = ("constant", "choice", "number", "boolean", "trait", "running", "nested", "array", "prefixed")


class Hazard(Section):
    """How likely the outcome is: `share` of all units reach it by the as-of instant, on average.

    The base hazard is set to give that share, with causes and without, so that a null world has the same base rate. `age` multiplies it from
    each age on.
    """

    share: Share
    age: dict[str, Factor] = {}
    weekend: Factor = 0.5
    growth: Factor = 1.0


class Cause(Section):
    """A planted cause: for `lasts` from each fire of its clauses the hazard is multiplied by `factor`; or while they hold, and for `lasts` after.

    A cause that `ended` so long before the as-of instant is a decaying one: from that instant on it has no effect.
    """

    id: str
    clauses: Annotated[tuple[Clause, ...], Field(min_length=1, max_length=3)]
    factor: Factor
    lasts: Length
    while_holding: bool = False
    ended: Length | None = None


class Trap(Section):
    """What looks like a cause. `clauses` are hypotheses about it that must be labelled; where they are not given two are made for the event."""

    event: str
    clauses: tuple[Annotated[tuple[Clause, ...], Field(min_length=1, max_length=3)], ...] | None = None


class Proxy(Trap):
    of: str


class Confounder(Trap):
    trait: str


class OwnPath(Trap):
    """A step on the way to the outcome itself: shortly before it, and now and then abandoned (times in 30 days of a unit's active life)."""

    before: Between
    share: Share = 1.0
    abandoned: Rate = 0


class AfterOutcome(Trap):
    """A consequence: once, so long after the outcome, and then so many times a day."""

    after: Between
    share: Share = 1.0
    per_day: Rate = 0


class Twin(Trap):
    """Sent by another system for the same act, within 400 ms of the outcome on either side."""

    share: Share = 1.0


class Progress(Trap):
    """Steps that the outcome consists of: the units that reach it have carried 1, 2, ... of `steps` on `property`; the others fewer."""

    property: str
    steps: Annotated[int, Field(ge=2)]
    others: Share = 0.3


class Delivery(Section):
    """How badly events arrive: shares of late ones, of duplicates, and of persons with a second distinct id."""

    late: Share = 0
    duplicates: Share = 0
    merges: Share = 0


class Entrants(Section):
    """Two sides of a market: only units with this level of this trait have an entry; the others announce themselves by `others`."""

    trait: str
    level: str
    others: str


class WorldSpec(Section):
    """One world. `unit`, `entry` and `outcome` belong to every planted hypothesis."""

    title: str
    host: str = "app.example.com"
    seats: Seats | None = None
    entry: str
    entrants: Entrants | None = None
    units: Annotated[int, Field(ge=10, le=2_000_000)]
    window: Length = Duration.days(90)
    arrivals: Arrivals = Arrivals()
    traits: dict[str, dict[str, Level]] = {}
    internal: Share = 0.004
    visits_before_entry: Share = 0.4
    sessions: Sessions
    background: Background
    features: tuple[Feature, ...] = ()
    properties: dict[str, dict[str, Values]] = {}
    types: dict[str, str] = {}
    outcome: Outcome
    emits: str = ""
    hazard: Hazard
    causes: tuple[Cause, ...] = ()
    proxies: tuple[Proxy, ...] = ()
    confounders: tuple[Confounder, ...] = ()
    own_path: tuple[OwnPath, ...] = ()
    after_outcome: tuple[AfterOutcome, ...] = ()
    twins: tuple[Twin, ...] = ()
    progress: Progress | None = None
    activity_after_outcome: Share = 1.0
    delivery: Delivery = Delivery()

    @property
    def unit(self) -> Unit:
        return Group(group=self.seats.group) if self.seats else "person"

    @property
    def outcome_match(self) -> EventMatch:
        """What an event must look like to be the outcome."""
        if isinstance(self.outcome, Lapse):
            raise TypeError("a lapse is not carried by an event")
        return self.outcome.match

    @property
    def outcome_event(self) -> str:
        """The event that carries the outcome."""
        if isinstance(self.outcome, Event):
            return self.outcome.match.events[0]
        return self.progress.event if self.progress else self.emits

    def hypothesis(self, clauses: tuple[Clause, ...], name: str) -> Hypothesis:
        """A claim about this world's outcome."""
        return Hypothesis(name=name, unit=self.unit, entry=EventMatch(events=(self.entry,)), clauses=clauses, outcome=self.outcome)

    @model_validator(mode="after")
    def _hangs_together(self) -> WorldSpec:
        faults = [*_outcome_faults(self), *_trait_faults(self), *_reference_faults(self), *_property_faults(self)] or list(_claim_faults(self))
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _outcome_faults(spec: WorldSpec) -> Iterator[str]:
    if isinstance(spec.outcome, Lapse):
        yield "outcome: a lapse follows from behaviour and cannot be drawn; plant an event or a property"
    elif isinstance(spec.outcome, Event) and not spec.outcome.match.events:
        yield "outcome: name the event that carries it"
    elif isinstance(spec.outcome, PropertyOutcome) and not (spec.emits or spec.progress):
        yield "emits: name the event whose property reaches the value"


def _trait_faults(spec: WorldSpec) -> Iterator[str]:
    for name, levels in spec.traits.items():
        if abs(sum(level.share for level in levels.values()) - 1) > 1e-6:
            yield f"traits.{name}: the shares of its levels must add up to 1"
    named = [(f"features.{one.name}", one.traits) for one in spec.features]
    named += [(f"features.{one.name}.bursts", burst.traits) for one in spec.features for burst in one.bursts]
    named += [("sessions.phases", phase.traits) for phase in spec.sessions.phases]
    if spec.entrants:
        named.append(("entrants", {spec.entrants.trait: {spec.entrants.level: 1.0}}))
    for where, traits in named:
        for trait, levels in traits.items():
            for level in levels:
                if level not in spec.traits.get(trait, {}):
                    yield f"{where}: there is no trait {trait} with a level {level}"


def _reference_faults(spec: WorldSpec) -> Iterator[str]:
    ids = [cause.id for cause in spec.causes]
    if len(set(ids)) < len(ids):
        yield "causes: every cause needs an id of its own"
    yield from (f"proxies: there is no cause {one.of}" for one in spec.proxies if one.of not in ids)
    yield from (f"confounders: there is no trait {one.trait}" for one in spec.confounders if one.trait not in spec.traits)
    known = {spec.entry, *spec.background.names}
    for feature in spec.features:
        if feature.follows and feature.follows.event not in known:
            yield f"features.{feature.name}: follows {feature.follows.event}, which must come earlier in the list"
        known.add(feature.name)


def _property_faults(spec: WorldSpec) -> Iterator[str]:
    for event, properties in spec.properties.items():
        for name, values in properties.items():
            if values.trait is not None and values.trait not in spec.traits:
                yield f"properties.{event}.{name}: there is no trait {values.trait}"
            if values.property is not None and properties.get(values.property, values).property is not None:
                yield f"properties.{event}.{name}: there is no property {values.property} of its own on that event"


def _claim_faults(spec: WorldSpec) -> Iterator[str]:
    """What the hypothesis language refuses, such as a cause that looks at the outcome itself."""
    claims = [(f"causes.{cause.id}", cause.clauses) for cause in spec.causes]
    traps = (*spec.proxies, *spec.confounders, *spec.own_path, *spec.after_outcome, *spec.twins, *([spec.progress] if spec.progress else []))
    claims += [(trap.event, clauses) for trap in traps for clauses in trap.clauses or ()]
    for where, clauses in claims:
        try:
            spec.hypothesis(clauses, where)
        except ValidationError as error:
            yield from (f"{where}: {one['msg']}" for one in error.errors())

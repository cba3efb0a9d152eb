"""The ground truth of a world: `truth.json`, and one row per unit. `docs/reference/worlds.md` documents every field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from backtest.durations import DAY, Duration
from backtest.intervals import FOREVER, Ints
from backtest.language import Clause, Hypothesis
from backtest.refusals import matches_of
from beton.sandbox.worlds.outcomes import Effects, happened
from beton.sandbox.worlds.people import Population
from beton.sandbox.worlds.properties import Batch
from beton.sandbox.worlds.spec import Cause, Trap, WorldSpec
from beton.sandbox.worlds.tables import Names

FORMAT = 1
"""Of `truth.json`; it changes when a field changes its meaning."""

TELLS_TODAY = "$set"
"""Carries the outcome as a person property, after the fact."""


def as_text(at: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(at))).isoformat().replace("+00:00", "Z")


def units_frame(spec: WorldSpec, population: Population, names: Names, outcome: Ints, effects: Sequence[Effects]) -> pl.DataFrame:
    """Per unit: id, entry, outcome, traits, and the first fire of each cause in behaviour without outcomes."""
    ids = names.account if spec.seats else names.person.gather(population.owner)
    columns = {
        "unit": ids,
        "entry": _instants(np.where(population.enters, population.entered, FOREVER)),
        "outcome": _instants(outcome),
        "internal": pl.Series(population.internal),
    }
    for name, codes in population.traits.items():
        columns[f"trait {name}"] = pl.Series(list(spec.traits[name])).gather(codes)
    columns |= {f"fire {effect.cause.id}": _instants(effect.first) for effect in effects}
    return pl.DataFrame(columns)


def _instants(at: Ints) -> pl.Series:
    known = happened(at)
    return pl.select(pl.when(pl.Series(known)).then(pl.Series(np.where(known, at, 0)))).to_series().cast(pl.Datetime("us", "UTC"))


def truth_of(
    spec: WorldSpec, name: str, seed: int, population: Population, batches: Sequence[Batch], outcome: Ints, effects: Sequence[Effects], *, null: bool
) -> dict[str, Any]:
    end, window = population.end, spec.window
    counts: dict[str, int] = {}
    for batch in batches:
        counts[batch.name] = counts.get(batch.name, 0) + len(batch)
    reached = happened(outcome)
    return {
        "format": FORMAT,
        "world": name,
        "title": spec.title,
        "seed": seed,
        "null": null,
        "as_of": as_text(end),
        "history_from": as_text(population.start),
        "window_days": window / DAY,
        "unit": "person" if spec.unit == "person" else spec.unit.model_dump(),
        "entry": spec.entry,
        "outcome": spec.outcome.model_dump(mode="json"),
        "horizon": str(spec.outcome.horizon),
        "expected_share": spec.hazard.share,
        "planted": [] if null else [_planted(population, effect, outcome) for effect in effects],
        "must_label": list(_traps(spec, null=null)),
        "no_effect": sorted(set(counts) - _meant(spec) - {TELLS_TODAY}),
        "tells_today": {"event": TELLS_TODAY, "person_property": "plan"},
        "near_duplicates": [{"event": one, "of": other} for one in sorted(counts) for other in sorted(counts) if _alike(one, other)],
        "dead_events": sorted(feature.name for feature in spec.features if feature.until is not None),
        "traits": {trait: {level: one.model_dump() for level, one in levels.items()} for trait, levels in spec.traits.items()},
        "property_types": spec.types,
        "counts": {
            "units": int(population.enters.sum()),
            "persons": len(population.unit_of),
            "events": sum(map(len, batches)),
            "outcomes": int(reached.sum()),
            "outcomes_in_window": int((reached & (outcome >= end - window)).sum()),
            "by_event": dict(sorted(counts.items())),
        },
    }


def _alike(one: str, other: str) -> bool:
    """Two spellings of one name; the one with capitals is the copy."""
    return one != one.lower() and one != other and one.lower() == other.lower().replace("_", "")


def _planted(population: Population, effect: Effects, outcome: Ints) -> dict[str, Any]:
    cause = effect.cause
    fired = happened(effect.first) & (effect.first < outcome)
    return {
        "id": cause.id,
        "kind": "decaying" if cause.ended is not None else "cause",
        "factor": cause.factor,
        "lasts": str(Duration(cause.lasts)),
        "while_holding": cause.while_holding,
        "from": as_text(population.start),
        "until": None if cause.ended is None else as_text(population.end - cause.ended),
        "units_fired": int(fired.sum()),
        "hypothesis": effect.hypothesis.to_json(),
    }


LABELS = {"own_path": "own_path", "after_outcome": "after_outcome", "twins": "twin", "proxies": "redundant", "confounders": "confounded"}
"""The lists of a spec and what a product must say of the hypotheses about them."""


def _traps(spec: WorldSpec, *, null: bool) -> Iterator[dict[str, Any]]:
    """In a null world there is no cause to be redundant with and no trait that matters."""
    for where, label in LABELS.items():
        if null and where in ("proxies", "confounders"):
            continue
        for trap in getattr(spec, where):
            yield _trap(spec, trap, label)
    if spec.progress:
        yield _trap(spec, spec.progress, "progress")


def _meant(spec: WorldSpec) -> set[str]:
    """Events that are a cause, a trap, the entry or the outcome; all others are noise."""
    causes = [spec.hypothesis(cause.clauses, cause.id) for cause in spec.causes]
    named = {name for hypothesis in causes for _, match in matches_of(hypothesis) for name in match.events}
    traps = [trap.event for where in LABELS for trap in getattr(spec, where)]
    return named | {spec.entry, spec.outcome_event, *traps, *([spec.progress.event] if spec.progress else [])}


def _trap(spec: WorldSpec, trap: Trap, label: str) -> dict[str, Any]:
    cause = next((one for one in spec.causes if one.id == getattr(trap, "of", None)), None)
    written = tuple(_usual(trap, cause)) if trap.clauses is None else trap.clauses
    hypotheses = [spec.hypothesis(clauses, f"{label} {trap.event} {number}") for number, clauses in enumerate(written, 1)]
    extra = {field: getattr(trap, field) for field in ("of", "trait", "property", "steps") if hasattr(trap, field)}
    return {"label": label, "event": trap.event, **extra, "hypotheses": [_unnamed(one) for one in hypotheses]}


def _unnamed(hypothesis: Hypothesis) -> dict[str, Any]:
    return hypothesis.model_copy(update={"name": None}).to_json()


def _usual(trap: Trap, cause: Cause | None) -> Iterator[tuple[Clause, ...]]:
    """A proxy is claimed in the words of its cause; anything else as "did it lately" and "did it soon after entry"."""
    if cause is not None:
        own = [one.model_dump(mode="json") for one in cause.clauses]
        yield tuple(_reworded(one, trap.event) for one in own)
        return
    yield (_did(trap.event, {"last": "7d"}),)
    yield (_did(trap.event, {"first": "7d"}),)


def _reworded(clause: dict[str, Any], event: str) -> Clause:
    return _clause(clause | {"match": event})


def _did(event: str, span: Any) -> Clause:
    return _clause({"kind": "did", "match": event, "span": span})


def _clause(data: dict[str, Any]) -> Clause:
    return TypeAdapter(Clause).validate_python(data)

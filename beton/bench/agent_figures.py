"""What a benchmark of the agent comes to: figures with their bounds from lists of many worlds and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from beton.bench.figures import Figure, about_at_least, none_of
from beton.bench.recovery import ALIKE, Shown, Sought
from beton.bench.rivalry import LATER, Beside, Rivalry

LEVEL, SILENT, ENDED = 0.95, 0.90, 0.80
RETAINED = (0.9, 1.1)


@dataclass(frozen=True)
class Run:
    """One world of one seed: the list without a model, with each model, and the comparisons with rivals. `null`: nothing is planted in it."""

    null: bool
    without: Shown
    models: Mapping[str, Shown] = field(default_factory=dict)
    beside: tuple[Beside, ...] = ()


def figures(runs: Sequence[Run], parts: frozenset[str], rivals: Sequence[Rivalry]) -> Iterator[tuple[str, Figure]]:
    """All figures of the parts that were asked for."""
    planted, nothing = [one for one in runs if not one.null], [one for one in runs if one.null]
    if "recovery" in parts:
        yield from of_lists("", [one.without for one in planted])
    if "null" in parts and nothing:
        yield "null_silent", _silent([one.without for one in nothing])
    if "models" in parts:
        for name in sorted({name for one in runs for name in one.models}):
            yield from of_lists(f"{name}_model_", [one.models[name] for one in planted])
            if nothing:
                yield f"{name}_model_null_silent", _silent([one.models[name] for one in nothing])
        yield from _harm(planted, nothing)
    for one in rivals:
        if one.where == LATER and (one.difference.n or not one.lacks):
            yield from _against(one)


def of_lists(prefix: str, lists: Sequence[Shown]) -> Iterator[tuple[str, Figure]]:
    """The figures of a kind of list, over worlds with causes; what has no case is left out."""
    yield from ((name, one) for name, one in _measured(prefix, lists) if one.replicates)


def _measured(prefix: str, lists: Sequence[Shown]) -> Iterator[tuple[str, Figure]]:
    sought = [one for each in lists for one in each.sought if one.findable]
    told = f"planted causes of which one of the first lines says the same (Jaccard of the units that fire >= {ALIKE:g})"
    yield f"{prefix}recovered", about_at_least(sum(one.recovered for one in sought), len(sought), LEVEL, told)
    whole = [each for each in lists if any(one.findable for one in each.sought)]
    hits = sum(all(one.recovered for one in each.sought if one.findable) for each in whole)
    yield f"{prefix}recovered_all", about_at_least(hits, len(whole), LEVEL, "worlds of a seed in whose first lines all planted causes are")
    clear = sum(len(each.recommended) for each in lists)
    steps = sum(len(each.steps) for each in lists)
    yield f"{prefix}steps_recommended", none_of(steps, clear, "recommended lines that name a step on the outcome's own path or a consequence")
    useless = sum(len(each.of_no_use) for each in lists) - steps
    yield f"{prefix}twins_recommended", none_of(useless, clear, "recommended lines that name a twin of the outcome or progress towards it")
    alike = [one for each in lists for one in each.jaccards]
    closest = max(alike, default=None)
    how = "the two lines of any list that are most alike, by the Jaccard of the units that fire"
    yield f"{prefix}closest_lines", Figure(closest, f"< {ALIKE:g}", len(alike), closest is not None and closest < ALIKE, how)
    retained = [one for each in lists for one in each.retained]
    middle = median(retained) if retained else None
    low, high = RETAINED
    how = "median over all lines of the confirmed lift over the lift that was displayed before, shrunken"
    yield f"{prefix}lift_retained", Figure(middle, f"between {low:g} and {high:g}", len(retained), middle is not None and low <= middle <= high, how)
    ended = [one for each in lists for one in each.ended]
    how = "effects that ended of which no recommended line says the same"
    yield f"{prefix}ended_effects_not_recommended", about_at_least(sum(not one for one in ended), len(ended), ENDED, how)


def _silent(lists: Sequence[Shown]) -> Figure:
    return about_at_least(
        sum(not one.recommended for one in lists), len(lists), SILENT, "worlds with nothing planted in which nothing is recommended"
    )


def _harm(planted: Sequence[Run], nothing: Sequence[Run]) -> Iterator[tuple[str, Figure]]:
    """What the bad model makes worse than no model."""
    pairs = [(one.without, one.models["bad"]) for one in planted if "bad" in one.models]
    lost = sum(had.recovered and not has.recovered for without, bad in pairs for had, has in zip(without.sought, bad.sought, strict=True))
    causes = sum(one.recovered for without, _ in pairs for one in without.sought)
    yield "bad_model_causes_lost", none_of(lost, causes, "causes recovered without a model that are not with the bad one")
    more = sum(max(0, bad.false - without.false) for without, bad in pairs)
    more += sum(len(one.models["bad"].recommended - one.without.recommended) for one in nothing if "bad" in one.models)
    told = (
        "false recommendations that only the bad model leads to: what names a step of the outcome, a twin, progress or a confounder or repeats an "
        "ended effect; anything where nothing is planted"
    )
    yield "bad_model_false_added", none_of(more, len(pairs) + len(nothing), told)


def _against(one: Rivalry) -> Iterator[tuple[str, Figure]]:
    mean = one.difference
    bound = "> 0 by two standard errors" + ("" if mean.low is None else f": {mean.low:.3f} to {mean.high:.3f}")
    told = f"lift of ours less that of {one.rival} at equal recall, mean of the worlds' means"
    yield f"ahead_of_{one.rival}", Figure(mean.value, bound, mean.n, one.ahead, told)
    told = f"worlds in which ours is behind {one.rival} by two standard errors"
    yield f"behind_{one.rival}", none_of(len(one.behind), len(one.by_world), told)


def causes(lists: Sequence[Shown]) -> Iterator[dict[str, Any]]:
    """Every planted cause by itself, over seeds."""
    for world, name in sorted({(each.world, one.cause) for each in lists for one in each.sought}):
        told = [one for each in lists if each.world == world for one in each.sought if one.cause == name]
        yield {"world": world, "cause": name, **_of_cause(told)}


def _of_cause(told: Sequence[Sought]) -> dict[str, Any]:
    sought = [one for one in told if one.findable]
    return {
        "runs": len(told),
        "not_findable": len(told) - len(sought),
        "not_supported": sum(not one.supported for one in sought),
        "recovered": sum(one.recovered for one in sought),
        "recommended": sum(one.recommended for one in sought),
        "mean_jaccard": fmean(one.jaccard for one in sought) if sought else None,
    }


def lists(runs: Sequence[Run]) -> dict[str, Any]:
    """How long the lists are, and what is on them that no figure bounds."""
    kinds: dict[str, list[Shown]] = {
        "without_model": [one.without for one in runs if not one.null],
        "null": [one.without for one in runs if one.null],
    }
    for name in sorted({name for one in runs for name in one.models}):
        kinds[f"{name}_model"] = [one.models[name] for one in runs if not one.null]
    return {kind: _described(several) for kind, several in kinds.items() if several}


def _described(several: Sequence[Shown]) -> dict[str, Any]:
    kept = [one for each in several for one in each.retained_recommended]
    return {
        "runs": len(several),
        "mean_lines": fmean(one.lines for one in several),
        "mean_recommended": fmean(len(one.recommended) for one in several),
        "mean_tried": fmean(one.tried for one in several),
        "confounded_recommended": sum(one.confounded for one in several),
        "lift_retained_by_recommended": median(kept) if kept else None,
        "named": sorted({one for each in several for one in each.of_no_use}),
    }

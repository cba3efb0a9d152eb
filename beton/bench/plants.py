"""What is planted in worlds: are traps labelled and causes not, and is an effect that ended noticed?"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from backtest import EventLog, Hypothesis, Score, published, score
from backtest.drift import trend
from backtest.durations import DAY
from backtest.fires import first_matches
from backtest.labels import LabelCode
from backtest.split import cut_at, earlier, later
from backtest.tally import sample_of
from backtest.verdict import Bar, judge
from beton.bench.projects import opened_world

OF_NO_USE = {LabelCode.no_lead, LabelCode.own_path, LabelCode.same_second}
FOLLOWS = {LabelCode.after_outcome, LabelCode.no_lead, LabelCode.same_second, LabelCode.true_for_none}
FADING = 0.05


@dataclass(frozen=True)
class Plants:
    """Numbers of planted hypotheses, and of those that were told right. Plants of several worlds add."""

    own_path: int = 0
    own_path_labelled: int = 0
    after: int = 0
    after_labelled: int = 0
    after_silent: int = 0
    causes: int = 0
    causes_clean: int = 0
    decaying: int = 0
    decaying_told: int = 0

    def __add__(self, other: Plants) -> Plants:
        return Plants(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})


def of_world(name: str, seed: int) -> Plants:
    """One world of one seed."""
    with opened_world(name, seed) as project:
        kinds = {"own_path": project.trapped("own_path"), "after": project.trapped("after_outcome")}
        kinds |= {"causes": project.planted("cause"), "decaying": project.planted("decaying")}
        everything = [one for several in kinds.values() for one in several]
        log = project.log(everything)
        told = {kind: [score(one, log) for one in several] for kind, several in kinds.items()}
        return Plants(
            own_path=len(told["own_path"]),
            own_path_labelled=sum(_labelled(one, OF_NO_USE) for one in told["own_path"]),
            after=len(told["after"]),
            after_labelled=sum(_labelled(one, FOLLOWS) for one in told["after"]),
            after_silent=sum(not _labelled(one, FOLLOWS) and one.sample_size == 0 for one in told["after"]),
            causes=len(told["causes"]),
            causes_clean=sum(not one.labels for one in told["causes"]),
            decaying=len(kinds["decaying"]),
            decaying_told=sum(not _confirmed(one, log) or _fades(one, log) for one in kinds["decaying"]),
        )


def _labelled(one: Score, codes: set[LabelCode]) -> bool:
    return any(label.code in codes for label in one.labels)


def _confirmed(hypothesis: Hypothesis, log: EventLog) -> bool:
    """Does the later part clear the bar, in a family of one: the easiest case for a find that no longer works?"""
    cut = cut_at(hypothesis, log)
    if cut is None:
        return False
    early, late = earlier(log, hypothesis, cut), later(log, hypothesis, cut)
    found = score(hypothesis, early)
    told = published(score(hypothesis, log), log.window) | {
        "confirmed": published(score(hypothesis, late), late.window),
        "q_value": found.p_stratified,
    }
    return judge(told, Bar(), selected=True).clears is True


def _fades(hypothesis: Hypothesis, log: EventLog) -> bool:
    """A falling trend of precision over fire weeks."""
    firsts = first_matches(hypothesis, log).firsts()
    sample = sample_of(hypothesis, log, firsts)
    week = (firsts.at[sample.counted] - log.window.start) // (7 * DAY)
    weeks = int(week.max(initial=0)) + 1
    found = trend(np.bincount(week, sample.hits[sample.counted], weeks).astype(np.int64), np.bincount(week, minlength=weeks))
    return found is not None and found.z < 0 and found.p_value <= FADING

"""A backtest: many hypotheses, one log each per unit kind, one row of numbers per hypothesis.

`run_backtest` in stages, with who does them:

0. `plan.plan_reads`: what all hypotheses together need;
1. a reader (outside this package) turns the plan into one `EventLog` per unit kind;
2. `score.baseline_of`: the age tables, once per entry, outcome and horizon;
3. `fires.held`, `fires.fires_of`: where each hypothesis holds and fires;
4. `score.score`: designs F, L or G;
5. `report.published`: the fields that page, API, CLI and messages show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from backtest.events import EventLog, first_key, outcome_key
from backtest.language import Hypothesis, Unit
from backtest.score import Baseline, Score, baseline_of, score

Progress = Callable[[int, int], None]


def run_backtest(hypotheses: Sequence[Hypothesis], logs: Mapping[Unit, EventLog], progress: Progress | None = None) -> Iterator[Score]:
    """Scores in the order of `hypotheses`. `logs` holds one log per unit kind among them; `progress(done, total)` is called after each."""
    baselines: dict[tuple[Unit, str, str, int], Baseline] = {}
    for done, hypothesis in enumerate(hypotheses, 1):
        log = logs[hypothesis.unit]
        shared = (hypothesis.unit, first_key(hypothesis.entry), outcome_key(hypothesis), int(hypothesis.horizon))
        if shared not in baselines:
            baselines[shared] = baseline_of(hypothesis, log)
        yield score(hypothesis, log, baselines[shared])
        if progress:
            progress(done, len(hypotheses))

"""A backtest of a file from end to end: names are checked first, numbers come with what was skipped."""

import json
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from backtest.language import Hypothesis
from beton.errors import BadInput
from beton.event_files import ColumnMap, EventFile, open_event_file
from beton.hypothesis_files import read_hypothesis_file
from beton.local_backtest import BacktestResult, backtest_file, read_cohorts

AS_OF = datetime(2026, 4, 1, tzinfo=UTC)
HEAD = "person_id,company,event,timestamp,properties\n"
ROWS = """
p1,acme,signed_up,2026-02-01,
p1,acme,invited,2026-02-02,"{""seats"": ""12""}"
p1,acme,paid,2026-02-05,
p2,acme,signed_up,2026-02-01,
p2,acme,invited,2026-02-03,"{""seats"": ""3""}"
p3,,signed_up,2026-02-02,
p3,,paid,2026-02-04,
p4,initech,signed_up,2026-02-02,
p4,initech,invited,2026-02-04,"{""seats"": ""9""}"
p4,initech,paid,2026-04-01,
""".strip()
HYPOTHESES = """
schema: {properties: {seats: numeric}}
hypotheses:
  - name: invites
    entry: signed_up
    clauses: [{kind: did, match: invited, span: {first: 7d}}]
    outcome: {kind: event, match: paid, horizon: 14d}
  - name: many seats
    entry: signed_up
    clauses: [{kind: did, match: {events: invited, where: [{property: seats, op: at_least, value: 9}]}, span: ever}]
    outcome: {kind: event, match: paid, horizon: 14d}
  - name: account invites twice
    unit: {group: company}
    clauses: [{kind: did, match: invited, count: persons, at_least: 2, span: {last: 7d}}]
    outcome: {kind: event, match: paid, horizon: 14d}
"""


@pytest.fixture
def file(tmp_path: Path) -> EventFile:
    (tmp_path / "events.csv").write_text(HEAD + ROWS + "\n,,signed_up,2026-02-09,\n")
    return open_event_file(str(tmp_path / "events.csv"), ColumnMap(groups={"company": "company"}))


def run(file: EventFile, text: str = HYPOTHESES, **more: Any) -> BacktestResult:
    return backtest_file(file, read_hypothesis_file(text, name="h.yaml"), as_of=AS_OF, **more)


@pytest.mark.parametrize("buckets", [None, 1, 3])
def test_persons_and_accounts_are_scored_from_one_file(file: EventFile, buckets: int | None) -> None:
    ticks = count(100.0, 2.5)
    told: list[tuple[int, int]] = []
    done = run(file, buckets=buckets, keep_fires=True, progress=lambda *step: told.append(step), stopwatch=lambda: next(ticks))
    rows = done.as_json()["hypotheses"]
    assert [row["name"] for row in rows] == ["invites", "many seats", "account invites twice"]
    assert [row["backtest"]["counts"]["fires_total"] for row in rows] == [3, 2, 1]
    assert [row["backtest"]["counts"]["true_positives"] for row in rows] == [1, 1, 1]
    assert done.fires is not None
    assert [unit for unit, _, _ in done.fires[0]] == ["p1", "p2", "p4"]
    assert [unit for unit, _, _ in done.fires[2]] == ["acme"]
    assert (done.rows_read, done.seconds) == (11, 2.5)
    assert {kind: (rows.no_unit, rows.later) for kind, rows in done.skipped.items()} == {"person": (1, 1), "company": (3, 1)}
    assert told[-1][0] <= told[-1][1]
    json.dumps(done.as_json())


def test_declared_types_decide_what_text_is_a_number(file: EventFile) -> None:
    assert [score.fires_total for score in run(file).scores] == [3, 2, 1]
    assert [score.fires_total for score in run(file, types={}).scores] == [3, 0, 1]


def test_unknown_names_are_refused_with_the_nearest_before_anything_is_scored(file: EventFile) -> None:
    with pytest.raises(BadInput) as caught:
        run(file, HYPOTHESES.replace("match: paid", "match: paidd").replace("property: seats", "property: seat").replace("company}", "team}"))
    told = {fault.message: fault.nearest for fault in caught.value.faults}
    assert told["no event is called 'paidd'"] == ("paid",)
    assert told["no event carries a property called 'seat'"] == ("seats",)
    assert told["no group type is called 'team'"] == ("company",)
    assert caught.value.exit_code == 2
    assert all(fault.line for fault in caught.value.faults)


def test_an_event_from_after_as_of_is_not_known_yet(file: EventFile) -> None:
    hypotheses = read_hypothesis_file(HYPOTHESES, name="h.yaml")
    with pytest.raises(BadInput, match="invited"):
        backtest_file(file, hypotheses, as_of=datetime(2026, 2, 2, tzinfo=UTC), window_days=30)


def test_spans_and_horizons_must_fit_the_window(file: EventFile) -> None:
    with pytest.raises(BadInput, match="7d"):
        run(file, window_days=5)
    for days, as_of in ((0, AS_OF), (90, AS_OF.replace(tzinfo=None))):
        with pytest.raises(BadInput):
            backtest_file(file, [], as_of=as_of, window_days=days)


def test_a_cohort_needs_a_file_of_its_members(file: EventFile, tmp_path: Path) -> None:
    clauses = [{"kind": "cohort", "cohort": 7}, {"kind": "did", "match": "invited", "span": {"first": "7d"}}]
    one = Hypothesis.model_validate({"entry": "signed_up", "clauses": clauses, "outcome": {"kind": "event", "match": "paid", "horizon": "14d"}})
    with pytest.raises(BadInput) as caught:
        backtest_file(file, [one], as_of=AS_OF)
    assert "--cohort 7=" in caught.value.fix
    (tmp_path / "ids.txt").write_text("p1\n\n p4 \nnobody\n")
    done = backtest_file(file, [one], as_of=AS_OF, cohorts=read_cohorts({"7": tmp_path / "ids.txt"}), keep_fires=True)
    assert done.fires is not None
    assert [unit for unit, _, _ in done.fires[0]] == ["p1", "p4"]
    with pytest.raises(BadInput, match="--cohort 8"):
        read_cohorts({"8": tmp_path / "none.txt"})


def test_a_file_without_any_account_scores_nothing_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(HEAD + ROWS.replace("acme", "").replace("initech", "") + "\n")
    file = open_event_file(str(tmp_path / "e.csv"), ColumnMap(groups={"company": "company"}))
    done = run(file)
    assert done.scores[2].fires_total == 0
    assert done.skipped["company"].no_unit == 9

"""A population is part of the hypothesis: it changes who is counted, the sentence and the fingerprint, and nothing else."""

import pytest

from backtest import Hypothesis
from backtest.matching import Op
from beton.errors import BadInput
from beton.work.populating import read_segment, within

ENTRY = {"clauses": [{"kind": "did", "match": "invited", "span": {"first": "7d"}}], "outcome": {"kind": "event", "match": "paid", "horizon": "14d"}}


def test_a_segment_is_read_line_by_line():
    found = read_segment('plan = team\n\n seats>=10\nemail != "1"\nin_trial == true\nnote = a=b\nratio < 0.5')
    assert [(one.property, one.op, one.value) for one in found] == [
        (("plan",), Op.equals, "team"),
        (("seats",), Op.at_least, 10),
        (("email",), Op.not_equals, "1"),
        (("in_trial",), Op.equals, True),
        (("note",), Op.equals, "a=b"),
        (("ratio",), Op.less_than, 0.5),
    ]
    assert read_segment("") == ()


@pytest.mark.parametrize("line", ["plan", "= team", "plan =", "seats > true", "n = 1e999", "n = NaN and more\nplan"])
def test_every_line_that_is_none_is_told_by_its_number(line: str):
    with pytest.raises(BadInput) as refused:
        read_segment(f"plan = team\n{line}")
    assert refused.value.faults[0].line in (2, 3)


def test_the_entry_takes_the_comparisons_once_and_means_another_hypothesis():
    whole = Hypothesis.model_validate(ENTRY | {"entry": "signed_up"})
    assert whole.fingerprint
    team = within(whole, read_segment("plan = team"))
    assert team.entry is not None
    assert [one.value for one in team.entry.where] == ["team"]
    assert team.fingerprint != whole.fingerprint
    assert within(team, read_segment("plan = team")).fingerprint == team.fingerprint
    assert team.clauses == whole.clauses


def test_without_an_entry_event_there_is_no_telling():
    with pytest.raises(BadInput) as refused:
        within(Hypothesis.model_validate(ENTRY), read_segment("plan = team"))
    assert refused.value.code == "population.no_entry"

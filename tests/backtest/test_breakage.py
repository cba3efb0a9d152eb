"""Names of a hypothesis that broke: each kind by hand, and what is no break."""

from datetime import UTC, datetime

import pytest

from backtest.breakage import Break, Use, broken, uses
from backtest.language import Hypothesis
from backtest.taxonomy import EventDefinition, GroupType, PropertyDefinition, Taxonomy

PAYS = {"kind": "event", "match": "paid", "horizon": "14d"}


def hypothesis(*clauses: dict, **more) -> Hypothesis:
    return Hypothesis.model_validate({"clauses": list(clauses), "outcome": PAYS} | more)


def taxonomy(events: dict[str, tuple[str, ...]], types: dict[str, str] | None = None, groups: tuple[str, ...] = ()) -> Taxonomy:
    known = dict.fromkeys((one for names in events.values() for one in names), "string") | (types or {})
    return Taxonomy(
        events=tuple(EventDefinition(name=name, volume=50, units=9, properties=props) for name, props in events.items()),
        properties=tuple(PropertyDefinition.model_validate({"name": name, "type": kind}) for name, kind in known.items()),
        group_types=tuple(GroupType(index=place, name=name) for place, name in enumerate(groups)),
        taken_at=datetime(2026, 3, 1, tzinfo=UTC),
        window_days=90,
    )


SEATS = {"kind": "total", "match": "invited", "property": "seats", "measure": "latest", "at_least": 5, "span": {"last": "7d"}}
INVITES = {"kind": "did", "match": "invited", "span": {"first": "7d"}}


def test_what_a_hypothesis_uses():
    state = {"kind": "state", "property": ["billing", "plan"], "op": "=", "value": "pro"}
    where = {"kind": "did", "match": {"events": ["a", "b"], "where": [{"property": "x", "op": "=", "value": 1}]}, "span": "ever"}
    told = hypothesis(SEATS, state, where, entry="signed_up")
    assert set(uses(told)) == {
        Use("invited"), Use("invited", "seats"), Use("", "billing"), Use("a"), Use("b"), Use("a", "x"), Use("b", "x"), Use("signed_up"), Use("paid"),
    }  # fmt: skip
    reached = hypothesis(INVITES, outcome={"kind": "property", "property": "plan", "op": "=", "value": "pro", "horizon": "14d"})
    assert set(uses(reached)) == {Use("invited"), Use("", "plan")}


def test_nothing_breaks_while_all_goes_on():
    now = taxonomy({"invited": ("seats",), "paid": ()}, {"seats": "numeric"})
    assert broken(hypothesis(SEATS), now, now) == []
    assert broken(hypothesis(SEATS), None, now) == []


def test_an_event_that_is_renamed_is_gone_with_its_new_name_beside_it():
    then = taxonomy({"invited": ("seats",), "paid": ()}, {"seats": "numeric"})
    now = taxonomy({"user_invited": ("seats",), "paid": ()}, {"seats": "numeric"})
    assert broken(hypothesis(SEATS), then, now) == [Break("event_gone", "invited", instead="user_invited")]


def test_a_renamed_event_is_told_by_its_properties_where_its_name_is_another():
    then = taxonomy({"invited": ("seats", "plan", "role"), "paid": ()})
    now = taxonomy({"teammate_added": ("seats", "plan", "role"), "viewed": ("page",), "paid": ()})
    assert broken(hypothesis(INVITES), then, now) == [Break("event_gone", "invited", instead="teammate_added")]


def test_an_event_that_is_known_and_silent_is_told_so():
    both = taxonomy({"invited": ("seats",), "paid": ()}, {"seats": "numeric"})
    assert broken(hypothesis(SEATS), both, both, {Use("invited"), Use("invited", "seats")}) == [Break("event_silent", "invited")]


def test_a_property_that_is_carried_no_more_or_has_another_type():
    then = taxonomy({"invited": ("seats",), "paid": ()}, {"seats": "numeric"})
    renamed = taxonomy({"invited": ("seat_count",), "paid": ()}, {"seat_count": "numeric"})
    retyped = taxonomy({"invited": ("seats",), "paid": ()}, {"seats": "string"})
    unknown = taxonomy({"invited": ("seats",), "paid": ()}, {"seats": "unknown"})
    assert broken(hypothesis(SEATS), then, renamed) == [Break("property_gone", "invited", "seats", instead="seat_count")]
    assert broken(hypothesis(SEATS), then, then, {Use("invited", "seats")}) == [Break("property_gone", "invited", "seats")]
    assert broken(hypothesis(SEATS), then, retyped) == [Break("property_retyped", "invited", "seats", "numeric", "string")]
    assert broken(hypothesis(SEATS), then, unknown) == []


@pytest.mark.parametrize(("groups", "breaks"), [(("company",), 0), (("organization",), 1), ((), 0)])
def test_a_group_type_that_is_gone(groups: tuple[str, ...], breaks: int):
    told = hypothesis(INVITES, unit={"group": "company"})
    now = taxonomy({"invited": (), "paid": ()}, groups=groups)
    assert len(broken(told, now, now)) == breaks  # none at all: the list could not be read

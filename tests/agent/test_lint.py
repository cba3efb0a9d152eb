"""Remarks about a taxonomy: what the truth of a world lists is found, and orderly names are left in peace."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from agent.lint import carriers, lint
from backtest import Hypothesis
from backtest.taxonomy import EventDefinition, PropertyDefinition, PropertyKind, PropertyType, Taxonomy
from beton.bench.projects import opened_world, worlds
from beton.local_backtest import file_taxonomy

AT = datetime(2026, 6, 30, tzinfo=UTC)


def project(*events: EventDefinition, properties: tuple[PropertyDefinition, ...] = ()) -> Taxonomy:
    return Taxonomy(events=events, properties=properties, taken_at=AT, window_days=90)


def seen(name: str, volume: int = 100, *, days_ago: float = 0) -> EventDefinition:
    return EventDefinition(name=name, volume=volume, units=volume, first_seen=AT - timedelta(days=90), last_seen=AT - timedelta(days=days_ago))


def names(taxonomy: Taxonomy, code: str) -> list[set[str]]:
    return [set(one.names) for one in lint(taxonomy) if one.code == code]


@pytest.mark.parametrize("name", worlds())
def test_the_duplicates_and_the_dead_events_of_a_world_are_found(name: str) -> None:
    with opened_world(name, 3, 0.05) as opened:
        found, truth = file_taxonomy(opened.file, opened.window), opened.truth

    assert names(found, "near_duplicate") == [{pair["event"], pair["of"]} for pair in truth["near_duplicates"]]
    assert {one for dead in names(found, "dead_event") for one in dead} == set(truth["dead_events"])


def test_slips_of_the_pen_are_near_duplicates_and_numbered_steps_are_not() -> None:
    taxonomy = project(seen("subscription_started"), seen("subscripton_started", 3), seen("wizard_step_1"), seen("wizard_step_2"))
    assert names(taxonomy, "near_duplicate") == [{"subscription_started", "subscripton_started"}]


@pytest.mark.parametrize(("first", "second"), [("file_opened", "file_opener_used"), ("email_sent", "email_read"), ("card_added", "card_moved")])
def test_other_words_are_other_names(first: str, second: str) -> None:
    assert names(project(seen(first), seen(second)), "near_duplicate") == []


def test_an_event_that_stopped_is_dead_and_a_rare_one_is_not() -> None:
    taxonomy = project(seen("synced", 5000, days_ago=20), seen("renewed", 3, days_ago=40), seen("opened", days_ago=1), seen("gone", 0))
    assert names(taxonomy, "dead_event") == [{"synced"}, {"gone"}]


def test_types_that_disagree_are_told() -> None:
    def typed(name: str, kind: PropertyKind, as_: PropertyType, *values: str) -> PropertyDefinition:
        return PropertyDefinition(name=name, kind=kind, type=as_, values=values)

    properties = (
        typed("seats", "event", "string", "1", "20"),
        typed("plan", "event", "string", "pro"),
        typed("plan", "person", "numeric"),
        typed("zip", "event", "string", "8001", "AB 12"),
    )
    found = [one for one in lint(project(properties=properties)) if one.code == "type_disagrees"]

    assert [one.names for one in found] == [("plan",), ("seats",)]
    assert "numeric on persons" in found[0].sentence


@dataclass(frozen=True)
class Find:
    hypothesis: Hypothesis


def test_the_few_events_that_carry_the_signal() -> None:
    def about(*events: str) -> Find:
        clauses = [{"kind": "did", "match": one, "span": {"first": "7d"}} for one in events]
        return Find(Hypothesis.model_validate({"clauses": clauses, "outcome": {"kind": "event", "match": "paid", "horizon": "14d"}}))

    found = carriers([about("invited"), about("invited", "viewed"), about("invited"), about("viewed"), about("rare")])

    assert [(one.event, one.finds) for one in found] == [("invited", 3), ("viewed", 1)]
    assert carriers([]) == ()

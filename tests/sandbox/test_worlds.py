"""Worlds: what is planted can be found, what is a trap looks like one, and nothing else is in them."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from backtest.fires import first_matches
from backtest.intervals import FOREVER
from backtest.language import Hypothesis
from backtest.score import Score
from beton.sandbox.worlds import Delivery, World, WorldRefused, generate, load_world, parse_spec, read_spec, world_names
from beton.sandbox.worlds.people import Calendar
from tests.sandbox.world_log import log_of, scores_of

WORLDS = world_names()
LATE_ENTRANTS = timedelta(days=49)
"""Of the 69 days of entries that a 7-day first span and a 14-day horizon leave of 90, the later 40 % begin so long before the as-of instant."""


@cache
def whole(name: str, null: bool = False) -> World:
    return generate(name, 1, null=null)


def tiny(name: str = "freemium", seed: int = 1, **options: Any) -> World:
    return generate(name, seed, scale=0.04, **options)


def p_value(score: Score) -> float:
    assert score.closed.p_value is not None
    return score.closed.p_value


def planted(world: World) -> dict[str, Hypothesis]:
    return {one["id"]: Hypothesis.model_validate(one["hypothesis"]) for one in world.truth["planted"]}


def labelled(world: World, label: str) -> list[Hypothesis]:
    return [Hypothesis.model_validate(one) for trap in world.truth["must_label"] if trap["label"] == label for one in trap["hypotheses"]]


@cache
def scored(name: str) -> dict[str, list[Score]]:
    """The scores of everything that the truth names, in one reading."""
    world = whole(name)
    groups = {"planted": list(planted(world).values())}
    groups |= {label: labelled(world, label) for label in ("own_path", "after_outcome", "twin", "redundant", "confounded", "progress")}
    scores = iter(scores_of(world, [one for group in groups.values() for one in group]))
    return {label: [next(scores) for _ in group] for label, group in groups.items()}


def test_there_are_at_least_five_business_models() -> None:
    assert {"churn", "freemium", "marketplace", "seats", "usage"} <= set(WORLDS)


@pytest.mark.parametrize("name", WORLDS)
def test_every_planted_cause_is_there_to_be_found(name: str) -> None:
    for score in scored(name)["planted"]:
        assert score.sample_size >= 60
        assert score.true_positives >= 20
        assert score.closed.lift_interval is not None
        assert score.closed.lift_interval.low > 1.15
        assert score.lift is not None
        assert score.lift > 1.5


@pytest.mark.parametrize("name", WORLDS)
def test_steps_on_the_own_path_look_good_only_in_the_last_minutes(name: str) -> None:
    for score in scored(name)["own_path"]:
        assert score.lift is not None
        assert score.lift > 2
        assert score.lead is not None
        assert score.lead.share_within_1h > 0.5
        assert p_value(score) > 0.003  # one of twenty intervals may miss 1 by chance


@pytest.mark.parametrize("name", WORLDS)
def test_consequences_never_come_first(name: str) -> None:
    assert all(score.true_positives == 0 and score.excluded_converted > 0 for score in scored(name)["after_outcome"])


@pytest.mark.parametrize("name", WORLDS)
def test_twins_share_the_second_of_the_outcome(name: str) -> None:
    world = whole(name)
    outcome = world.units.select(pl.col("unit"), pl.col("outcome"))
    for trap in world.truth["must_label"]:
        if trap["label"] == "twin":
            seen = world.events.filter(pl.col("event") == trap["event"]).rename({unit_column(world): "unit"}).join(outcome, on="unit")
            assert len(seen) == world.units["outcome"].count()
            assert max((seen["timestamp"] - seen["outcome"]).abs().to_list()) < timedelta(seconds=1)


def unit_column(world: World) -> str:
    return "person_id" if world.truth["unit"] == "person" else world.truth["unit"]["group"]


@pytest.mark.parametrize("name", WORLDS)
def test_a_proxy_fires_for_the_units_of_its_cause(name: str) -> None:
    world = whole(name)
    for trap in world.truth["must_label"]:
        if trap["label"] == "redundant":
            pair = [planted(world)[trap["of"]], Hypothesis.model_validate(trap["hypotheses"][0])]
            log = log_of(world, pair)
            cause, proxy = (set(first_matches(one, log).unit.tolist()) for one in pair)
            assert len(cause & proxy) / len(cause | proxy) >= 0.8


@pytest.mark.parametrize("name", WORLDS)
def test_a_confounded_event_has_no_effect_given_the_trait(name: str) -> None:
    """Observed against expected within the levels of the trait, by design L."""
    world = whole(name)
    (trap,) = (one for one in world.truth["must_label"] if one["label"] == "confounded")
    hypothesis = next(one for one in map(Hypothesis.model_validate, trap["hypotheses"]) if one.anchored)
    observed, expected, variance = 0, 0.0, 0.0
    for (_,), units in world.units.group_by(f"trait {trap['trait']}"):
        (score,) = scores_of(world, [hypothesis], only=set(units["unit"]))
        table = score.closed
        n, k, whole_ = table.tp + table.fp, table.tp + table.fn, table.tp + table.fp + table.fn + table.tn
        observed += table.tp
        expected += n * k / whole_
        variance += n * k * (whole_ - n) * (whole_ - k) / (whole_**2 * (whole_ - 1))
    assert abs(observed - expected) / np.sqrt(variance) < 2.6


def test_progress_is_necessary_and_nearly_sufficient() -> None:
    for score in scored("marketplace")["progress"]:
        assert score.closed.lift is not None
        assert score.closed.lift > 4


@pytest.mark.parametrize("name", WORLDS)
def test_a_decaying_cause_works_early_and_not_late(name: str) -> None:
    world = whole(name)
    (cause,) = (one for one in world.truth["planted"] if one["kind"] == "decaying")
    hypothesis = Hypothesis.model_validate(cause["hypothesis"])
    border = datetime.fromisoformat(world.truth["as_of"]) - LATE_ENTRANTS
    early, late = (set(world.units.filter(side)["unit"]) for side in (pl.col("entry") < border, pl.col("entry") >= border))
    before, after = (scores_of(world, [hypothesis], only=units)[0].closed.lift_interval for units in (early, late))
    assert before is not None
    assert after is not None
    assert before.low > 1.4
    assert after.low < 1


@pytest.mark.parametrize("name", WORLDS)
def test_the_events_tell_what_the_truth_tells(name: str) -> None:
    """Entries, outcomes and the first fires of the causes, read back from the rows."""
    world = whole(name)
    causes = planted(world)
    log = log_of(world, list(causes.values()), whole_history=True)
    units = world.units.filter(pl.col("entry").is_not_null()).sort("unit")
    place = np.searchsorted(np.array(log.units), np.array(units["unit"].to_list()))
    any_cause = next(iter(causes.values()))
    assert np.array_equal(log.entry(any_cause)[place], told(units["entry"]))
    assert np.array_equal(log.outcome(any_cause)[place], told(units["outcome"]))
    for id_, hypothesis in causes.items():
        fires = np.full(len(log.units), FOREVER)
        found = first_matches(hypothesis, log, live_from=log.window.start).firsts()
        fires[found.unit] = found.at
        known = told(units[f"fire {id_}"])
        first = known < told(units["outcome"])
        assert np.array_equal(fires[place][first], known[first])
        assert first.sum() > 100


def told(instants: pl.Series) -> np.ndarray:
    return instants.to_physical().fill_null(int(FOREVER)).to_numpy()


@pytest.mark.parametrize("name", ["freemium", "churn"])
def test_in_a_null_world_nothing_planted_works_and_as_many_convert(name: str) -> None:
    world, null = whole(name), whole(name, null=True)
    assert null.truth["planted"] == []
    assert null.truth["null"] is True
    assert {trap["label"] for trap in null.truth["must_label"]}.isdisjoint({"redundant", "confounded"})
    assert null.truth["counts"]["outcomes"] == pytest.approx(world.truth["counts"]["outcomes"], rel=0.08)
    for score in scores_of(null, list(planted(world).values())):
        assert p_value(score) > 0.01
        assert score.lift is not None
        assert score.lift < 1.5


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_world(tmp_path: Path) -> None:
    digests = []
    for number, seed in enumerate((1, 1, 2)):
        tiny("seats", seed).write(tmp_path / str(number))
        digests.append({one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted((tmp_path / str(number)).iterdir())})
    assert digests[0] == digests[1]
    changed = {name for name in digests[0] if digests[0][name] != digests[2][name]}
    assert changed == {"events.parquet", "groups.parquet", "persons.parquet", "truth.json", "units.parquet"}


def test_a_null_world_differs_only_from_the_outcome_on() -> None:
    """The same people do the same things: what differs is who converts, and its traces."""
    world, null = tiny(), tiny(null=True)
    behaviour = [one.events.filter(pl.col("event").is_in(["note_edited", "day_started"])).drop("uuid", "created_at") for one in (world, null)]
    assert behaviour[0].equals(behaviour[1])
    assert not world.units["outcome"].equals(null.units["outcome"])


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_ends_before_its_as_of_instant(name: str) -> None:
    as_of = datetime(2025, 3, 9, 13, 7, 5, 123457, tzinfo=UTC)
    world = tiny(name, as_of=as_of, days=120)
    first, *_, last = world.events["timestamp"].to_list()
    assert last < as_of
    assert first >= as_of - timedelta(days=120)
    assert first < as_of - timedelta(days=100)
    assert world.truth["as_of"] == "2025-03-09T13:07:05.123457Z"
    assert world.events["uuid"].n_unique() == len(world.events)
    assert world.events["timestamp"].is_sorted()


def test_a_written_world_is_loaded_as_it_is(tmp_path: Path) -> None:
    world = tiny("usage")
    world.write(tmp_path)
    loaded = load_world(tmp_path)
    assert loaded.events.equals(world.events)
    assert loaded.truth == world.truth
    assert loaded.units.equals(world.units)
    assert loaded.spec == world.spec


def test_a_folder_with_only_a_spec_is_generated_with_the_seed(tmp_path: Path) -> None:
    (tmp_path / "world.yaml").write_text(yaml.safe_dump(read_spec("freemium").model_dump(mode="json", exclude_defaults=True), sort_keys=False))
    assert load_world(tmp_path, 7, scale=0.04).events.equals(tiny(seed=7).events)


def test_a_folder_that_lacks_its_truth_or_has_another_seed_is_refused(tmp_path: Path) -> None:
    tiny().write(tmp_path)
    with pytest.raises(WorldRefused, match="of seed 1, not of 2"):
        load_world(tmp_path, 2)
    (tmp_path / "truth.json").unlink()
    with pytest.raises(WorldRefused, match="belong together"):
        load_world(tmp_path)


def test_an_unknown_world_is_told_which_there_are() -> None:
    with pytest.raises(WorldRefused, match=r"built-in ones are churn, freemium"):
        generate("fremium", 1)


def plain() -> dict[str, object]:
    return {
        "title": "t",
        "entry": "came",
        "units": 200,
        "sessions": {"per_day": 0.3},
        "background": {"names": ["$pageview", "looked"]},
        "outcome": {"kind": "event", "match": "paid", "horizon": "14d"},
        "hazard": {"share": 0.3},
    }


def test_a_world_needs_no_causes_and_no_traps() -> None:
    world = generate(parse_spec(yaml.safe_dump(plain())), 3)
    assert world.truth["planted"] == []
    assert world.truth["must_label"] == []
    assert 30 < world.truth["counts"]["outcomes"] < 90


WRONG: list[tuple[Callable[[dict], object], str]] = [
    (lambda spec: spec.update(unit="person"), "unit: Extra inputs"),
    (lambda spec: spec.update(outcome={"kind": "lapse", "match": "looked", "after": "7d", "horizon": "14d"}), "a lapse follows from behaviour"),
    (lambda spec: spec.update(confounders=[{"event": "looked", "trait": "size"}]), "there is no trait size"),
    (lambda spec: spec.update(traits={"size": {"s": {"share": 0.5}}}), "must add up to 1"),
    (lambda spec: spec.update(properties={"looked": {"where": {"prefixed": "x", "property": "path"}}}), "there is no property path"),
    (lambda spec: spec.update(properties={"looked": {"where": {"boolean": 0.5, "constant": 1}}}), "exactly one of"),
    (lambda spec: spec.update(features=[{"name": "a", "follows": {"event": "b", "after": ["0", "2s"]}}]), "must come earlier in the list"),
    (
        lambda spec: spec.update(causes=[{"id": "P", "clauses": [{"kind": "did", "match": "paid", "span": "ever"}], "factor": 2, "lasts": "7d"}]),
        "paid is the outcome itself",
    ),
]


@pytest.mark.parametrize(("spoil", "reason"), WRONG)
def test_a_spec_that_does_not_hang_together_is_refused(spoil: Callable[[dict], object], reason: str) -> None:
    spec = plain()
    spoil(spec)
    with pytest.raises(WorldRefused, match=reason):
        parse_spec(yaml.safe_dump(spec))


def test_an_outcome_that_behaviour_brings_about_by_itself_is_refused() -> None:
    spec = plain() | {"features": [{"name": "paid", "per_session": 0.5}]}
    with pytest.raises(WorldRefused, match="comes about by itself"):
        generate(parse_spec(yaml.safe_dump(spec)), 1)


def test_properties_come_in_every_json_type_and_drift() -> None:
    world = generate("freemium", 1, scale=0.1)
    seen: dict[str, list[Any]] = {}
    for event, text in world.events.select("event", "properties").iter_rows():
        for name, value in json.loads(text).items():
            seen.setdefault(f"{event} {name}", []).append(value)
    assert {type(value) for value in seen["search_used results"]} == {str}
    assert all(value.isdigit() for value in seen["search_used results"])
    assert {type(value) for value in seen["note_edited words"]} == {int}
    assert set(seen["note_edited shared"]) == {True, False}
    assert any(value == ["work", "todo"] for value in seen["note_edited tags"])
    assert {"kind": "table", "pinned": True} in seen["note_opened note"]
    themes = [json.loads(text)["theme"] for text in world.events.filter(pl.col("event") == "settings_opened")["properties"]]
    assert {*themes[:20]} <= {"light", "dark"}
    assert {*themes[-20:]} <= {"Light", "Dark", "System"}


def test_running_totals_start_again_with_each_period() -> None:
    world = generate("usage", 1, scale=0.1)
    used = world.events.filter(pl.col("event") == "usage_reported").join(world.units.select("unit", "entry"), left_on="organization", right_on="unit")
    used = used.with_columns(
        value=pl.col("properties").str.json_path_match("$.used_percent").cast(pl.Float64),
        period=(pl.col("timestamp") - pl.col("entry")).dt.total_microseconds() // (30 * 86_400_000_000),
    )
    steps = used.sort("timestamp", maintain_order=True).with_columns(step=pl.col("value").diff().over("organization", "period"))
    assert min(steps["step"].drop_nulls().to_list()) > 1
    assert max(used.group_by("organization", "period").agg(pl.col("value").min())["value"].to_list()) < 8


def test_accounts_have_several_persons_and_visitors_have_none() -> None:
    world = generate("seats", 1, scale=0.1)
    accounts = world.events.filter(pl.col("company") != "").group_by("company").agg(pl.col("person_id").n_unique())
    assert max(accounts["person_id"].to_list()) > 4
    visits = world.events.filter(pl.col("company") == "")
    assert set(visits["event"]) == {"$pageview"}
    assert visits["distinct_id"].str.len_chars().unique().to_list() == [36]
    assert set(world.groups["key"]) == set(world.units["unit"])


def test_late_duplicate_and_merged_events_come_as_often_as_asked() -> None:
    punctual = tiny()
    assert max((punctual.events["created_at"] - punctual.events["timestamp"]).to_list()) < timedelta(seconds=3)
    world = tiny(delivery=Delivery(late=0.1, duplicates=0.05, merges=0.5))
    late = (world.events["created_at"] - world.events["timestamp"]) > timedelta(minutes=50)
    assert late.mean() == pytest.approx(0.1, abs=0.02)
    assert 1 - world.events["uuid"].n_unique() / len(world.events) == pytest.approx(0.048, abs=0.015)
    ids = world.events.group_by("person_id").agg(pl.col("distinct_id").unique())
    known = ids.join(world.persons, on="person_id")
    assert known.select(pl.col("distinct_id").list.set_difference("distinct_ids").list.len()).to_series().sum() == 0
    assert known["distinct_ids"].list.len().max() == 3
    assert world.units.equals(punctual.units)


def test_what_the_api_tells_today_is_the_outcome_itself() -> None:
    world = tiny()
    plans = world.persons.select(pl.col("properties").str.json_path_match("$.plan").alias("plan"), unit=pl.col("person_id"))
    both = plans.join(world.units, on="unit")
    assert both.filter(pl.col("plan") == "paid")["outcome"].null_count() == 0
    assert both.filter(pl.col("plan") == "free")["outcome"].count() == 0


def test_the_calendar_and_its_inverse_agree() -> None:
    start = 20_454 * 86_400_000_000
    end = start + 40 * 86_400_000_000
    calendar = Calendar.between(start, end, 0.3, 1.5)
    at = np.linspace(start, end, 1001).astype(np.int64)
    assert np.abs(calendar.instant(calendar.passed(at)) - at).max() <= 1
    assert calendar.flow[-1] == pytest.approx(40)


REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "worlds.md"


def test_the_example_of_the_reference_page_is_a_world() -> None:
    example = REFERENCE.read_text().split("```yaml\n")[1].split("```")[0]
    assert generate(parse_spec(example), 1, scale=0.1).truth["planted"][0]["units_fired"] > 20


def test_the_reference_page_tells_every_field_of_the_truth() -> None:
    page = REFERENCE.read_text()
    assert [field for field in tiny("marketplace").truth if f"`{field}`" not in page] == []

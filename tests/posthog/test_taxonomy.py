"""A taxonomy read from a fake project, and the taxonomy as a value."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backtest.taxonomy import EventDefinition, PropertyDefinition, Taxonomy
from beton.errors import PostHogError
from beton.posthog.taxonomy import read_taxonomy
from tests.posthog.fake_posthog import FakePostHog, SimulatedTime, problem

HEAVY = problem(504, "error", "Query has hit the max execution time before completing.")
FIRST, LAST = "2026-01-02T03:04:05Z", "2026-03-01T00:00:00.000001Z"


def volume(name: str, count: int = 10, units: int = 3) -> list[Any]:
    return [name, count, units, FIRST, LAST]


@pytest.fixture
def shop(posthog: FakePostHog) -> FakePostHog:
    """Three defined events, one of them silent, one hidden; one event that only the data knows."""
    posthog.events = [
        {"name": "$pageview", "last_seen_at": "2026-03-01T10:00:00Z"},
        {"name": "signed_up", "description": "Made an account", "verified": True},
        {"name": "old_thing", "last_seen_at": "2025-01-01T00:00:00Z", "hidden": True},
    ]
    posthog.properties = {
        "event": [
            {"id": "1", "name": "plan", "property_type": "String"},
            {"id": "2", "name": "amount", "property_type": "Numeric"},
            {"id": "3", "name": "when", "property_type": "DateTime"},
            {"id": "4", "name": "seats", "property_type": None, "is_numerical": True},
            {"id": "5", "name": "mystery", "property_type": None, "hidden": True},
        ],
        "person": [
            {"id": "6", "name": "email", "property_type": "String"},
            {"id": "$builtin_x", "name": "$virt_revenue", "property_type": "Numeric", "virtual": True},
        ],
        "session": [{"id": "7", "name": "$session_duration", "property_type": "Duration"}],
        "group0": [{"id": "8", "name": "industry", "property_type": "String"}, {"id": "9", "name": "paying", "property_type": "Boolean"}],
    }
    posthog.group_types = [{"group_type": "account", "group_type_index": 0}, {"group_type": "workspace", "group_type_index": 1}]
    posthog.tables = {
        "beton volumes": lambda values: [volume("$pageview", 900, 40), volume("signed_up", 50, 50), volume("undefined_event", 5)],
        "beton property use": lambda values: [["$pageview", [["$current_url", 900], ["$groups", 80]]], ["signed_up", [["plan", 50], ["amount", 2]]]],
        "beton property values": lambda values: [["plan", 3, ["free", "pro", "me@example.com"]], ["$current_url", 800, ["https://x/1"]]],
    }
    return posthog


def read(posthog: FakePostHog, *, sample_values: bool = False) -> Taxonomy:
    async def reading() -> Taxonomy:
        async with posthog.client() as client:
            return await read_taxonomy(client, posthog.time(), sample_values=sample_values)

    return asyncio.run(reading())


def test_events_of_the_lists_and_of_the_data_are_one_set(shop: FakePostHog) -> None:
    taxonomy = read(shop)
    assert [event.name for event in taxonomy.events] == ["$pageview", "signed_up", "undefined_event", "old_thing"]
    assert taxonomy.notes == ()
    assert (taxonomy.taken_at, taxonomy.window_days) == (shop.time(), 90)


def test_an_event_has_its_volume_and_its_instants_in_utc(shop: FakePostHog) -> None:
    event = read(shop).event("signed_up")
    assert event == EventDefinition(
        name="signed_up",
        volume=50,
        units=50,
        first_seen=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        last_seen=datetime(2026, 3, 1, 0, 0, 0, 1, tzinfo=UTC),
        description="Made an account",
        verified=True,
        properties=("plan", "amount"),
    )


def test_internal_hidden_and_silent_events_are_marked_not_dropped(shop: FakePostHog) -> None:
    taxonomy = read(shop)
    pageview, old = taxonomy.event("$pageview"), taxonomy.event("old_thing")
    assert pageview is not None
    assert old is not None
    assert (pageview.internal, pageview.hidden) == (True, False)
    assert (old.hidden, old.volume, old.last_seen) == (True, 0, datetime(2025, 1, 1, tzinfo=UTC))


def test_types_are_posthogs_in_our_words(shop: FakePostHog) -> None:
    taxonomy = read(shop)
    assert {name: taxonomy.property_type(name) for name in ("plan", "amount", "when", "seats", "mystery", "nothing")} == {
        "plan": "string",
        "amount": "numeric",
        "when": "datetime",
        "seats": "numeric",
        "mystery": "unknown",
        "nothing": "unknown",
    }
    assert taxonomy.property_type("$session_duration", "session") == "numeric"
    assert taxonomy.property_type("paying", "group", "account") == "boolean"
    assert taxonomy.property_type("paying", "group", "workspace") == "unknown"


def test_virtual_and_hidden_properties_are_marked_not_lost(shop: FakePostHog) -> None:
    taxonomy = read(shop)
    revenue, mystery = taxonomy.property("$virt_revenue", "person"), taxonomy.property("mystery")
    assert revenue is not None
    assert mystery is not None
    assert (revenue.virtual, revenue.internal, mystery.hidden) == (True, True, True)


def test_group_types_have_their_names(shop: FakePostHog) -> None:
    assert [(group.index, group.name) for group in read(shop).group_types] == [(0, "account"), (1, "workspace")]


def test_it_is_known_which_event_carries_which_property(shop: FakePostHog) -> None:
    taxonomy = read(shop)
    plan, amount, unlisted = taxonomy.property("plan"), taxonomy.property("when"), taxonomy.property("$groups")
    assert plan is not None
    assert plan.events == ("signed_up",)
    assert amount is not None
    assert amount.events == ()
    assert unlisted is not None
    assert (unlisted.events, unlisted.internal, unlisted.type) == (("$pageview",), True, "unknown")
    assert taxonomy.carries("signed_up", "plan") is True
    assert taxonomy.carries("signed_up", "$groups") is False
    assert taxonomy.carries("old_thing", "plan") is None


def test_values_are_read_only_when_asked_for(shop: FakePostHog) -> None:
    assert all(prop.values == () and prop.cardinality is None for prop in read(shop).properties)
    assert [request for request in shop.requests if b"beton property values" in request.content] == []


def test_sampled_values_are_few_and_name_nobody(shop: FakePostHog) -> None:
    taxonomy = read(shop, sample_values=True)
    plan, url, email = taxonomy.property("plan"), taxonomy.property("$current_url"), taxonomy.property("email", "person")
    assert plan is not None
    assert url is not None
    assert email is not None
    assert (plan.cardinality, plan.values) == (3, ("free", "pro"))
    assert (url.cardinality, url.values) == (800, ())
    assert (email.cardinality, email.values) == (None, ())


def test_thousands_of_definitions_are_read_in_pages(shop: FakePostHog) -> None:
    shop.events += [{"name": f"event {i:04}"} for i in range(2000)]
    assert len(read(shop).events) == 2004


def test_volumes_beyond_fifty_thousand_names_are_read_on(shop: FakePostHog) -> None:
    names = sorted(f"event {i:05}" for i in range(50_500))

    def table(values: dict[str, Any]) -> list[list[Any]]:
        return [volume(name) for name in names if name > values["after"]][:50_000]

    shop.tables["beton volumes"] = table
    taxonomy = read(shop)
    assert sum(1 for event in taxonomy.events if event.volume) == 50_500
    assert taxonomy.notes == ()


def test_a_window_too_heavy_to_sum_gets_shorter_and_says_so(shop: FakePostHog) -> None:
    whole = shop.tables["beton volumes"]
    limit = (shop.time() - timedelta(days=30)).strftime("%Y-%m-%d")
    shop.tables["beton volumes"] = lambda values: HEAVY if values["since"] < limit else whole(values)
    taxonomy = read(shop)
    assert taxonomy.window_days == 21
    assert "last 21 days" in taxonomy.notes[0]


def test_when_nothing_can_be_summed_there_is_no_taxonomy(shop: FakePostHog) -> None:
    shop.tables["beton volumes"] = lambda values: HEAVY
    with pytest.raises(PostHogError) as failure:
        read(shop)
    assert failure.value.shrink
    texts = [request.content for request in shop.requests if b"beton volumes" in request.content]
    assert len(texts) == len(set(texts)), "a heavy query is never sent twice"


def test_use_that_cannot_be_read_is_not_known_rather_than_none(shop: FakePostHog) -> None:
    shop.tables["beton property use"] = lambda values: HEAVY
    taxonomy = read(shop)
    plan = taxonomy.property("plan")
    assert plan is not None
    assert plan.events is None
    assert taxonomy.carries("signed_up", "plan") is None
    assert "not known" in taxonomy.notes[0]


def test_a_key_without_groups_reads_the_rest(shop: FakePostHog) -> None:
    shop.scopes.discard("group:read")
    taxonomy = read(shop)
    assert taxonomy.group_types == ()
    assert "group:read" in taxonomy.notes[0]
    assert taxonomy.events


def test_an_old_posthog_without_session_properties_reads_the_rest(shop: FakePostHog) -> None:
    shop.unknown_kinds = {"session"}
    taxonomy = read(shop)
    assert "sessions" in taxonomy.notes[0]
    assert taxonomy.property("email", "person")


def test_the_same_project_has_the_same_digest(shop: FakePostHog) -> None:
    first = read(shop)
    shop.events.reverse()
    shop.time.now += timedelta(hours=1)
    second = read(shop)
    assert first.digest() == second.digest()
    assert first.taken_at != second.taken_at
    assert not second.changes_since(first)


def snapshot(time: SimulatedTime, *events: EventDefinition, properties: tuple[PropertyDefinition, ...] = ()) -> Taxonomy:
    return Taxonomy(events=events, properties=properties, taken_at=time(), window_days=90)


def test_what_changed_between_two_snapshots_is_named(time: SimulatedTime) -> None:
    earlier = snapshot(
        time,
        EventDefinition(name="a", volume=5),
        EventDefinition(name="b", volume=5),
        properties=(PropertyDefinition(name="x", type="string"), PropertyDefinition(name="y", kind="group", group_type="account")),
    )
    later = snapshot(time, EventDefinition(name="a"), EventDefinition(name="c"), properties=(PropertyDefinition(name="x", type="numeric"),))
    change = later.changes_since(earlier)
    assert (change.events_added, change.events_removed, change.events_fallen_silent) == (("c",), ("b",), ("a",))
    assert (change.properties_removed, change.properties_retyped) == (("group/account:y",), ("event:x",))
    assert change
    assert later.digest() != earlier.digest()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("user_signup", "user_signed_up"),
        ("User Signed Up", "user_signed_up"),
        ("pageview", "$pageview"),
        ("invite-teammate", "invited_teammate"),
        ("zzz", None),
    ],
)
def test_a_misspelt_name_has_a_nearest(time: SimulatedTime, written: str, meant: str | None) -> None:
    taxonomy = snapshot(time, *(EventDefinition(name=name) for name in ("user_signed_up", "$pageview", "invited_teammate", "paid_bill")))
    assert taxonomy.nearest_event(written)[:1] == ([meant] if meant else [])


def test_a_taxonomy_survives_being_stored(shop: FakePostHog) -> None:
    taxonomy = read(shop, sample_values=True)
    assert Taxonomy.model_validate_json(taxonomy.model_dump_json()) == taxonomy

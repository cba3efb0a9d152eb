import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID as UUID_FORM

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beton.errors import BadInput
from beton.work.arrived import Arrived
from beton.work.mapping import DEFAULT, MOST_AT_ONCE, Unmapped, arrived_of, compiled, events_in, paths_in, read_mapping, uuid_of

UUID = "0190a0e0-0000-7000-8000-000000000001"
PERSON = "0190A0E0-0000-7000-8000-0000000000AB"
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def default_body(event: dict[str, Any] | None = None, **beside: Any) -> dict[str, Any]:
    """As PostHog's webhook destination sends it."""
    usual = {
        "uuid": UUID, "event": "invited", "distinct_id": "ada@example.com", "properties": {"seats": 3}, "timestamp": "2026-03-02T09:00:00Z",
        "elements_chain": "", "url": "https://us.posthog.com/projects/1/events/1",
    }  # fmt: skip
    person = {"id": PERSON, "name": "Ada", "properties": {"email": "ada@example.com"}, "url": "https://us.posthog.com/projects/1/persons/1"}
    return {"event": usual | (event or {}), "person": person} | beside


def read(body: Any, mapping: dict[str, str] | None = None) -> Arrived | Unmapped:
    paths = compiled(dict(DEFAULT) if mapping is None else read_mapping(mapping))
    return arrived_of(paths, body, uuid_of(paths, body, b"raw"), NOW)


def well(body: Any, mapping: dict[str, str] | None = None) -> Arrived:
    found = read(body, mapping)
    assert isinstance(found, Arrived), found
    return found


def test_posthog_s_default_body_is_read_whole():
    found = well(default_body())
    assert (found.event_uuid, found.name, found.distinct_id, found.person_id) == (UUID, "invited", "ada@example.com", PERSON.lower())
    assert (found.at, found.received_at) == (datetime(2026, 3, 2, 9, 0, tzinfo=UTC), NOW)
    assert (found.properties, found.person_properties) == ({"seats": 3}, {"email": "ada@example.com"})
    assert "ada@" not in repr(found)


def test_the_body_of_earlier_servers_is_read_too():
    body = default_body({"event": None, "name": "invited"}, person={"uuid": PERSON, "properties": {}})
    assert (well(body).name, well(body).person_id) == ("invited", PERSON.lower())


def test_an_event_without_a_person_is_an_event():
    body = default_body()
    del body["person"]
    assert (well(body).person_id, well(body).person_properties) == (None, {})


def test_a_person_is_known_by_a_text():
    for told, known in ((PERSON, PERSON.lower()), ("Ada-17", "Ada-17"), (17, None), ("", None), ("a\x00", None)):
        assert well(default_body(person={"id": told})).person_id == known


def test_groups_are_known_by_type_and_by_index():
    found = well(default_body({"properties": {"$groups": {"company": "acme", "team": "a"}, "$group_0": "acme", "$group_7": "x", "$group_1": ""}}))
    assert (found.group_keys, found.groups) == ({"company": "acme", "team": "a"}, {0: "acme"})
    told = well(default_body(groups={"company": {"id": "acme", "type": "company", "index": 2}, "odd": {"index": 1}, "odder": 4}))
    assert (told.group_keys, told.groups) == ({"company": "acme"}, {2: "acme"})


def test_any_json_is_read_by_paths():
    body = {"kind": "order", "who": {"user.id": 17}, "when": [1772443800], "items": {"n": 2}}
    mapping = {"name": "kind", "distinct_id": 'who."user.id"', "at": "when.0", "properties": "items"}
    found = well(body, mapping)
    assert (found.name, found.distinct_id, found.at, found.properties) == ("order", "17", datetime.fromtimestamp(1772443800, UTC), {"n": 2})
    assert UUID_FORM(found.event_uuid).version == 5


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"event": None}, "source.no_name"), ({"event": 3}, "source.no_name"), ({"event": ""}, "source.no_name"),
        ({"event": "a\x00"}, "source.no_name"), ({"distinct_id": None}, "source.no_distinct_id"), ({"distinct_id": True}, "source.no_distinct_id"),
        ({"distinct_id": []}, "source.no_distinct_id"), ({"timestamp": None}, "source.no_instant"), ({"timestamp": "yesterday"}, "source.no_instant"),
        ({"timestamp": 1e99}, "source.no_instant"), ({"timestamp": "0001-01-01T00:00:00+23:00"}, "source.no_instant"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why_and_quotes_nothing(changed: dict[str, Any], code: str):
    found = read(default_body(changed))
    assert isinstance(found, Unmapped)
    assert found.code == code
    assert "ada" not in found.why


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2026-03-02T10:00:00+01:00", NOW - timedelta(minutes=30)), ("2026-03-02 09:00:00.000", NOW - timedelta(minutes=30)),
        (1772443800, datetime.fromtimestamp(1772443800, UTC)), (1772443800123, datetime.fromtimestamp(1772443800.123, UTC)),
    ],
)  # fmt: skip
def test_instants_come_in_several_forms(told: Any, at: datetime):
    assert well(default_body({"timestamp": told})).at == at
    assert well(default_body({"timestamp": told})).at.tzinfo is not timezone(timedelta(hours=1))


def test_the_uuid_is_posthog_s_or_the_sender_s_or_the_content_s():
    paths = compiled(DEFAULT)
    assert uuid_of(paths, {"event": {"uuid": UUID.upper()}}, b"") == UUID
    own, other_s = (uuid_of(paths, {"event": {"uuid": "evt_123"}}, raw) for raw in (b"x", b"y"))
    assert own == other_s == str(UUID_FORM(own))
    one, same, other = (uuid_of(paths, {"event": {"uuid": bad}}, raw) for bad, raw in ((None, b"x"), ("a b", b"x"), (5, b"y")))
    assert one == same != other


def test_a_mapping_is_refused_with_every_fault():
    with pytest.raises(BadInput) as refused:
        read_mapping({"name": "a..b", "nmae": "x", "at": ""})
    assert {fault.field for fault in refused.value.faults} == {"nmae", "name", "distinct_id", "at"}


def test_several_events_of_one_body():
    assert events_in({"a": 1}) == [{"a": 1}]
    assert events_in([{"a": 1}, {"b": 2}]) == [{"a": 1}, {"b": 2}]
    assert events_in({"batch": [{"a": 1}]}) == [{"a": 1}]
    for bad in ({"batch": "x"}, [1], [{}] * (MOST_AT_ONCE + 1), 3, "x", None):
        with pytest.raises(BadInput):
            events_in(bad)


keys = st.text(max_size=6)
leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
bodies = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12)


@given(bodies)
def test_every_path_that_is_offered_leads_where_it_says(body: Any):
    for path, kind in paths_in(body):
        mapping = {"name": path, "distinct_id": "x", "at": "x"}
        value = compiled(read_mapping(mapping)).part(body, "name")
        assert (value is None) == (kind == "nothing")


@given(bodies | st.dictionaries(st.sampled_from(["event", "person", "groups"]), bodies))
def test_no_body_breaks_the_reading(body: Any):
    assert isinstance(read(json.loads(json.dumps(body))), Arrived | Unmapped)

"""Names and values as a model sees them, and back."""

from datetime import UTC, datetime

import pytest

from agent.aliases import Aliases, Sharing, plain, short
from backtest import Hypothesis
from backtest.taxonomy import EventDefinition, GroupType, PropertyDefinition, Taxonomy

LONG = "x" * 200
ODD = "a\u202eb\x00c\nd"
TAXONOMY = Taxonomy(
    events=tuple(EventDefinition(name=name) for name in ("paid", "e1", LONG, "y" * 85, "y" * 90, ODD, "signed_up")),
    properties=(
        PropertyDefinition(name="plan"),
        PropertyDefinition(name="amount", type="numeric"),
        PropertyDefinition(name="city"),
        PropertyDefinition(name="city", kind="person"),
        PropertyDefinition(name="work_email"),
    ),
    group_types=(GroupType(index=0, name="company"),),
    taken_at=datetime(2026, 1, 1, tzinfo=UTC),
    window_days=90,
)
EVERYTHING = Hypothesis.model_validate(
    {
        "unit": {"group": "company"},
        "entry": "signed_up",
        "clauses": [
            {
                "kind": "did",
                "match": {"events": ["e1", LONG], "where": [{"property": ["plan", "tier"], "op": "any_of", "value": ["pro", 3, True]}]},
                "count": {"values_of": "city"},
                "span": {"first": "7d"},
            },
            {"kind": "total", "match": ODD, "property": "amount", "measure": "sum", "at_least": 12.5, "span": "ever"},
            {"kind": "state", "property": "plan", "op": "at_least", "value": {"instant": "2026-01-31T09:00:00Z"}},
        ],
        "outcome": {"kind": "lapse", "match": {"any_event": True}, "after": "7d", "horizon": "14d"},
    }
)
SHARINGS = [Sharing(), Sharing(values=True), Sharing("opaque"), Sharing("opaque", values=True)]


@pytest.mark.parametrize("sharing", SHARINGS, ids=str)
def test_a_hypothesis_comes_back_as_it_went(sharing: Sharing) -> None:
    aliases = Aliases(TAXONOMY, sharing)
    shown = aliases.hidden(EVERYTHING)

    assert Hypothesis.model_validate(aliases.shown(aliases.with_numbers(shown))) == EVERYTHING


def test_every_name_is_shown_differently_and_shortly() -> None:
    aliases = Aliases(TAXONOMY, Sharing())
    shown = [aliases.event(one.name) for one in TAXONOMY.events]

    assert len(set(shown)) == len(shown)
    assert all(len(one) <= 80 and one.isprintable() for one in shown)
    assert [aliases.known("e", one) for one in shown] == [one.name for one in TAXONOMY.events]
    assert shown[0] == "paid"
    assert shown[1] == "e1"


def test_ids_follow_the_order_of_the_taxonomy_and_nothing_else() -> None:
    aliases = Aliases(TAXONOMY, Sharing("opaque"))

    assert [aliases.event(one.name) for one in TAXONOMY.events] == [f"e{n}" for n in range(1, 8)]
    assert aliases.property("plan") == "p1"
    assert aliases.group("company") == "g1"


def test_behind_ids_nothing_of_a_hypothesis_is_shown_but_its_shape() -> None:
    text = str(Aliases(TAXONOMY, Sharing("opaque", values=True)).hidden(EVERYTHING))

    for word in ("paid", "plan", "tier", "'pro'", "company", "city", "amount", "signed_up", "12.5", "2026", "x" * 10):
        assert word not in text


@pytest.mark.parametrize("sharing", SHARINGS[:1] + SHARINGS[2:], ids=str)
def test_values_are_ids_without_consent(sharing: Sharing) -> None:
    aliases = Aliases(TAXONOMY, sharing)

    assert aliases.value("plan", "pro") == "v1"
    assert aliases.value("plan", "pro") == "v1"
    assert aliases.value("amount", 12.5) == "v2"
    assert aliases.value("plan", True) == "v3"


def test_values_of_persons_are_ids_always() -> None:
    aliases = Aliases(TAXONOMY, Sharing(values=True))

    assert aliases.value("plan", "pro") == "pro"
    assert aliases.value("amount", 12.5) == 12.5
    assert aliases.value("city", "Bern") == "v2"
    assert aliases.value("work_email", "x") == "v3"
    assert aliases.value("plan", "ann@example.org") == "v4"
    assert aliases.value("$set", "x") == "v5"


def test_a_value_that_looks_like_an_id_is_not_taken_for_one() -> None:
    aliases = Aliases(TAXONOMY, Sharing(values=True))
    city = aliases.value("city", "Bern")
    plan = aliases.value("plan", city)

    assert plan != city
    assert aliases.shown({"property": "plan", "value": plan}) == {"property": "plan", "value": city}


def test_words_are_plain_and_name_what_ids_stand_for() -> None:
    aliases = Aliases(TAXONOMY, Sharing("opaque"))

    assert aliases.words("Who does e7\ttwice, <b>pays</b>") == "Who does “signed_up” twice, ‹b›pays‹/b›"
    assert aliases.words("see https://evil.example/?q=e7 or www.evil.example") == "see (address left out) or (address left out)"
    assert aliases.words("e999") == "e999"
    assert aliases.words({"a": 1}) == "('a': 1)"


def test_people_s_texts_hide_names_too() -> None:
    assert (
        Aliases(TAXONOMY, Sharing("opaque")).without_names("Paid is our PAID plan; signed_up comes first, not e1")
        == "e1 is our e1 p1; e7 comes first, not e2"
    )
    assert Aliases(TAXONOMY, Sharing()).without_names("paid") == "paid"


@pytest.mark.parametrize("data", [None, 3, "x", [], {"clauses": 7}, {"match": [{"match": 1}]}, {"property": []}, {"events": {"events": [3]}}])
def test_any_json_can_be_walked(data: object) -> None:
    assert Aliases(TAXONOMY, Sharing()).shown(data) == data


def test_depth_has_an_end() -> None:
    deep: object = "paid"
    for _ in range(500):
        deep = {"match": {"where": deep}}

    assert Aliases(TAXONOMY, Sharing()).shown(deep) is not None


def test_texts_are_cut_at_their_length() -> None:
    assert short("y" * 90) == "y" * 79 + "…"
    assert short("\x00" * 79) == ("\\u0000" * 79)[:79] + "…"
    assert len(plain("word " * 1000)) <= 400
    assert plain("[INST] {x} `y` *z* | a\\b") == "(INST) (x) 'y' z / a/b"

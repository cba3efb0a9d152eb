"""Which outcome? The true question of a world is the first that is suggested; in other projects and languages too, and never without reasons."""

from datetime import UTC, datetime

import pytest

from agent.outcomes import Suggestions, suggest
from agent.vocabulary import met, tokens
from backtest.language import Goal, Group
from backtest.taxonomy import EventDefinition, GroupType, PropertyDefinition, Taxonomy
from beton.bench.projects import opened_world, worlds
from beton.local_backtest import file_taxonomy

AT = datetime(2026, 6, 30, tzinfo=UTC)


def project(events: dict[str, tuple[int, int]], *, groups: tuple[str, ...] = (), properties: tuple[PropertyDefinition, ...] = ()) -> Taxonomy:
    """Event → (volume, units)."""
    told = tuple(EventDefinition(name=name, volume=volume, units=units, internal=name.startswith("$")) for name, (volume, units) in events.items())
    kinds = tuple(GroupType(index=index, name=name) for index, name in enumerate(groups))
    return Taxonomy(events=told, properties=properties, group_types=kinds, taken_at=AT, window_days=90)


def asked(found: Suggestions) -> tuple[str | None, str | None]:
    """Entry and outcome of the first question."""
    first = found.questions[0]
    return first.entry.event if first.entry else None, first.outcome.event


@pytest.mark.parametrize("name", worlds())
@pytest.mark.parametrize("seed", [1, 8])
def test_the_question_of_a_world_is_suggested_first(name: str, seed: int) -> None:
    with opened_world(name, seed, 0.05) as opened:
        found, truth = suggest(file_taxonomy(opened.file, opened.window)), opened.truth
    unit = truth["unit"] if isinstance(truth["unit"], str) else Group(**truth["unit"])
    first = found.questions[0]

    assert (first.entry.event if first.entry else None, first.unit.unit) == (truth["entry"], unit)
    if truth["outcome"]["kind"] == "property":
        assert truth["outcome"]["property"] in [one.outcome.property for one in found.questions[:3]]
    else:
        match = truth["outcome"]["match"]
        assert first.outcome.event == (match if isinstance(match, str) else match["events"][0])
        assert first.outcome.goal == truth["outcome"]["goal"]


OTHERS: dict[str, tuple[dict[str, tuple[int, int]], str, str]] = {
    "shop": ({"Signed Up": (900, 880), "Order Completed": (400, 300), "Product Viewed": (9000, 900)}, "Signed Up", "Order Completed"),
    "trial": (
        {"Account Created": (500, 500), "Subscription Purchased": (90, 90), "Trial Started": (300, 300), "Session Ended": (900, 450)},
        "Account Created",
        "Subscription Purchased",
    ),
    "German": (
        {"Konto eröffnet": (500, 500), "Abo abgeschlossen": (90, 90), "Preise angesehen": (400, 200), "Bestellung storniert": (40, 40)},
        "Konto eröffnet",
        "Abo abgeschlossen",
    ),
    "French": (
        {"inscription_terminee": (500, 490), "paiement_reussi": (120, 100), "page_vue": (4000, 500)},
        "inscription_terminee",
        "paiement_reussi",
    ),
    "Spanish": ({"registro_completado": (500, 490), "suscripción iniciada": (120, 100)}, "registro_completado", "suscripción iniciada"),
    "Portuguese": ({"cadastroConcluido": (500, 490), "compraConfirmada": (120, 100)}, "cadastroConcluido", "compraConfirmada"),
    "Japanese": ({"会員登録": (500, 490), "購入完了": (120, 100), "商品閲覧": (4000, 480)}, "会員登録", "購入完了"),
    "sold by people": ({"installed": (800, 790), "demo_requested": (60, 60), "task_deleted": (300, 120)}, "installed", "demo_requested"),
    "dots": ({"user.registered": (800, 790), "plan.upgraded": (60, 60), "export_cancelled": (80, 50)}, "user.registered", "plan.upgraded"),
    "unknown words": ({"zaloguj": (5000, 500), "xyzzy": (510, 500), "payment_succeeded": (90, 80)}, "xyzzy", "payment_succeeded"),
}


@pytest.mark.parametrize("which", OTHERS)
def test_other_projects_in_other_languages(which: str) -> None:
    events, entry, outcome = OTHERS[which]
    assert asked(suggest(project(events))) == (entry, outcome)


def test_every_suggestion_has_a_code_and_a_sentence() -> None:
    found = suggest(project({"signed_up": (500, 490), "paid": (90, 90), "churned": (40, 40)}, groups=("company",)))
    for one in (*found.units, *found.entries, *found.outcomes):
        assert one.code.islower()
        assert one.sentence.endswith(".")
    assert [one.goal for one in found.outcomes] == [Goal.converts, Goal.churns]


def test_what_everybody_reaches_is_no_outcome() -> None:
    found = suggest(project({"signed_up": (500, 490), "trial_subscription_started": (480, 480), "invoice_paid": (90, 90)}))
    assert found.outcomes[0].event == "invoice_paid"
    assert "tells nobody apart" in next(one for one in found.outcomes if one.event == "trial_subscription_started").sentence


def test_who_leaves_began_as_a_subscriber() -> None:
    found = suggest(project({"signed_up": (900, 900), "subscription_started": (300, 300), "subscription_cancelled": (80, 80)}))
    entries = {one.outcome.event: one.entry.event for one in found.questions if one.entry}
    assert entries == {"subscription_started": "signed_up", "subscription_cancelled": "subscription_started"}


def test_nothing_is_suggested_where_no_name_says_anything() -> None:
    assert suggest(project({"xyzzy": (500, 500), "plugh": (4000, 500)})).questions == ()
    assert suggest(project({})).questions == ()


def test_internal_traffic_is_told_by_flags_hosts_and_posthog() -> None:
    properties = (
        PropertyDefinition(name="is_internal", type="boolean"),
        PropertyDefinition(name="employees", type="numeric"),
        PropertyDefinition(name="$host", type="string", values=("app.example.com", "localhost:3000", "staging.example.com", "shop.test")),
        PropertyDefinition(name="email", kind="person", type="string"),
    )
    filters = [
        {"key": "plan", "type": "event", "operator": "is_not", "value": ["free_test"]},
        {"key": "email", "type": "person", "operator": "not_icontains"},
    ]
    found = suggest(project({"signed_up": (500, 490), "paid": (90, 90)}, properties=properties), filters).internal
    left_out = [(one.property[0], one.value) for each in found for one in each.where]

    assert [one.code for one in found] == ["posthog_filter", "flag", "host", "email", "posthog_filter_unused"]
    assert left_out == [
        ("plan", "free_test"),
        ("is_internal", True),
        ("$host", "localhost:3000"),
        ("$host", "staging.example.com"),
        ("$host", "shop.test"),
    ]


def test_a_question_becomes_one_of_the_language() -> None:
    found = suggest(project({"signed_up": (500, 490), "paid": (90, 90)}))
    question = found.questions[0].question(horizon_days=7)

    assert question.entry is not None
    assert (question.entry.events, question.outcome.horizon, question.unit) == (("signed_up",), 7 * 86_400_000_000, "person")


def test_a_milestone_asks_which_value_counts() -> None:
    properties = (PropertyDefinition(name="orders_count", type="numeric"),)
    taxonomy = project({"signed_up": (500, 490), "order_received": (900, 200)}, properties=properties)
    events = tuple(one.model_copy(update={"properties": ("orders_count",)}) if one.name == "order_received" else one for one in taxonomy.events)
    milestone = next(one for one in suggest(taxonomy.model_copy(update={"events": events})).questions if one.outcome.property)

    assert milestone.needs == "the value that orders_count has to reach"
    with pytest.raises(ValueError, match="orders_count"):
        milestone.question()
    assert getattr(milestone.question(at_least=5).outcome, "value", None) == 5


@pytest.mark.parametrize("name", ["UserSignedUp", "user_signed_up", "user signed-up", "User.SignedUp"])
def test_spellings_are_one_name(name: str) -> None:
    assert tokens(name) == ("user", "signed", "up")
    assert met(name, "sign_up") == "signed up"


def test_short_words_are_no_beginnings_of_others() -> None:
    assert met("organic_visit", "account") is None
    assert met("paywall_shown", "buy") is None

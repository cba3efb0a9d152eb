"""Whatever JSON a model writes, the tools answer it and nothing raises."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.aliases import Aliases, Sharing
from agent.messages import Call
from agent.model import call_in
from agent.tools import ARGUMENTS, Desk, as_data
from tests.agent.small_project import small

SOME_WORDS = (
    "e1 e2 p1 v1 c1 did did_not sequence without trend total state age cohort ever first_session 7d 900d events days persons sum equals at_least "
    "any_of person x note_opened role subscription_started"
)
SOME_KEYS = (
    "kind match then without span first last at_least at_most count values_of within over ratio_at_least property op value events any_event where "
    "measure cohort clauses outcome entry unit group instant name at_least_before"
)
WORDS, KEYS = st.sampled_from(SOME_WORDS.split()), st.sampled_from(SOME_KEYS.split())
SCALARS = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | WORDS | st.text(max_size=8)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=5), max_leaves=12
)
MATCH = WORDS | st.fixed_dictionaries(
    {"events": st.lists(WORDS, max_size=2)}, optional={"where": st.lists(st.dictionaries(KEYS, JSON, max_size=4), max_size=2)}
)
SPAN = WORDS | st.dictionaries(st.sampled_from(["first", "last"]), WORDS, max_size=2)
MORE = dict.fromkeys(["at_least", "at_most", "ratio_at_least", "ratio_at_most", "at_least_before"], SCALARS)
MORE |= dict.fromkeys(["count", "property", "value", "cohort"], JSON) | dict.fromkeys(["measure", "op", "within", "over"], WORDS)
CLAUSE = st.fixed_dictionaries({"kind": WORDS, "match": MATCH}, optional=MORE | {"span": SPAN, "then": MATCH, "without": MATCH})
LIKELY = st.fixed_dictionaries(
    {"kind": st.just("did"), "match": st.sampled_from(["note_opened", "$pageview"]), "span": st.fixed_dictionaries({"first": st.just("7d")})},
    optional={"at_least": st.integers(1, 10**7), "count": st.sampled_from(["events", "days", "persons"]), "name": st.text(max_size=3)},
) | st.fixed_dictionaries({"kind": st.just("state"), "property": st.just("role"), "op": WORDS, "value": SCALARS | st.lists(SCALARS, max_size=2)})
IDEA = st.fixed_dictionaries(
    {"clauses": st.lists(CLAUSE | LIKELY, min_size=1, max_size=4)}, optional={"unit": JSON, "outcome": JSON, "entry": JSON, "fires_again_after": JSON}
)
NOTES = st.lists(
    st.dictionaries(st.sampled_from(["candidate", "sentence", "reason", "flag", "duplicate_of", "rank"]), SCALARS, max_size=6), max_size=3
)


def answered(tool: str, arguments: dict[str, Any], sharing: Sharing) -> None:
    desk = Desk(small().fresh(), small().taxonomy, Aliases(small().taxonomy, sharing))

    done = desk.run(Call(tool, arguments), list(ARGUMENTS))

    assert as_data(done.result).isascii() or as_data(done.result)
    assert done.outcome


QUIET = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@QUIET
@given(IDEA, st.sampled_from([Sharing(), Sharing("opaque")]))
def test_any_idea_is_answered(idea: dict[str, Any], sharing: Sharing) -> None:
    answered("attempt", {"hypothesis": idea}, sharing)


@QUIET
@given(
    st.sampled_from([*ARGUMENTS, "approve", ""]),
    st.dictionaries(st.sampled_from(["name", "about", "most", "hypothesis", "notes"]), JSON | NOTES, max_size=3),
)
def test_any_arguments_are_answered(tool: str, arguments: dict[str, Any]) -> None:
    answered(tool, arguments, Sharing(values=True))


@QUIET
@given(st.text() | st.text(alphabet='{}[]":,ntexol \\u0d83'))
def test_any_text_is_read(text: str) -> None:
    found = call_in(text)

    assert found is None or isinstance(found, Call)

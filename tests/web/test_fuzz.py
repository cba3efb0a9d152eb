"""Whatever is sent, the answer is a refusal in the described shape, never a fault of ours."""

import string
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.contract import Contract
from tests.web.steps import definition
from tests.web.test_openapi import operations

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12)
FIELDS = st.sampled_from(
    ["connection", "definition", "row_version", "reason", "until", "override_reason", "hypothesis_ids", "window_days", "outcome", "entry", "unit",
     "name", "url", "clauses", "kind", "match", "span", "horizon", "where", "property", "op", "value", "at_least", "events", "count", "selected"]
)  # fmt: skip
BODIES = st.dictionaries(FIELDS | st.text(max_size=6), JSON, max_size=6) | JSON
IDS = st.text(min_size=1, max_size=30) | st.from_regex(r"(hyp|run|sig|dlv|rte|con)_[a-z2-7]{20}", fullmatch=True)
TEXTS = st.text(alphabet=string.printable, max_size=30)
FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def addresses(method: str) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(path for verb, path in operations() if verb == method))


def filled(path: str, thing: str) -> str:
    """The address with its one parameter filled in."""
    before, brace, rest = path.partition("{")
    return before + quote(thing, safe="") + rest.partition("}")[2] if brace else path


def mutations(whole: Any) -> st.SearchStrategy[Any]:
    """A right definition with one part of it replaced or left out."""
    places: list[tuple[Any, ...]] = []

    def walk(node: Any, path: tuple[Any, ...]) -> None:
        places.append(path)
        for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            walk(value, (*path, key))

    walk(whole, ())
    return st.builds(lambda path, value: replaced(whole, path, value), st.sampled_from(places), JSON | st.just(...))


def replaced(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return {} if value is ... else value
    copy = dict(node) if isinstance(node, dict) else dict(enumerate(node))
    if value is ... and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy if isinstance(node, dict) else list(copy.values())


@FUZZ
@given(path=addresses("POST"), thing=IDS, body=BODIES, etag=st.none() | TEXTS)
def test_no_body_and_no_id_is_a_fault_of_ours(api: Contract, connection, path: str, thing: str, body: Any, etag: str | None):
    headers = {} if etag is None else {"If-Match": quote(etag)}
    response = api.ask("POST", filled(path, thing), json=body, headers=headers)
    assert response.status_code < 500, response.text


@FUZZ
@given(body=mutations(definition()))
def test_no_definition_is_a_fault_of_ours(api: Contract, connection, body: Any):
    response = api.post("hypotheses", {"connection": "shop", "definition": body})
    assert response.status_code in (200, 201, 422), response.text
    if response.status_code == 422:
        assert response.json()["errors"]


@FUZZ
@given(body=mutations({"outcome": definition()["outcome"], "entry": {"events": ["signed_up"]}, "unit": {"group": "company"}}))
def test_no_question_is_a_fault_of_ours(api: Contract, connection, body: Any):
    asked = body | {"connection": "shop"} if isinstance(body, dict) else body
    assert api.post("proposals", asked).status_code in (202, 400, 422)


@FUZZ
@given(
    path=addresses("GET"), thing=IDS, name=st.sampled_from(["limit", "cursor", "status", "since", "kind", "connection", "route"]), value=TEXTS | IDS
)
def test_no_parameter_is_a_fault_of_ours(api: Contract, path: str, thing: str, name: str, value: str):
    assert api.get(filled(path, thing), params={name: value}).status_code < 500


@FUZZ
@given(content=st.binary(max_size=200))
def test_no_bytes_are_a_fault_of_ours(api: Contract, content: bytes):
    assert api.ask("POST", "hypotheses", content=content).status_code in (400, 422)

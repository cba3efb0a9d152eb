"""Requests made from the description by a tool that does not know us: no fault of ours, and no answer outside the description."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient
from schemathesis import Case

from beton.store.records import Connection
from beton.store.store import Store
from tests.web.conftest import URL
from tests.web.contract import document
from tests.web.steps import fired, kept

LEFT_OUT = ("ignored_auth", "positive_data_acceptance")
"""Two checks of the tool: the first sends requests of its own over a network; the second asks that whatever has the shape is accepted, where
definitions of hypotheses have a language of their own, whose refusals `test_fuzz` covers."""

LOOK = {"deadline": None, "suppress_health_check": list(HealthCheck), "phases": (Phase.explicit, Phase.generate, Phase.shrink)}


def cases() -> st.SearchStrategy[Case]:
    """Requests to every address, each as likely as any other."""
    whole = schemathesis.openapi.from_dict(document())
    return st.one_of([operation.ok().as_strategy() for operation in whole.get_all_operations()])


CASES = cases()


@pytest.fixture
def ask(stranger: TestClient, token: str, store: Store, connection: Connection) -> Any:
    """Sends a request with a key that may do everything, to a workspace that has something in it."""
    fired(store, connection)
    kept(store, connection, days=30)
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "203.0.113.7"}

    def send(case: Case) -> None:
        asked = case.as_transport_kwargs(base_url=URL)
        data = asked.pop("data", None)
        if data is not None:
            asked["content"] = data
        sent = {name: value for name, value in dict(asked.pop("headers")).items() if name.lower() not in ("authorization", "cookie")}
        asked.pop("cookies", None)
        response = stranger.request(**asked, headers=sent | headers, follow_redirects=False)
        if response.status_code != 429:
            case.validate_response(response, excluded_checks=[schemathesis.checks.CHECKS.get_one(name) for name in LEFT_OUT])

    return send


@settings(max_examples=500, **LOOK)
@given(case=CASES)
def test_no_request_from_the_description_is_answered_outside_it(ask: Any, case: Case) -> None:
    ask(case)


@pytest.mark.long
@settings(max_examples=20_000, **LOOK)
@given(case=CASES)
def test_no_request_of_twenty_thousand_is(ask: Any, case: Case) -> None:
    ask(case)

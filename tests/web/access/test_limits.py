"""How often somebody may ask."""

from datetime import timedelta

from litestar.testing import TestClient

from beton.app import create_app
from beton.roles import Permission
from beton.settings import Settings
from beton.store.store import Store
from beton.web.access.limits import MOST_KNOWN, Limiter
from beton.work.workplace import Workplace
from tests.web.access.people import program
from tests.web.conftest import URL, FakeJobs


def test_a_key_that_asks_too_often_is_told_when_to_come_again(place: Workplace, store: Store, clock):
    there = Workplace(Settings(data_dir=place.settings.data_dir, requests_per_minute=10), store, clock)
    with TestClient(create_app(there, jobs=FakeJobs(there)), base_url=URL) as client:
        ada, eve = (program(client, store, Permission.READ) for _ in range(2))
        answers = [ada.ask("GET", "/api/v1/me") for _ in range(12)]
        assert [one.status_code for one in answers] == [200] * 10 + [429] * 2
        assert answers[0].headers["ratelimit"] == '"default";r=9;t=60'
        assert answers[0].headers["ratelimit-policy"] == '"default";q=10;w=60'
        assert answers[-1].json()["code"] == "too_many.requests"
        assert answers[-1].headers["retry-after"] == "60"
        assert eve.ask("GET", "/api/v1/me").status_code == 200
        clock.advance(timedelta(seconds=61))
        assert ada.ask("GET", "/api/v1/me").status_code == 200


def test_a_limiter_remembers_only_so_many():
    limiter = Limiter(1, 60)
    for number in range(MOST_KNOWN + 5):
        assert limiter.take(str(number), 0.0).allowed
    assert len(limiter._windows) == MOST_KNOWN
    assert not limiter.take(str(MOST_KNOWN), 1.0).allowed
    assert limiter.take(str(MOST_KNOWN), 61.0).allowed

"""People at the desk: signed in with a role each, over a store with proposals that are worth looking at."""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from backtest import Hypothesis as Definition
from backtest.sentence import sentence, short_title
from backtest.verdict import judge
from beton.roles import Role
from beton.store import backtests, fires, hypotheses, members, runs, sessions, taxonomies
from beton.store.records import BacktestFire, Connection, Hypothesis, NewBacktest, NewHypothesis, RunStatus
from beton.store.store import Store
from beton.work.workplace import Workplace
from tests.web.conftest import URL
from tests.web.pages.browser import FLAGS, Eyes, chromium, served
from tests.web.pages.live import Desk, fire
from tests.web.steps import result

EVIL = "<script>alert('x')</script>&\"'"
"""As a stranger might call an event."""

EVENTS = ("invited_teammate", "template_imported", "paywall_shown", "plans_compared", "note_edited", "day_started", EVIL)


class Reader(HTMLParser):
    """What a page is made of, as far as tests ask."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [found for name, found in self.tags if name == tag and wanted.items() <= found.items()]


def read(response: httpx.Response) -> Reader:
    """The page, read."""
    reader = Reader()
    reader.feed(response.text)
    return reader


@dataclass
class Person:
    """Somebody signed in, with the token of their forms."""

    client: TestClient
    token: str
    id: str
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=self._headers(headers), follow_redirects=False)

    def post(self, path: str, data: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        return self.client.post(path, data={"csrf": self.csrf} | (data or {}), headers=self._headers(headers), follow_redirects=False)

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/help/keys").text)
        assert found
        return found[1]

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"cookie": f"beton_session={self.token}", "accept": "text/html"} | {name.replace("_", "-"): value for name, value in more.items()}


@pytest.fixture
def people(app: Litestar, store: Store) -> Generator[Callable[[Role], Person]]:
    """Lets somebody in with a role."""
    with TestClient(app, base_url=URL, raise_server_exceptions=False) as client:

        def let_in(role: Role, name: str = "") -> Person:
            with store.transaction() as tx:
                member = members.add(tx, f"{name or role}@example.com", role, actor="set-up", name=(name or str(role)).capitalize())
                token = sessions.begin(tx, member.id, lasts=timedelta(days=3), how="test", actor="set-up")
            return Person(client, token, member.id)

        yield let_in


@pytest.fixture
def ada(people) -> Person:
    return people(Role.ADMIN, "ada")


@pytest.fixture
def reviewer(people) -> Person:
    return people(Role.REVIEWER)


@pytest.fixture
def sales(people) -> Person:
    return people(Role.SALES)


@pytest.fixture
def viewer(people) -> Person:
    return people(Role.VIEWER)


@pytest.fixture
def proposed(store: Store, place: Workplace, connection: Connection) -> list[Hypothesis]:
    """Seven proposals of a search, in the order of their rank: three clear the bar, two do not, one cannot be told, and one has an evil name."""
    return propose(store, place, connection)


def propose(store: Store, place: Workplace, connection: Connection) -> list[Hypothesis]:
    """The same, for tests that bring a store of their own."""
    found, bar = [], place.bar
    with store.transaction() as tx:
        taxonomies.save(tx, connection.id, taxonomy(), None)
        run = runs.queue(tx, "propose", connection_id=connection.id, request={"window_days": 90})
        runs.begin(tx, run.id)
        for number, event in enumerate(EVENTS):
            row = _keep(tx, connection, event)
            told = numbers(number)
            clears = judge(told, bar, selected=True).clears
            new = NewBacktest(
                hypothesis_id=row.id, hypothesis_version=1, run_id=run.id, as_of=tx.now - timedelta(hours=5), window_days=90,
                fingerprint=row.fingerprint, result=told, clears=clears,
            )  # fmt: skip
            backtests.record(tx, [new])
            fires.keep(tx, connection.id, run.id, row.id, [_fire(tx.now, n) for n in range(12)])
            found.append(row.id)
        runs.finish(tx, run.id, RunStatus.DONE, counts={"tried": 674, "proposed": len(found)})
    with store.reading() as tx:
        return sorted(hypotheses.some(tx, found), key=lambda one: -one.rank)


def numbers(number: int) -> dict[str, Any]:
    """Numbers of a find: the first three clear, the fourth is too weak, the fifth rests on too little, the sixth is a step of the outcome."""
    low = (2.4, 2.1, 1.8, 0.7, 1.9, 1.7, 2.2)[number]
    closed = {"tp": 38, "fp": 66, "fn": 40, "tn": 540}
    told: dict[str, Any] = result(lift_low=low) | {
        "lift_vs_baseline": low + 0.9,
        "lift_vs_baseline_high": low + 1.6,
        "labels": [],
        "shrunken_lift": low + 0.5,
    }
    told["closed"] = told["closed"] | closed | {"lift": low + 0.6, "lift_high": low + 1.4}
    told["lead"] = {
        "median_hours": 101.5, "tenth_percentile_hours": 17.2, "share_within_1h": 0.01, "share_within_24h": 0.12, "late_rate": 0.12,
        "actionable_precision": 0.29, "actionable_precision_low": 0.25, "actionable_precision_high": 0.34, "actionable_lift": 2.8,
    }  # fmt: skip
    later = {key: value for key, value in told.items() if key != "shrunken_lift"}
    if number == 4:
        later |= {"insufficient": {"reason": "needs at least 20 fires with a complete horizon, has 17", "missing": []}}
    if number == 5:
        told["labels"] = [{"code": "no_lead", "sentence": "Half of the conversions come within an hour of the fire."}]
    null = {"m": 454, "expected": 1.9, "exceeded_by_5_percent": 2.4, "sentence": "The best of 454 random hypotheses would reach a lift of 1.9."}
    return told | {"discovery": later, "confirmed": later, "q_value": 1e-6, "tried": 674, "tested": 660, "best_null_lift": null}


def taxonomy() -> dict[str, Any]:
    """What the project is known to have."""
    names = (*EVENTS, "user_signed_up", "paid")
    events = [{"name": name, "volume": 900 - 7 * place, "units": 300} for place, name in enumerate(names)]
    return {"taken_at": "2026-03-01T00:00:00Z", "window_days": 30, "events": events, "properties": [], "group_types": [], "notes": []}


def meaning(event: str, days: int = 7) -> Definition:
    """Those who do it early pay."""
    did = {"kind": "did", "match": event, "at_least": 2, "span": {"first": f"{days}d"}}
    outcome = {"kind": "event", "match": "paid", "horizon": "14d"}
    return Definition.model_validate({"entry": "user_signed_up", "clauses": [did], "outcome": outcome})


def _keep(tx: Any, connection: Connection, event: str) -> Hypothesis:
    told = meaning(event)
    new = NewHypothesis(
        connection_id=connection.id, name=short_title(told), fingerprint=told.fingerprint, definition=told.canonical().to_json(),
        sentence=sentence(told), type="converts", source="search", selected=True,
    )  # fmt: skip
    return hypotheses.add(tx, new, actor="search")[0]


def _fire(now: Any, number: int) -> BacktestFire:
    at = now - timedelta(days=2 + 3 * number, hours=number)
    return BacktestFire(
        unit_kind="person",
        unit_id=f"person-{number:02}@acme.example",
        fired_at=at,
        outcome_at=at + timedelta(days=1 + number) if number % 3 == 1 else None,
    )


@pytest.fixture
def desk(store: Store, place: Workplace, connection: Connection, proposed: list[Hypothesis]) -> Desk:
    """The best of the proposals is approved, and units have fired."""
    return fire(store, place, connection, proposed)


REFUSALS = ("the server responded with a status of 4", "Response Status Error Code 4")
"""What a browser and htmx write down about a refusal that was asked for."""


@pytest.fixture(scope="module")
def playing() -> Generator[object]:
    """One browser for all tests of a file. Longer it may not stay: while it is there, its event loop runs in this thread."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="NO BROWSER: playwright is not installed, so the pages were not looked at.")
    path = chromium()
    with sync_api.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def eyes(eyes_on_nothing: Eyes, proposed: list[Hypothesis]) -> Eyes:
    """Ada's, on seven proposals."""
    return eyes_on_nothing


@pytest.fixture
def eyes_on_nothing(playing, app: Litestar, store: Store) -> Generator[Eyes]:
    """Ada's, on an empty workspace. In the end: nobody else was asked for anything, and nothing went wrong in a script."""
    with store.transaction() as tx:
        member = members.add(tx, "ada@example.com", Role.ADMIN, actor="set-up", name="Ada Lovelace")
        token = sessions.begin(tx, member.id, lasts=timedelta(days=3), how="test", actor="set-up")
    with served(app) as address:
        looking = Eyes(playing, address, token)
        yield looking
    assert looking.elsewhere == []
    assert [one for one in looking.errors if not any(told in one for told in REFUSALS)] == []

"""Names that broke are noticed by the next survey, told, and forgotten when they are whole again."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from backtest import Hypothesis, Window
from backtest.durations import DAY, HOUR
from beton.lifecycle import Action, Status
from beton.store import alarms, audit, hypotheses, notices, routes
from beton.store.alarms import BrokenName
from beton.store.delivery_tables import NoticeRow
from beton.store.store import Store, Transaction
from beton.work.observing import survey
from beton.work.workplace import instant
from tests.backtest.oracle import Row
from tests.backtest.random_logs import FIRST_DAY
from tests.conftest import Clock
from tests.posthog.served_log import Happened, ServedLog, served
from tests.store.steps import a_webhook
from tests.work.workshop import Workshop, set_up

NOW = FIRST_DAY + 40 * DAY
TOLD = {"entry": "signed_up", "outcome": {"kind": "event", "match": "paid", "horizon": "2d"}}
INVITES = Hypothesis.model_validate(TOLD | {"clauses": [{"kind": "did", "match": "invited", "span": {"last": "2d"}}]})
SEATS = Hypothesis.model_validate(
    TOLD | {"clauses": [{"kind": "did", "match": {"events": ["viewed"], "where": [{"property": "seats", "op": ">", "value": 2}]}, "span": "ever"}]}
)


def happened(name: str, start: int, end: int, every: int, **properties: object) -> list[Happened]:
    return [Happened(Row(f"p{at}", name, at, dict(properties), f"p{at}")) for at in range(start, end, every)]


@pytest.fixture
def bench(store: Store, clock: Clock, tmp_path: Path) -> Generator[Workshop]:
    """Everything comes every half hour until `NOW`."""
    steady = [one for name in ("signed_up", "paid", "invited") for one in happened(name, FIRST_DAY, NOW, HOUR // 2)]
    steady += happened("viewed", FIRST_DAY, NOW, HOUR // 2, seats=3)
    with served(ServedLog(tuple(steady), frozenset()), tmp_path) as server:
        opened = set_up(server, store, clock, tmp_path, NOW)
        opened.approve([INVITES, SEATS], Window(FIRST_DAY, NOW))
        yield opened


def look(bench: Workshop, at: int) -> list[BrokenName]:
    bench.clock.now = instant(at)
    asyncio.run(survey(bench.place, bench.connection))
    with bench.place.store.reading() as tx:
        return alarms.broken_names(tx)


def later(bench: Workshop, start: int, end: int, *names: str, **properties: object) -> None:
    rows = [one.to_json() for name in names for one in happened(name, start, end, HOUR // 2, **properties)]
    bench.server.post("events", rows)


def test_a_busy_event_that_stops_is_missed_the_same_day_and_its_new_name_is_offered(bench: Workshop):
    with bench.place.store.transaction() as tx:
        routes.add(tx, name="ops", destination=a_webhook(url="https://ops.example.com/x", secret="whsec_canaryCANARY"), actor="ada", notices=True)
    assert look(bench, NOW) == []
    later(bench, NOW, NOW + DAY, "signed_up", "paid", "user_invited")
    later(bench, NOW, NOW + DAY, "viewed", seats=3)
    first = next((hours for hours in range(6, 25, 6) if look(bench, NOW + hours * HOUR)), None)
    assert first is not None
    assert first <= 12
    (one,) = look(bench, NOW + 18 * HOUR)
    assert (one.kind, one.event) == ("event_silent", "invited")
    assert one.noticed_at == instant(NOW + first * HOUR)
    with bench.place.store.reading() as tx:
        assert next(each.action for each in audit.entries(tx, object_id=one.hypothesis_id)) == "hypothesis.names_broke"
        (told,) = [notices.get(tx, each) for each in _notices(tx)]
    assert (told.action, told.actor, told.was) == ("names_broke", "beton", told.became)
    assert "invited has stopped coming." in str(told.reason)
    later(bench, NOW + DAY, NOW + DAY + 7 * HOUR, "invited", "signed_up", "paid")
    assert [each for each in look(bench, NOW + DAY + 7 * HOUR) if each.event == "invited"] == []


def test_a_property_that_is_carried_no_more_is_missed_too(bench: Workshop):
    later(bench, NOW, NOW + DAY, "signed_up", "paid", "invited", "viewed")
    (one,) = look(bench, NOW + 18 * HOUR)
    assert (one.kind, one.event, one.property) == ("property_gone", "viewed", "seats")
    assert one.sentence == "The property seats of viewed is carried no more."


def test_a_survey_of_a_project_without_live_hypotheses_asks_nothing_more_than_its_names(bench: Workshop):
    with bench.place.store.reading() as tx:
        rows = hypotheses.every(tx, statuses=(Status.APPROVED,))
    for row in rows:
        bench.decide(row, Action.RETIRE)
    bench.server.post("reset", {})
    look(bench, NOW)
    assert not [record for record in bench.server.queries() if "AS week" in record["query"]]


def _notices(tx: Transaction) -> list[str]:
    return list(tx.session.execute(select(col(NoticeRow.id))).scalars())

"""What waits for somebody, on both databases: of this workspace, each once."""

from backtest.breakage import Break
from beton.store import alarms, routes, workspaces
from beton.store.records import Connection
from beton.store.store import Store
from beton.store.waiting import Waiting, waiting
from beton.work.attending import asking
from tests.store.steps import a_webhook, approved, proposed

NOTHING = Waiting(proposals=0, troubled=0, paused=())


def waits(store: Store) -> Waiting:
    with store.reading() as tx:
        found = waiting(tx)
        assert found.troubled == len(asking(tx)), "the frame counts what the scoreboard lists"
        return found


def test_nothing_waits_in_a_new_workspace(store: Store) -> None:
    assert waits(store) == NOTHING


def test_what_waits_is_counted_once_and_in_its_own_workspace(store: Store, connection: Connection) -> None:
    proposed(store, connection, "f1")
    proposed(store, connection, "f2")
    live = approved(store, connection, "f3")
    with store.transaction() as tx:
        found = alarms.raise_alarm(tx, live, "ask", basis="all", floor=0.3, fires=40, hits=2, log_e=6.0, last_fired_at=tx.now)
        broken = alarms.note_breaks(tx, live, [Break("event_gone", event="invited"), Break("event_silent", event="paid")])
        for name in ("zeta", "acme", "off"):
            routes.add(tx, name=name, destination=a_webhook("https://hooks.example.com/", "a-secret-of-its-own"), actor="ada")
            routes.switch(tx, name, enabled=False, actor="ada", problem=None if name == "off" else "It has failed for five days.")
    assert waits(store) == Waiting(proposals=2, troubled=1, paused=("acme", "zeta"))
    other = workspaces.add(store, "Other", actor="ada")
    assert waits(store.of(other.id)) == NOTHING
    with store.transaction() as tx:
        alarms.answer(tx, found.id, "kept", actor="ada")
        alarms.end_breaks(tx, [one.id for one in broken])
        routes.switch(tx, "acme", enabled=True, actor="ada")
    assert waits(store) == Waiting(proposals=2, troubled=0, paused=("zeta",))

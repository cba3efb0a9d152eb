"""The audit log's chain: every entry holds the hash of the one before."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from beton.store import audit, workspaces
from beton.store.columns import Row
from beton.store.store import Store
from tests.conftest import Clock

TABLE = Row.metadata.tables["audit_entry"]


def written(store: Store, number: int) -> None:
    for n in range(number):
        with store.transaction() as tx:
            audit.write(tx, "ada", "test", "thing", f"t{n}", before={"n": n, "share": 0.1}, after={"n": n + 1, "name": "Ünïcode", "none": None})


def tampered(store: Store, change: sa.Update | sa.Delete) -> None:
    """As somebody would who has the database and takes the triggers away first."""
    with store.engine.begin() as raw:
        if raw.dialect.name == "postgresql":
            raw.execute(sa.text("ALTER TABLE audit_entry DISABLE TRIGGER USER"))
        else:
            raw.execute(sa.text("DROP TRIGGER audit_entry_refuses_update"))
            raw.execute(sa.text("DROP TRIGGER audit_entry_refuses_delete"))
        raw.execute(change)


def checked(store: Store) -> audit.Checked:
    with store.reading() as tx:
        return audit.check(tx)


def test_an_untouched_log_holds_and_its_head_moves(store: Store) -> None:
    assert checked(store) == audit.Checked(0, audit.ORIGIN, None)
    written(store, 3)
    first = checked(store)
    written(store, 1)
    assert (first.entries, first.broken_at) == (3, None)
    assert checked(store).head != first.head


def test_a_changed_entry_is_found(store: Store) -> None:
    written(store, 5)
    tampered(store, TABLE.update().where(TABLE.c.number == 3).values(actor="eve"))
    assert checked(store).broken_at == 3


def test_changed_content_is_found(store: Store) -> None:
    written(store, 5)
    tampered(store, TABLE.update().where(TABLE.c.number == 2).values(after={"n": 99}))
    assert checked(store).broken_at == 2


def test_a_removed_entry_is_found(store: Store) -> None:
    written(store, 5)
    tampered(store, TABLE.delete().where(TABLE.c.number == 4))
    assert checked(store).broken_at == 4


def test_writers_at_once_make_one_chain_without_gaps(store: Store) -> None:
    threads = [threading.Thread(target=written, args=(store, 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (checked(store).entries, checked(store).broken_at) == (20, None)


def test_each_workspace_has_a_chain_of_its_own(store: Store) -> None:
    other = store.of(workspaces.add(store, "Second", actor="ada").id)
    written(store, 2)
    written(other, 1)
    assert (checked(store).entries, checked(other).entries) == (2, 2)  # its beginning is the first


def test_what_fails_leaves_no_entry_and_no_gap(store: Store) -> None:
    written(store, 1)
    try:
        with store.transaction() as tx:
            audit.write(tx, "ada", "test", "thing", "lost")
            audit.entries(tx)
            raise KeyError
    except KeyError:
        pass
    written(store, 1)
    assert (checked(store).entries, checked(store).broken_at) == (2, None)


def expired(store: Store, clock: Clock) -> int:
    """Twelve entries, five of them older than four hundred days, and how many went."""
    written(store, 5)
    clock.advance(timedelta(days=10))
    written(store, 7)
    clock.advance(timedelta(days=395))
    return expire(store, timedelta(days=400))


def expire(store: Store, keep: timedelta) -> int:
    with store.transaction() as tx:
        return audit.drop_old(tx, keep)


def test_what_is_old_expires_and_the_rest_still_holds(store: Store, clock: Clock) -> None:
    assert expired(store, clock) == 5
    assert (checked(store).entries, checked(store).broken_at) == (13, None)
    with store.transaction() as tx:
        assert audit.drop_old(tx, timedelta(days=400)) == 0
        assert (audit.entries(tx)[0].action, audit.entries(tx)[0].object_id) == (audit.EXPIRED, "5")
    tampered(store, TABLE.update().where(TABLE.c.number == 8).values(actor="eve"))
    assert checked(store).broken_at == 8


def test_entries_that_go_without_a_word_are_missed(store: Store, clock: Clock) -> None:
    expired(store, clock)
    tampered(store, TABLE.delete().where(TABLE.c.number == 6))
    assert checked(store).broken_at is not None


def test_the_database_lets_nothing_go_that_is_young_or_not_announced(store: Store, clock: Clock) -> None:
    written(store, 3)
    with pytest.raises(SQLAlchemyError, match="append-only"), store.engine.begin() as raw:
        raw.execute(TABLE.delete())
    clock.advance(timedelta(days=20))
    with pytest.raises(SQLAlchemyError, match="append-only"):
        expire(store, timedelta(days=-1))
    assert checked(store).entries == 3

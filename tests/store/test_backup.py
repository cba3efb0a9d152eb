"""A backup holds all, opens nothing, and comes back only whole: from either database into either."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from beton.store import audit, backup, connections, signals
from beton.store.backup import NotEmpty, UnusableBackup, kept_tables, measure, measure_file, read_backup, write_backup
from beton.store.columns import Row
from beton.store.engines import open_engine
from beton.store.migrate import migrate
from beton.store.records import Connection
from beton.store.sealing import Sealer
from beton.store.store import Store
from tests.conftest import Clock
from tests.store import steps

UNIT = "canary-person-7f3a"


@pytest.fixture
def filled(store: Store, connection: Connection, clock: Clock) -> Store:
    live = steps.approved(store, connection)
    with store.transaction() as tx:
        signals.record(tx, live.id, live.version, [steps.finding(f"{UNIT}-{number}", clock.now) for number in range(30)])
        audit.write(tx, "ada", "test", "thing", "t", before=None, after={"text": "Ünï\n\u2028", "number": 0.1, "nothing": None})
    return store


@pytest.fixture
def saved(filled: Store, tmp_path: Path) -> Path:
    write_backup(filled.engine, tmp_path / "all.backup", filled.clock())
    return tmp_path / "all.backup"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Another database, whatever the first one is."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else f"sqlite:///{tmp_path / 'other.sqlite'}"
    engine = open_engine(url)
    migrate(engine)
    yield engine
    engine.dispose()


def test_every_table_is_in_it(store: Store) -> None:
    there = set(sa.inspect(store.engine).get_table_names()) - {"alembic_version"}
    assert {table.name for table in kept_tables()} | backup.MOMENTARY == there == set(Row.metadata.tables)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_comes_back_as_it_was_on_either_database(saved: Path, filled: Store, empty: sa.Engine, clock: Clock) -> None:
    before = measure(filled.engine)
    assert read_backup(empty, saved) == before == measure(empty) == measure_file(saved)
    assert before["signal"].rows == 30
    again = Store(empty, Sealer({"k1": bytes(range(32))}), clock)
    with again.transaction() as tx:
        assert audit.check(tx).broken_at is None
        assert {one.unit_id for one in signals.listing(tx).data} == {f"{UNIT}-{number}" for number in range(30)}
        assert connections.api_key(tx, connections.every(tx)[0].id) == "phx_canaryCANARYcanary"
        audit.write(tx, "ada", "test", "thing", "goes on")


def test_from_postgresql_to_sqlite_too(saved: Path, filled: Store, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'small.sqlite'}")
    migrate(engine)
    assert read_backup(engine, saved) == measure(filled.engine)
    engine.dispose()


def test_what_is_sealed_stays_sealed_and_the_key_is_not_in_it(saved: Path) -> None:
    text = gzip.decompress(saved.read_bytes())
    assert b"phx_canary" not in text
    assert bytes(range(32)) not in text
    assert saved.stat().st_mode & 0o077 == 0


def test_a_database_that_has_rows_is_left_alone(saved: Path, filled: Store) -> None:
    before = measure(filled.engine)
    with pytest.raises(NotEmpty):
        read_backup(filled.engine, saved)
    assert measure(filled.engine) == before


def cut(lines: list[bytes]) -> list[bytes]:
    return lines[: len(lines) // 2]


def dropped(lines: list[bytes]) -> list[bytes]:
    place = next(index for index, line in enumerate(lines) if line.startswith(b"["))
    return lines[:place] + lines[place + 1 :]


def doubled(lines: list[bytes]) -> list[bytes]:
    place = next(index for index, line in enumerate(lines) if line.startswith(b"["))
    return [*lines[:place], lines[place], *lines[place:]]


def altered(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"ada", b"eve") if line.startswith(b"[") else line for line in lines]


def older(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b'"schema":"0', b'"schema":"9'), *lines[1:]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("spoil", [cut, dropped, doubled, altered, older])
def test_a_file_that_is_not_whole_changes_nothing(saved: Path, empty: sa.Engine, spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    lines = gzip.decompress(saved.read_bytes()).splitlines(keepends=True)
    saved.write_bytes(gzip.compress(b"".join(spoil(lines))))
    with pytest.raises(UnusableBackup):
        read_backup(empty, saved)
    assert not any(one.rows for one in measure(empty).values())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_is_cut_off_in_the_middle_of_its_packing_is_refused(saved: Path, filled: Store) -> None:
    del filled
    saved.write_bytes(saved.read_bytes()[:-20])
    with pytest.raises(UnusableBackup):
        measure_file(saved)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_backup_is_never_written_over(saved: Path, filled: Store) -> None:
    before = saved.read_bytes()
    with pytest.raises(UnusableBackup, match="exists"):
        write_backup(filled.engine, saved, filled.clock())
    assert saved.read_bytes() == before
    assert [one.name for one in saved.parent.glob("all.*")] == ["all.backup"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_single_changed_row_is_found(saved: Path, filled: Store) -> None:
    with filled.engine.begin() as raw:
        raw.execute(sa.text("UPDATE signal SET confidence = 0.41 WHERE id = (SELECT min(id) FROM signal)"))
    there, kept = measure(filled.engine), measure_file(saved)
    assert [name for name in kept if kept[name] != there[name]] == ["signal"]

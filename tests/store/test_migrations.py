import threading
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.sql import SQL, Identifier

from beton.errors import StoreError
from beton.store.columns import Row
from beton.store.engines import open_engine
from beton.store.migrate import check, downgrade, migrate, require_current, revisions


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deeper' / 'empty.sqlite'}"
    server = request.getfixturevalue("postgres_server")
    name = f"e{abs(hash(tmp_path)):x}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return server.replace("/postgres?", f"/{name}?")


def test_migrations_make_exactly_the_tables_of_the_models(empty_url: str) -> None:
    engine = open_engine(empty_url)
    migrate(engine)
    check(engine)
    assert set(sa.inspect(engine).get_table_names()) == {*Row.metadata.tables, "alembic_version"}
    engine.dispose()


def test_going_down_and_up_again_works(empty_url: str) -> None:
    engine = open_engine(empty_url)
    migrate(engine)
    downgrade(engine, "base")
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
    migrate(engine)
    check(engine)
    engine.dispose()


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    engines = [open_engine(empty_url) for _ in range(3)]
    threads = [threading.Thread(target=migrate, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    present, wanted = revisions(engines[0])
    assert present == wanted
    for engine in engines:
        engine.dispose()


def test_an_old_schema_is_refused_with_the_way_out(empty_url: str) -> None:
    engine = open_engine(empty_url)
    with pytest.raises(StoreError) as refused:
        require_current(engine)
    assert refused.value.code == "store.schema_differs"
    assert "beton migrate" in refused.value.fix
    migrate(engine)
    require_current(engine)
    engine.dispose()


def test_tables_of_others_are_none_of_our_business(empty_url: str) -> None:
    engine = open_engine(empty_url)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE workflow_status (id INTEGER PRIMARY KEY)"))
    check(engine)
    engine.dispose()


def test_no_index_name_is_too_long_for_postgresql() -> None:
    names = [index.name for table in Row.metadata.tables.values() for index in table.indexes]
    names += [constraint.name for table in Row.metadata.tables.values() for constraint in table.constraints]
    assert max(len(str(name)) for name in names) <= 63

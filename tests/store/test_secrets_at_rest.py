import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from beton.roles import Permission
from beton.store import api_keys, audit, connections, signals, taxonomies
from beton.store.columns import Row
from beton.store.records import Connection, Route
from beton.store.sealing import SealBroken
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import approved, every_text, finding


def test_no_secret_lies_in_the_clear_in_any_column(store: Store, connection: Connection, route: Route) -> None:
    with store.transaction() as tx:
        _, token = api_keys.issue(tx, "laptop", [Permission.READ], actor="ada")
        taxonomies.save(tx, connection.id, {"events": {"invited": 1}}, {"e-mail": ["canary@example.com"]})
        connections.replace_key(tx, "shop", "phx_canaryOTHERcanary", actor="ada")
        audit.write(tx, "ada", "test", "connection", connection.id, after={"note": ["Bearer canaryBEARERcanary"]})
    text = every_text(store)
    assert "v1.k1." in text
    for secret in ("phx_canary", "canaryPATH", "whsec_canary", "canary@example.com", "canaryBEARER", token, token[len("btn_") :]):
        assert secret not in text


def test_the_unit_of_a_signal_is_sealed_and_does_not_open_in_another_row(store: Store, connection: Connection, route: Route, clock: Clock) -> None:
    hypothesis = approved(store, connection)
    with store.transaction() as tx:
        first, second = signals.record(tx, hypothesis.id, 1, [finding("canary@example.com", clock.now), finding("p2", clock.now)])
        table = Row.metadata.tables["signal"]
        rows = {row["id"]: row for row in tx.session.execute(table.select()).mappings()}
        assert "canary" not in str(rows)
        tx.session.execute(sa.update(table).where(table.c.id == second.id).values(unit_sealed=rows[first.id]["unit_sealed"]))
    with store.reading() as tx:
        assert signals.get(tx, first.id).unit_id == "canary@example.com"
        with pytest.raises(SealBroken):
            signals.get(tx, second.id)


def test_no_secret_lies_in_the_files_either(store: Store, connection: Connection, route: Route, database_dir: Path) -> None:
    for file in database_dir.rglob("beton.sqlite*"):
        assert b"canary" not in file.read_bytes()


NAME_OF_A_PROPERTY = "broken_name.property"
"""What a live hypothesis names and its project carries no more: a name, never a value."""


def test_no_column_could_hold_an_event_s_properties() -> None:
    columns = {f"{table.name}.{column.name}" for table in Row.metadata.tables.values() for column in table.columns}
    telling = re.compile(r"\.\w*(propert|payload|body)")
    assert {name for name in columns if telling.search(name) and not name.endswith("_sealed")} == {NAME_OF_A_PROPERTY}


def test_the_store_does_not_import_polars() -> None:
    room = Path(connections.__file__).parent
    assert not [path.name for path in room.rglob("*.py") if "polars" in path.read_text()]

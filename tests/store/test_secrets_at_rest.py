from pathlib import Path

from beton.store import audit, connections, operator_keys, taxonomies
from beton.store.columns import Row
from beton.store.records import Connection, Route
from beton.store.store import Store
from tests.store.steps import every_text


def test_no_secret_lies_in_the_clear_in_any_column(store: Store, connection: Connection, route: Route) -> None:
    with store.transaction() as tx:
        _, token = operator_keys.issue(tx, "laptop", actor="ada")
        taxonomies.save(tx, connection.id, {"events": {"invited": 1}}, {"e-mail": ["canary@example.com"]})
        connections.replace_key(tx, "shop", "phx_canaryOTHERcanary", actor="ada")
        audit.write(tx, "ada", "test", "connection", connection.id, after={"note": ["Bearer canaryBEARERcanary"]})
    text = every_text(store)
    assert "v1.k1." in text
    for secret in ("phx_canary", "canaryPATH", "whsec_canary", "canary@example.com", "canaryBEARER", token, token[len("btn_op_") :]):
        assert secret not in text


def test_no_secret_lies_in_the_files_either(store: Store, connection: Connection, route: Route, database_dir: Path) -> None:
    for file in database_dir.rglob("beton.sqlite*"):
        assert b"canary" not in file.read_bytes()


def test_no_column_could_hold_an_event_s_properties() -> None:
    columns = {column.name for table in Row.metadata.tables.values() for column in table.columns}
    assert not {name for name in columns if "propert" in name or "payload" in name or "body" in name}


def test_the_store_does_not_import_polars() -> None:
    room = Path(connections.__file__).parent
    assert not [path.name for path in room.rglob("*.py") if "polars" in path.read_text()]

"""`beton sources`: from an address to an active source, on the command line."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from beton.cli import main
from beton.cli.options import now
from beton.settings import Settings, with_local_key
from beton.store import connections, inbound, inbound_events
from beton.store.inbound_records import Taken
from beton.store.store import Store, open_store

BODY = {
    "event": {
        "uuid": "0190a0e0-0000-7000-8000-000000000001",
        "event": "invited",
        "distinct_id": "canary@example.com",
        "timestamp": "2026-03-02T09:00:00Z",
    }
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Store]:
    monkeypatch.setenv("BETON_DATA_DIR", str(tmp_path))
    store = open_store(with_local_key(Settings(data_dir=tmp_path)), now)
    with store.transaction() as tx:
        connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_x", actor="ada")
    yield store
    store.close()


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main([*arguments])
    return code, capsys.readouterr().out


def came(store: Store, body: object) -> None:
    with store.transaction() as tx:
        source = inbound.get(tx, "product")
        row = inbound_events.sealed_row(store.sealer, Taken(store.workspace_id, source.id, source.connection_id, "e", tx.now, json.dumps(body)))
        inbound_events.keep(tx, [row])


def test_a_source_from_its_address_to_signals(installed: Store, capsys: pytest.CaptureFixture[str]):
    code, out = told(capsys, "sources", "add", "product", "shop", "--signed", "--json")
    made = json.loads(out)
    assert (code, made["status"]) == (0, "testing")
    assert inbound.listener(installed, made["address"].rpartition("/")[2]) is not None
    assert made["secret"].startswith("whsec_")
    assert told(capsys, "sources", "test", "product")[0] == 1
    assert told(capsys, "sources", "activate", "product")[0] != 0
    came(installed, BODY)
    code, out = told(capsys, "sources", "test", "product", "--json")
    assert (code, json.loads(out)["parts"]["name"]) == (0, {"path": "event.event | event.name", "found": "text"})
    assert "canary" not in out
    code, out = told(capsys, "sources", "map", "product", "properties=", "name=event.event", "--json")
    assert (code, json.loads(out)["mapping"]["name"], "properties" in json.loads(out)["mapping"]) == (0, "event.event", False)
    assert told(capsys, "sources", "activate", "product")[0] == 0
    code, out = told(capsys, "sources", "list", "--json")
    assert (code, json.loads(out)["status"], json.loads(out)["events"]) == (0, "active", {"arrived": 1})
    assert made["secret"] not in out
    code, out = told(capsys, "sources", "log", "product", "--json")
    assert json.loads(out)["status"] == "arrived"
    code, out = told(capsys, "sources", "rotate", "product", "--grace-hours", "1", "--json")
    assert json.loads(out)["address"] != made["address"]
    assert told(capsys, "sources", "disable", "product")[0] == 0
    for command in (("sources", "list"), ("sources", "log")):
        assert told(capsys, *command)[0] == 0
    assert told(capsys, "sources", "remove", "product")[0] == 0
    assert told(capsys, "sources", "list", "--json") == (0, "")

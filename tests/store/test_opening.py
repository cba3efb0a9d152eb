import base64
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from beton.errors import SettingsError, StoreError
from beton.settings import Settings
from beton.store import connections
from beton.store.engines import open_engine
from beton.store.sealing import Sealer
from beton.store.store import Store, open_store
from tests.conftest import Clock

KEY = SecretStr(base64.b64encode(bytes(range(0, 256, 8))).decode())


def test_a_first_start_makes_directory_tables_and_workspace(tmp_path: Path, clock: Clock) -> None:
    settings = Settings(data_dir=tmp_path / "home", secret_key=KEY)
    with pytest.raises(StoreError, match="schema none"):
        open_store(settings, clock, upgrade=False)
    opened = open_store(settings, clock)
    with opened.transaction() as tx:
        made = connections.add(tx, name="shop", host="https://x", project_id="1", api_key="phx_1", actor="ada")
    opened.close()
    again = open_store(settings, clock, upgrade=False)
    with again.reading() as tx:
        assert connections.every(tx) == [made]
    again.close()


def test_without_a_key_no_store_is_opened(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(SettingsError):
        open_store(Settings(data_dir=tmp_path), clock)


def test_an_unreachable_database_is_a_store_error_without_its_password(tmp_path: Path, clock: Clock) -> None:
    settings = Settings(database_url=f"postgresql://ada:canary@/nothing?host={tmp_path}", secret_key=KEY)
    with pytest.raises(StoreError) as refused:
        open_store(settings, clock)
    assert (refused.value.code, refused.value.status) == ("store.unavailable", 503)
    assert "canary" not in str(refused.value.as_problem())


def test_a_database_without_a_free_connection_is_unavailable_and_not_broken(sqlite_url: str, clock: Clock) -> None:
    narrow = Store(sa.create_engine(sqlite_url, pool_size=1, max_overflow=0, pool_timeout=0.01), Sealer({"k1": bytes(32)}), clock)
    with narrow.transaction(), pytest.raises(StoreError) as refused, narrow.reading() as tx:
        connections.every(tx)
    assert (refused.value.code, refused.value.status, refused.value.exit_code) == ("store.unavailable", 503, 3)
    narrow.close()


def test_what_was_committed_survives_the_death_of_its_writer(tmp_path: Path, clock: Clock) -> None:
    """A process dies inside its second transaction: the first is whole, the second gone, and nothing stays locked."""
    script = f"""
import os
from datetime import UTC, datetime
from pathlib import Path
from pydantic import SecretStr
from beton.settings import Settings
from beton.store import connections
from beton.store.store import open_store
store = open_store(Settings(data_dir=Path({str(tmp_path)!r}), secret_key=SecretStr({KEY.get_secret_value()!r})), lambda: datetime.now(UTC))
def add(tx, name):
    connections.add(tx, name=name, host="https://x", project_id="1", api_key="phx_1", actor="ada")
with store.transaction() as tx:
    add(tx, "kept")
with store.transaction() as tx:
    add(tx, "lost")
    os.kill(os.getpid(), 9)
"""
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(root)}, check=False)
    assert ended.returncode == -9
    opened = open_store(Settings(data_dir=tmp_path, secret_key=KEY), clock)
    with opened.transaction() as tx:
        assert [known.name for known in connections.every(tx)] == ["kept"]
    opened.close()


def test_a_new_file_can_be_opened_by_several_at_once(tmp_path: Path) -> None:
    for number in range(30):
        engines = [open_engine(f"sqlite:///{tmp_path / f'{number}.sqlite'}") for _ in range(6)]
        together = threading.Barrier(len(engines))

        def ask(engine: sa.Engine, together: threading.Barrier = together) -> str:
            together.wait()
            with engine.connect() as connection:
                return connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()

        with ThreadPoolExecutor(len(engines)) as threads:
            assert set(threads.map(ask, engines)) == {"wal"}
        for engine in engines:
            engine.dispose()

import base64
import secrets
import stat
from pathlib import Path

import pytest

from beton.errors import SettingsError
from beton.settings import (
    decode_key,
    describe_settings,
    load_or_create_local_key,
    load_settings,
    unknown_variables,
    with_local_key,
)


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in describe_settings():
        monkeypatch.delenv(row["variable"], raising=False)


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()
    assert settings.effective_database_url == f"sqlite:///{Path.home() / '.beton' / 'beton.sqlite'}"
    assert (settings.host, settings.port, settings.posthog_share) == ("127.0.0.1", 8321, 0.5)
    assert (settings.bar.max_q, settings.bar.min_lift_low, settings.bar.min_fires) == (0.10, 1.5, 20)
    assert (settings.bar.min_true_positives, settings.bar.min_recall, settings.bar.min_precision) == (5, 0.05, None)


def test_every_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BETON_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("BETON_BAR_MIN_FIRES", "50")
    monkeypatch.setenv("BETON_SWEEP_INTERVAL_MINUTES", "15")
    settings = load_settings()
    assert settings.effective_database_url == f"sqlite:///{tmp_path}/beton.sqlite"
    assert settings.bar.min_fires == 50
    assert settings.sweep_interval_minutes == 15


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BETON_PORT", "0"),
        ("BETON_POSTHOG_SHARE", "1.5"),
        ("BETON_DATABASE_URL", "mysql://somewhere"),
        ("BETON_BAR_MAX_Q", "two"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load_settings()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not base64!", "settings.secret_key_malformed"),
        (base64.b64encode(b"short").decode(), "settings.secret_key_length"),
        (base64.b64encode(bytes(32)).decode(), "settings.secret_key_weak"),
        (base64.b64encode(b"correct horse battery staple 123").decode(), "settings.secret_key_weak"),
    ],
)
def test_a_weak_key_is_refused_with_the_command_that_makes_a_good_one(monkeypatch: pytest.MonkeyPatch, text: str, code: str) -> None:
    monkeypatch.setenv("BETON_SECRET_KEY", text)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert refused.value.code == code
    assert "openssl rand -base64 32" in refused.value.fix
    assert text not in str(refused.value)


def test_a_missing_key_is_refused_when_it_is_needed() -> None:
    with pytest.raises(SettingsError, match="BETON_SECRET_KEY is not set"):
        load_settings().key_ring()


def test_the_present_key_comes_first_and_former_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    new, old, older = new_key(), new_key(), new_key()
    monkeypatch.setenv("BETON_SECRET_KEY", new)
    monkeypatch.setenv("BETON_OLD_SECRET_KEYS", f"{old}, {older}")
    assert list(load_settings().key_ring().values()) == [decode_key(new), decode_key(old), decode_key(older)]


def test_keys_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    new, old = new_key(), new_key()
    monkeypatch.setenv("BETON_SECRET_KEY", new)
    monkeypatch.setenv("BETON_OLD_SECRET_KEYS", old)
    assert new not in repr(load_settings())
    assert old not in repr(load_settings())


def test_a_local_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    home = tmp_path / "beton"
    first = load_or_create_local_key(home)
    assert load_or_create_local_key(home) == first
    assert stat.S_IMODE((home / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["secret.key"]


def test_a_local_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_or_create_local_key(tmp_path)
    (tmp_path / "secret.key").chmod(0o644)
    with pytest.raises(SettingsError, match="Others can read"):
        load_or_create_local_key(tmp_path)


def test_the_environment_s_key_wins_over_the_local_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BETON_DATA_DIR", str(tmp_path))
    assert with_local_key(load_settings()).secret_key == load_or_create_local_key(tmp_path)
    monkeypatch.setenv("BETON_SECRET_KEY", key := new_key())
    assert list(with_local_key(load_settings()).key_ring().values()) == [decode_key(key)]


def test_every_setting_is_described() -> None:
    rows = describe_settings()
    assert all(row["meaning"].endswith((".", ")")) for row in rows)
    assert {"BETON_DATABASE_URL", "BETON_BAR_MAX_Q"} <= {row["variable"] for row in rows}


def test_a_misspelt_variable_is_noticed() -> None:
    assert unknown_variables(["BETON_PROT", "BETON_PORT", "PATH", "BETON_BAR_MAX_Q"]) == ["BETON_PROT"]

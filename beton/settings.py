"""Every setting of Beton, read from environment variables that start with `BETON_` and from nowhere else.

`load_settings()` reads and checks them; `describe_settings()` is the reference table. Names are the field names in capitals behind the prefix:
`BETON_DATABASE_URL`, `BETON_SWEEP_INTERVAL_MINUTES`.
"""

import base64
import binascii
import hashlib
import ipaddress
import os
import secrets
import stat
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from beton.errors import SettingsError

PREFIX = "BETON_"
KEY_BYTES = 32
MAKE_A_KEY = "Make one with: openssl rand -base64 32"
LOCAL_KEY_FILE = "secret.key"


class Bar(BaseSettings):
    """What a result must clear before approval needs no reason. The defaults are those of the reference on numbers."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}BAR_", frozen=True)

    min_precision: float | None = Field(
        default=None, ge=0, le=1, description="Smallest precision of a hypothesis that clears the bar; unset asks none."
    )
    max_q: float = Field(default=0.10, gt=0, le=1, description="Largest q-value (share of false discoveries) that clears the bar.")
    min_lift_low: float = Field(default=1.5, ge=0, description="Smallest lower limit of the confirmed lift that clears the bar.")
    min_fires: int = Field(default=20, ge=1, description="Fewest judged fires (n) a result may rest on.")
    min_true_positives: int = Field(default=5, ge=1, description="Fewest true positives a result may rest on.")
    min_recall: float = Field(default=0.05, ge=0, le=1, description="Smallest share of conversions that must be preceded by the fire.")


class ModelSettings(BaseSettings):
    """The language model that may take part in searches. None is needed: without an address or a name, none is asked."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}MODEL_", frozen=True, protected_namespaces=())

    url: str = Field(default="", description="Address of an OpenAI-compatible API, with its `/v1`. Unset: no model takes part.")
    name: str = Field(default="", description="The model's name, as its provider calls it. Unset: no model takes part.")
    key: SecretStr | None = Field(default=None, description="Key of the model's API; unset for a server of your own that asks for none.")
    sharing: Literal["names", "opaque"] = Field(
        default="names", description="What a model sees of events and properties: their `names`, or `opaque` ids instead."
    )
    price_in: float = Field(default=0, ge=0, description="Price of a million tokens sent, in any currency. 0: costs nothing.")
    price_out: float = Field(default=0, ge=0, description="Price of a million tokens received.")
    timeout_seconds: float = Field(default=60, gt=0, le=600, description="Seconds that one answer of the model may take.")
    context_tokens: int = Field(default=12_000, ge=2_000, description="Tokens of a conversation that one request may carry.")
    run_calls: int = Field(default=30, ge=1, description="Requests to the model in one run, at most.")
    run_tokens: int = Field(default=250_000, ge=1, description="Tokens in one run, sent and received.")
    run_money: float = Field(default=1.0, ge=0, description="Money in one run, by the prices above.")
    run_seconds: float = Field(default=600, gt=0, description="Seconds that the model may take part in one run.")
    run_queries: int = Field(default=60, ge=1, description="Questions that the model may ask of the search in one run.")
    run_failures: int = Field(default=6, ge=1, description="Failed requests or useless answers in one run, after which the search goes on alone.")
    day_calls: int = Field(default=300, ge=0, description="Requests to the model in a day (UTC), over all runs of a workspace.")
    day_tokens: int = Field(default=2_500_000, ge=0, description="Tokens in a day.")
    day_money: float = Field(default=10.0, ge=0, description="Money in a day.")

    @property
    def configured(self) -> bool:
        """Whether a model takes part."""
        return bool(self.url and self.name)


class Settings(BaseSettings):
    """One process's configuration; immutable once loaded."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    data_dir: Path = Field(default=Path("~/.beton"), description="Directory of the SQLite files and of the local key.")
    database_url: str = Field(default="", description="`sqlite:///path` or `postgresql://…`. Unset: `beton.sqlite` in the data directory.")
    secret_key: SecretStr | None = Field(
        default=None,
        description=f"Seals stored credentials: 32 random bytes in base64. {MAKE_A_KEY}. Unset: a key file in the data directory, for local use.",
    )
    old_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(), description="Former secret keys, comma separated: they still open what they sealed, and seal nothing new."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on. Loopback unless changed.")
    port: int = Field(default=8321, ge=1, le=65535, description="Port to listen on.")
    public_url: str = Field(
        default="",
        description="Where people reach Beton, such as `https://beton.example.com` or, behind a proxy, `https://example.com/beton`: its name is "
        "answered to, its path is the prefix of all addresses, and links begin with it. Unset: the address listened on.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Further names by which the server may be called, comma separated. Names of loopback always may."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, comma separated."
    )
    session_idle_hours: float = Field(default=24, gt=0, le=24 * 90, description="Hours without use after which a session ends.")
    session_days: float = Field(default=14, gt=0, le=365, description="Days after which a session ends in any case.")
    requests_per_minute: int = Field(default=600, ge=10, description="Requests that one session or key may make in a minute.")
    oidc_issuer: str = Field(default="", description="Issuer of an OpenID Connect provider by which members may sign in. Unset: passwords only.")
    oidc_client_id: str = Field(default="", description="What the provider knows Beton by.")
    oidc_client_secret: SecretStr | None = Field(default=None, description="The secret that goes with it. Unset: a public client, with PKCE alone.")
    oidc_name: str = Field(default="single sign-on", max_length=40, description="What the button on the sign-in page calls the provider.")
    allow_insecure_hosts: bool = Field(default=False, description="Permit plain-http and private-network addresses for PostHog and for webhooks.")
    inbound_body_days: int = Field(
        default=7, ge=0, le=7, description="Days for which bodies of received events stay, sealed, to be looked at; 0: until the next clean-up."
    )
    sweep_interval_minutes: int = Field(default=5, ge=1, le=1440, description="Minutes between two live sweeps.")
    posthog_share: float = Field(default=0.5, gt=0, le=1, description="Share of PostHog's limits that Beton may use; the rest is left to others.")
    memory_limit_mb: int = Field(default=2048, ge=128, description="Memory that one read may take, in MB; sets how many units are read at a time.")
    hash_buckets: int = Field(default=0, ge=0, le=4096, description="Hash buckets of units per backtest. 0: chosen from the size of the log.")
    propose_every_days: int = Field(
        default=7, ge=0, le=365, description="Days between two searches of a connection with a confirmed question; 0: never."
    )
    log_format: Literal["text", "json"] = Field(default="text", description="Lines on standard error: `text`, or `json` with one object a line.")
    metrics_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Lets other machines read `/metrics`, as a bearer token. Unset: only this machine may, and not through a proxy.",
    )
    telemetry_url: str = Field(
        default="",
        description="OpenTelemetry collector that takes traces over HTTP, such as `http://127.0.0.1:4318`; needs the extra `telemetry`. Unset: none.",
    )
    keep_answers_days: int = Field(default=30, ge=1, le=400, description="Days that attempts are kept, with the head of what receivers answered.")
    keep_ids_days: int = Field(default=90, ge=7, le=400, description="Days that ids of received events are kept, so that a repetition is known.")
    keep_audit_days: int = Field(default=400, ge=31, description="Days that entries of the audit log are kept.")
    bar: Bar = Field(default_factory=Bar, description="The bar (see the settings BETON_BAR_…).")
    model: ModelSettings = Field(default_factory=ModelSettings, description="The model (see the settings BETON_MODEL_…).")

    @field_validator("data_dir")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        scheme = value.partition("://")[0].partition("+")[0]
        if value and scheme not in {"sqlite", "postgresql", "postgres"}:
            raise ValueError("must start with sqlite:/// or postgresql://")
        return value

    @field_validator("public_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment):
            raise ValueError("must be like https://beton.example.com or https://example.com/beton")
        return value.rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            ipaddress.ip_network(one, strict=False)
        return value

    @field_validator("old_secret_keys", "allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @property
    def effective_database_url(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir / 'beton.sqlite'}"

    @property
    def base(self) -> str:
        """The path in front of all addresses: `/beton`, or nothing."""
        return urlsplit(self.public_url).path

    @property
    def address(self) -> str:
        """Where links lead: the public URL, or the address listened on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def only_here(self) -> bool:
        """Whether only this machine can reach the server: then its users may have it call this machine."""
        return not self.host_names and self.host in ("localhost", "127.0.0.1", "::1")

    @property
    def host_names(self) -> frozenset[str]:
        """The names, besides those of loopback, by which the server may be called."""
        return frozenset(filter(None, (urlsplit(self.public_url).hostname or "", *self.allowed_hosts)))

    def key_ring(self) -> dict[str, bytes]:
        """Key id → key, the sealing one first. A key's id is computed from the key, so no two places can disagree about it."""
        if self.secret_key is None:
            raise SettingsError("BETON_SECRET_KEY is not set.", code="settings.secret_key_missing", fix=MAKE_A_KEY)
        ring = (decode_key(text.get_secret_value()) for text in (self.secret_key, *self.old_secret_keys))
        return {key_id(key): key for key in ring}


def load_settings() -> Settings:
    """Read the environment; `SettingsError` names every variable that is wrong, never its value."""
    try:
        settings = Settings(bar=Bar(), model=ModelSettings())
    except ValidationError as error:
        wrong = "; ".join(f"{_variable(e['loc'], error.title)}: {e['msg']}" for e in error.errors(include_input=False))
        raise SettingsError(f"Settings are not usable: {wrong}.", fix="Correct or unset these variables.") from None
    if settings.secret_key is not None:
        settings.key_ring()
    return settings


def _variable(location: tuple[int | str, ...], model: str) -> str:
    prefix = {Bar.__name__: f"{PREFIX}BAR_", ModelSettings.__name__: f"{PREFIX}MODEL_"}.get(model, PREFIX)
    return prefix + "_".join(str(part) for part in location[:1]).upper()


def unknown_variables(names: list[str]) -> list[str]:
    """Those of the given variable names that carry the prefix but name no setting: most often a slip of the pen."""
    known = {row["variable"] for row in describe_settings()}
    return sorted(name for name in names if name.startswith(PREFIX) and name not in known)


def describe_settings() -> list[dict[str, str]]:
    """One row per setting (variable, default, meaning), for the reference page and for `.env.example`."""
    rows: list[dict[str, str]] = []
    for model, prefix in ((Settings, PREFIX), (Bar, f"{PREFIX}BAR_"), (ModelSettings, f"{PREFIX}MODEL_")):
        for name, field in model.model_fields.items():
            if name in ("bar", "model"):
                continue
            default = "" if field.default in (None, (), "") else str(field.default)
            rows.append({"variable": prefix + name.upper(), "default": default, "meaning": field.description or ""})
    return rows


def key_id(key: bytes) -> str:
    """Eight hex digits that name a key without giving it away."""
    return hashlib.sha256(b"beton key id\0" + key).hexdigest()[:8]


def decode_key(text: str) -> bytes:
    """The 32 bytes behind a base64 text; `SettingsError` when it is malformed, short, or plainly not random."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError("The secret key is not base64.", code="settings.secret_key_malformed", fix=MAKE_A_KEY) from None
    if len(key) != KEY_BYTES:
        raise SettingsError(f"The secret key has {len(key)} bytes instead of {KEY_BYTES}.", code="settings.secret_key_length", fix=MAKE_A_KEY)
    # 32 random bytes have fewer than 16 distinct values, or are all printable, less than once in 10^13 times: such a key was typed.
    if len(set(key)) < KEY_BYTES // 2 or all(32 <= byte < 127 for byte in key):
        raise SettingsError("The secret key is not random.", code="settings.secret_key_weak", fix=MAKE_A_KEY)
    return key


def load_or_create_local_key(data_dir: Path) -> SecretStr:
    """The key of a local installation, made on first use, so that a first run needs no configuration.

    Kept beside the database, it does not protect against whoever can read the directory; it does keep credentials out of copies of the
    database file. Production sets `BETON_SECRET_KEY` instead, which lives where the database does not.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / LOCAL_KEY_FILE
    if not path.exists():
        _write_key_once(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SettingsError(f"Others can read the key file {path}.", code="settings.secret_key_exposed", fix=f"Run: chmod 600 {path}")
    text = path.read_text(encoding="ascii").strip()
    decode_key(text)
    return SecretStr(text)


def _write_key_once(path: Path) -> None:
    """Two first runs at once must end with one key, and no reader may see half of it: write aside, then link, which refuses to replace."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its key is the one
    finally:
        draft.unlink()


def with_local_key(settings: Settings) -> Settings:
    """The same settings with the local key filled in when the environment gives none."""
    if settings.secret_key is not None:
        return settings
    return settings.model_copy(update={"secret_key": load_or_create_local_key(settings.data_dir)})

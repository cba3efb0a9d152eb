"""How one sandbox is set up. Defaults are PostHog Cloud's documented behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key. `scopes` as PostHog writes them (`query:read`, `*`); `projects` None means every project."""

    value: str
    scopes: tuple[str, ...] = ("*",)
    projects: tuple[int, ...] | None = None
    email: str = "sandbox@example.com"


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Limits of the query endpoint and its neighbours. Rates are requests per window; sizes are bytes; times are seconds.

    `self_hosted` swaps the Cloud throttles of /query (240 a minute, 2400 an hour) for the self-hosted one (120 an hour).
    """

    throttling: bool = True
    self_hosted: bool = False
    query_burst_per_minute: int = 240
    query_sustained_per_hour: int = 2400
    self_hosted_query_per_hour: int = 120
    values_burst_per_minute: int = 60
    values_sustained_per_hour: int = 300
    other_burst_per_minute: int = 480
    other_sustained_per_hour: int = 4800
    concurrency: int = 3
    queue_seconds: float = 30.0
    budget_enforced: bool = True
    budget_bytes_per_hour: int = 20 * GIGABYTE
    budget_hours: int = 24
    max_execution_seconds: float = 10.0
    max_bytes_to_read: int = 1000 * GIGABYTE
    default_rows: int = 100
    max_rows: int = 50_000
    max_ast_elements: int = 4_000_000
    failure_breaker: bool = True
    cache_seconds: float = 300.0
    status_seconds: float = 1200.0
    max_body_bytes: int = 20 * 1024 * 1024
    offset_allowed: bool = False


DEFAULT_KEY = ApiKey("phx_sandbox")


@dataclass(frozen=True, slots=True)
class Settings:
    """One sandbox. `group_types` are in index order. `data_directory` None means a temporary one, removed on exit.

    `fixed_now` freezes the server's idea of now() in queries; `path_prefix` puts the API below a path such as `/some/prefix`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    path_prefix: str = ""
    keys: tuple[ApiKey, ...] = (DEFAULT_KEY,)
    limits: LimitSettings = field(default_factory=LimitSettings)
    project_id: int = 1
    project_name: str = "Sandbox"
    organization_id: str = "0195f000-0000-7000-8000-000000000001"
    project_token: str = "phc_sandbox"  # noqa: S105  a public key of nothing
    timezone: str = "UTC"
    group_types: tuple[str, ...] = ()
    events: tuple[Path, ...] = ()
    data_directory: Path | None = None
    seed: int = 0
    fixed_now: datetime | None = None
    connections: int = 4

    def key(self, value: str) -> ApiKey | None:
        """The configured key with this value."""
        return next((key for key in self.keys if key.value == value), None)

"""The floors and rooms of the house, read off the imports (nothing is imported here)."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ["backtest", "agent", "beton"]
"""A package may import those before it, never those after it."""

ENGINE_MAY_USE = {"backtest", "numba", "numpy", "polars", "pydantic", "pydantic_core", "scipy", "sklearn"}
SIDE_EFFECTS = {"asyncio", "http", "io", "logging", "os", "pathlib", "random", "socket", "ssl", "subprocess", "threading", "time", "urllib"}
CLOCKS = {"now", "today", "utcnow"}
CONSOLE = {"input", "open", "print"}

ROOMS = [
    {"cli"},
    {"demo", "bench"},
    {"app"},
    {"web"},
    {"work"},
    {"posthog", "store", "routing", "event_files", "local_backtest", "partial_results", "hypothesis_files", "yaml_text"},
    {"lifecycle", "roles", "signals"},
    {"settings", "logs", "telemetry", "errors"},
]
"""Inside `beton`, top to bottom; a room may import those below it. The sandbox stands outside: a server that only the command line starts."""

SIBLINGS = ({"posthog", "store", "routing"}, {"lifecycle", "roles", "signals"}, {"settings"})
"""Rooms of one storey that do not know each other."""

ONLY_IN = {
    "httpx": {"posthog", "routing"},
    "httpx2": {"routing"},
    "sqlmodel": {"store"},
    "sqlalchemy": {"store"},
    "litestar": {"web", "app", "sandbox"},
    "jinja2": {"web"},
    "markupsafe": {"web"},
    "django_htmx": set(),
    "chdb": {"sandbox", "bench"},
    "duckdb": {"bench"},
    "pandas": {"bench"},
    "hogql_parser": {"sandbox"},
    "dbos": {"store", "work"},
    "prometheus_client": {"web"},
    "opentelemetry": {"telemetry"},
}


def sources(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> set[str]:
    """Dotted names of everything imported, also inside functions."""
    tree = ast.parse(path.read_text())
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    dotted = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    members = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "beton"
        for alias in node.names
    }
    return plain | dotted | members


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "beton").with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("path", sources(*FLOORS), ids=named)
def test_imports_point_down(path: Path) -> None:
    floor = FLOORS.index(path.relative_to(ROOT).parts[0])

    assert not {name.split(".")[0] for name in imports(path)} & set(FLOORS[floor + 1 :])


@pytest.mark.parametrize("path", sources("backtest"), ids=named)
def test_the_engine_touches_nothing_outside_its_arguments(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {name.split(".")[0] for name in imports(path)}
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]

    assert names - sys.stdlib_module_names <= ENGINE_MAY_USE
    assert not names & SIDE_EFFECTS
    assert not [f.lineno for f in calls if isinstance(f, ast.Attribute) and f.attr in CLOCKS]
    assert not [f.lineno for f in calls if isinstance(f, ast.Name) and f.id in CONSOLE]


@pytest.mark.parametrize("path", sources("beton"), ids=named)
def test_rooms_of_beton_import_only_what_lies_below(path: Path) -> None:
    room = room_of(path)
    wanted = {name.split(".")[1] for name in imports(path) if name.startswith("beton.")} - {room}
    if room in {"__init__", "sandbox"}:
        assert not wanted
        return
    storey = next(level for level, rooms in enumerate(ROOMS) if room in rooms)
    below = set().union(*ROOMS[storey + 1 :])
    beside = ROOMS[storey] - set().union(*(group for group in SIBLINGS if room in group))
    outside = {"sandbox"} if room in {"cli", "demo", "bench"} else set()

    assert wanted <= below | beside | outside


@pytest.mark.parametrize("path", sources("beton"), ids=named)
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    used = {name.split(".")[0] for name in imports(path)}

    assert not [library for library, rooms in ONLY_IN.items() if library in used and room_of(path) not in rooms]


def test_no_file_is_named_for_no_thing() -> None:
    nothing = {"utils", "helpers", "common", "base", "manager", "service", "misc"}

    assert not [named(path) for path in sources(*FLOORS, "tests") if path.stem in nothing]


def test_one_file_speaks_to_models() -> None:
    asking = [named(path) for path in sources(*FLOORS) if {"openai"} & {name.split(".")[0] for name in imports(path)}]

    assert asking == ["agent/model.py"]

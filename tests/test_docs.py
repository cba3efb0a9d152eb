"""The documentation is true: its commands run, its figures are those of the code, its links lead somewhere, and nothing is left out."""

import ast
import json
import math
import re
import shlex
from collections.abc import Callable, Generator, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from backtest import split
from backtest.baseline import MINIMUM_COMPARATORS
from backtest.labels import LabelCode
from backtest.score import MINIMUM_CONVERTERS, MINIMUM_FIRES, MINIMUM_HITS
from backtest.verdict import judge
from beton.cli import main
from beton.cli.commands import COMMANDS, GROUPS
from beton.hypothesis_files import read_hypothesis_file
from beton.lifecycle import Action, Status
from beton.posthog.slices import MOST_EVENTS
from beton.sandbox.worlds import generate
from beton.settings import describe_settings
from beton.signals import DeliveryStatus
from beton.store.columns import Row
from tests.generated_pages import DOCS, ROOT, renewed

PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
FENCE = re.compile(r"^(?P<marks>(?:<!-- [^\n]* -->\n)*)```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
CODE = re.compile(r"^[a-z][a-z_]*(\.[a-z0-9_]+)+$")
SANDBOX = "http://127.0.0.1:8322"
"""Where the pages have their sandbox; the tests have it on a port that is free."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(name: str) -> str:
    return (DOCS / name).read_text()


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_what_is_written_from_the_code_is_up_to_date(path: Path) -> None:
    assert path.read_text() == renewed(path.read_text()), "run: python -m tests.generated_pages"


# --- links -----------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    found = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_link_within_leads_somewhere(path: Path) -> None:
    for link in LINK.findall(path.read_text()):
        if "://" in link or link.startswith("mailto:"):
            continue
        place, _, anchor = unquote(link).partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_index() -> None:
    index = (DOCS / "README.md").read_text()
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(index) if "://" not in link}

    assert {page for page in DOCS.rglob("*.md") if page.parent.name not in ("toy", "decisions")} - {DOCS / "README.md"} <= linked
    assert set((DOCS / "decisions").glob("0*.md")) <= {
        (DOCS / "decisions" / link).resolve() for link in LINK.findall((DOCS / "decisions/README.md").read_text())
    }


# --- blocks of code --------------------------------------------------------------------------------------------------


def blocks(path: Path) -> Iterator[tuple[str, str, str]]:
    """Marks, language and body of each fenced block."""
    for found in FENCE.finditer(path.read_text()):
        yield found["marks"], found["language"], found["body"]


@pytest.mark.parametrize("path", [page for page in PAGES if "```" in page.read_text()], ids=named)
def test_every_block_of_code_can_be_read(path: Path) -> None:
    for _, language, body in blocks(path):
        if language == "python":
            ast.parse(body)
        if language == "json":
            json.loads(body)
        if language == "yaml":
            assert yaml.safe_load(body) is not None


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated project that the tutorial and the guides work on."""
    folder = tmp_path_factory.mktemp("world")
    generate("freemium", seed=1, scale=0.2).write(folder)
    return folder


@pytest.fixture(scope="session")
def sandbox(world: Path) -> Generator[str]:
    """The address of a local PostHog with that project."""
    pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")
    from beton.sandbox.run import running_sandbox
    from beton.sandbox.settings import LimitSettings

    with running_sandbox(world / "events.parquet", limits=LimitSettings(throttling=False, budget_enforced=False)) as running:
        yield running.url


@pytest.fixture
def ground(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory as the pages describe it."""
    (tmp_path / "docs").symlink_to(DOCS)
    (tmp_path / "shop").symlink_to(world)
    monkeypatch.setenv("BETON_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(line: str) -> str:
    """What a command prints, on both streams."""
    words = shlex.split(line)
    assert words[0] == "beton", line
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        main(words[1:])
    return said.getvalue()


def sessions(body: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, with the lines shown after it."""
    for part in re.split(r"^\$ ", body.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line.strip() not in ("", "…")]


def play(path: Path, ground: Path, told: Callable[[str], str] = lambda text: text) -> None:
    """Do what a page says, in its order: write its files, run its commands, and find in their output what it shows."""
    with chdir(ground):
        for marks, language, body in blocks(path):
            if file := re.search(r"<!-- file: (\S+) -->", marks):
                Path(file[1]).write_text(body)
            if "<!-- run -->" not in marks:
                continue
            if language == "python":
                exec(compile(body, named(path), "exec"), {"__name__": "__main__"})  # noqa: S102
                continue
            for command, shown in sessions(told(body)):
                check_shown(command, shown, run(command))


def check_shown(command: str, shown: list[str], said: str) -> None:
    """Every line shown is in the output, in that order; `…` stands for anything within a line."""
    place = 0
    for line in shown:
        pattern = ".*".join(re.escape(" ".join(part.split())) for part in line.split("…"))
        found = re.compile(pattern).search(re.sub(r"[ \t]+", " ", said), place)
        assert found, f"$ {command}\n{said}\n--- lacks, from {place} on: {line}"
        place = found.start()


def runs(path: Path) -> bool:
    return "<!-- run -->" in path.read_text()


@pytest.mark.parametrize("path", [page for page in PAGES if runs(page) and SANDBOX not in page.read_text()], ids=named)
def test_the_commands_of_a_page_do_what_it_shows(path: Path, ground: Path) -> None:
    play(path, ground)


@pytest.mark.parametrize("path", [page for page in PAGES if runs(page) and SANDBOX in page.read_text()], ids=named)
def test_the_commands_of_a_page_with_a_posthog_do_what_it_shows(path: Path, ground: Path, sandbox: str) -> None:
    play(path, ground, lambda text: text.replace(SANDBOX, sandbox))


@pytest.mark.parametrize("path", sorted((DOCS / "reference/toy").glob("*.yaml")), ids=named)
def test_the_toy_hypotheses_can_be_read(path: Path) -> None:
    assert read_hypothesis_file(path.read_bytes(), name=path.name).hypotheses


def test_the_tutorial_tells_the_story_as_the_demo_does() -> None:
    page, story = text_of("tutorial.md"), (ROOT / "beton/demo/story.py").read_text()
    titles = re.findall(r'teller\.step\(f?"([^"]+)"\)', story)

    assert len(titles) == 5
    for title in titles:
        known = [re.escape(part.lower()) for part in re.split(r"{[^}]*}", title)]
        assert re.search(".*".join(known), page.lower()), title


# --- numbers ---------------------------------------------------------------------------------------------------------


def flat(told: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in told.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")
        else:
            yield before + key, value


def toy(name: str, ground: Path, *more: str) -> dict[str, Any]:
    with chdir(ground):
        said = run(f"beton backtest --events docs/reference/toy/{name}.csv --hypotheses docs/reference/toy/{name}.yaml --json {' '.join(more)}")
    (line,) = (line for line in said.splitlines() if line.startswith("{"))
    return dict(flat(json.loads(line)["backtest"]))


def same(shown: str, value: Any) -> bool:
    match value:
        case None:
            return shown == "null"
        case str() if len(value) > 3:
            return shown == "a sentence"
        case str():
            return shown == value
        case list():
            return shown == (f"{len(value)} of them" if value else "none")
        case _:
            return math.isclose(float(shown), value, abs_tol=5.1e-5)


def test_every_published_field_is_told_with_the_values_of_both_toy_logs(ground: Path) -> None:
    page = text_of("reference/numbers.md")
    table = page[page.index("<!-- fields -->") : page.index("<!-- end of fields -->")]
    shown = {field: cells for field, *cells in re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \|", table, re.MULTILINE)}
    sixteen, thirty = toy("sixteen", ground, "--as-of 2026-04-01"), toy("thirty", ground, "--as-of 2026-03-02", "--window-days 60")

    assert set(shown) == set(sixteen) == set(thirty)
    for field, (left, right) in shown.items():
        assert same(left, sixteen[field]), (field, left, sixteen[field])
        assert same(right, thirty[field]), (field, right, thirty[field])


def test_every_field_of_a_proposal_is_told(ground: Path) -> None:
    page = text_of("reference/numbers.md")
    table = page[page.index("## Proposals") : page.index("## The verdict")]
    told = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    question = "--outcome subscription_started --entry user_signed_up --as-of 2026-06-30 --most 1 --json"
    with chdir(ground):
        said = run(f"beton propose --events shop/events.parquet {question}")
    (line,) = (line for line in said.splitlines() if line.startswith("{"))
    plain = {field.split(".")[0] for field in toy("thirty", ground, "--as-of 2026-03-02", "--window-days 60")}

    assert told == set(json.loads(line)["backtest"]) - plain


def test_the_baseline_by_hand_is_the_engine_s(ground: Path) -> None:
    page, told = text_of("reference/numbers.md"), toy("thirty", ground, "--as-of 2026-03-02", "--window-days 60")

    assert told["counts.expected"] == pytest.approx(6 / 30 + 5 / 28 + 5 / 28 + 3 / 24)
    for value in (told["counts.expected"], told["baseline"], told["lift_vs_baseline"], 5 / 28):
        assert f"{value:.6f}" in page


def test_every_label_and_every_reason_of_a_verdict_is_told() -> None:
    page, source = text_of("reference/numbers.md"), Path(judge.__code__.co_filename).read_text()
    reasons = re.findall(r'Reason\("(\w+)"', source)

    assert len(reasons) >= 7
    assert [code for code in (*reasons, *LabelCode) if f"`{code}`" not in page] == []


def test_thresholds_are_those_of_the_code() -> None:
    page = text_of("reference/numbers.md")

    assert f"fewer than {MINIMUM_FIRES} fires with a complete horizon, {MINIMUM_HITS} true positives or {MINIMUM_CONVERTERS} converters" in page
    assert f"at least {MINIMUM_COMPARATORS} comparators" in page
    assert f"the first {split.DISCOVERY:.0%} of the units".replace("%", " %") in page
    assert f"{MOST_EVENTS:,} events" in text_of("how-to/read-from-posthog.md")


# --- names -----------------------------------------------------------------------------------------------------------


def everything() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def test_every_setting_is_told_and_every_one_told_exists() -> None:
    known = {row["variable"] for row in describe_settings()}
    table = set(re.findall(r"^\| `(BETON_\w+)`", text_of("reference/settings.md"), re.MULTILINE))

    assert table == known
    assert set(re.findall(r"\bBETON_[A-Z_]*[A-Z]\b", everything())) - {"BETON_BAR", "BETON_TEST_PG_BIN"} <= known


def test_every_command_is_told() -> None:
    page = text_of("reference/command-line.md")
    paths = [(name,) for name in COMMANDS if name not in ("demo", "bench")] + [(group, name) for group in GROUPS for name in GROUPS[group][1]]

    assert [path for path in paths if f"\n## beton {' '.join(path)}\n" not in page] == []


PLAIN = ("/healthz", "/readyz", "/metrics")
"""Addresses for those who run a server; the last one answers in Prometheus's text, so the description of the API leaves it out."""


def test_every_address_that_is_told_exists() -> None:
    described = json.loads(text_of("reference/openapi.json"))["paths"]
    known = {(method.upper(), re.sub(r"{\w+}", "*", path)) for path, methods in described.items() for method in methods}
    told = set(re.findall(r"\b(GET|POST) (/[\w/{}-]+)(?![\w/{}<…-])", everything())) - {("GET", "/")}
    full = {(method, re.sub(r"{\w+}", "*", path)) for method, path in told}

    assert {(method, path if path.startswith(("/api", *PLAIN)) else f"/api/v1{path}") for method, path in full} <= known | {("GET", "/metrics")}


@cache
def raised_codes() -> frozenset[str]:
    """Every code that an error is given anywhere in Beton, however it is written."""
    found: set[str] = set()
    for path in (path for path in (ROOT / "beton").rglob("*.py") if path.relative_to(ROOT / "beton").parts[0] != "sandbox"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            match node:
                case ast.keyword(arg="code", value=value):
                    found |= texts(value)
                case ast.FunctionDef(args=ast.arguments(args=args, defaults=defaults)) if any(arg.arg == "code" for arg in args):
                    found |= set().union(*map(texts, defaults)) if defaults else set()
                case ast.ClassDef(body=body):
                    own = [one.value for one in body if isinstance(one, ast.Assign | ast.AnnAssign) and "code" in ast.unparse(one).split("=")[0]]
                    found |= set().union(*(texts(value) for value in own if value)) if own else set()
                case ast.Call(func=ast.Name(id="failed" | "_refused" | "_refuse" | "Finding"), args=args):
                    found |= set().union(*map(texts, args)) if args else set()
                case ast.AnnAssign(target=ast.Name(id="FAILURES"), value=ast.Dict(keys=keys)):
                    found |= set().union(*(texts(key) for key in keys if key))
    return frozenset(code for code in found if CODE.match(code) or code in ("not_found", "conflict", "unauthorized", "forbidden"))


def texts(value: ast.expr) -> set[str]:
    return {node.value for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_code_that_is_raised_is_told_and_every_one_told_is_raised() -> None:
    page = text_of("reference/errors.md")
    told = set(re.findall(r"^\| `([\w.]+)`", page, re.MULTILINE))
    raised = raised_codes()

    assert {"posthog.scope_missing", "route.url_insecure", "store.seal_broken", "queue.late"} <= raised
    assert raised - told == {"queue.late"}
    assert "`queue.late`" in page
    assert told <= raised


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_codes_and_words_of_tables_exist_where_pages_mention_them(path: Path) -> None:
    families = {code.split(".")[0] for code in raised_codes()} - {"queue"}
    mentioned = {code for code in re.findall(r"`([a-z_]+\.[a-z_]+)`", path.read_text()) if code.split(".")[0] in families}

    assert {code for code in mentioned if not code.endswith((".py", ".sqlite", ".md", ".json", ".csv", ".yaml"))} - raised_codes() - {
        "route.test"
    } == set()


def test_every_status_and_action_is_told() -> None:
    page = text_of("reference/lifecycle.md")

    assert [word for word in (*Status, *Action) if f"`{word}`" not in page and f"| {word} |" not in page] == []


def test_every_status_of_a_delivery_is_told() -> None:
    assert [word for word in DeliveryStatus if f"`{word}`" not in text_of("how-to/receive-signals.md")] == []


# --- data ------------------------------------------------------------------------------------------------------------


def test_every_table_of_the_store_is_accounted_for() -> None:
    page = text_of("reference/data.md")

    assert [name for name in Row.metadata.tables if f"`{name}`" not in page] == []


def test_the_tests_that_pages_refer_to_exist() -> None:
    known = {name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text())}
    files = {path.name for path in (ROOT / "tests").rglob("test_*.py")}

    assert set(re.findall(r"`(test_\w+)`", everything())) - known == set()
    assert {name.split("/")[-1] for name in re.findall(r"`([\w/]*test_\w+\.py)`", everything())} <= files


def test_no_page_names_this_machine_or_where_packages_come_from() -> None:
    machine = re.compile(r"(?<![\w.])/(?:work|tmp|home|root|Users|private|opt|mnt)/\w")
    hosts = re.compile("p[y]pi|python[h]osted|npm[j]s|crates[.]i[o]|unp[k]g|jsd[e]livr", re.IGNORECASE)
    references = re.compile(r"\b(?:design|posthog_api|conventions|capabilities|performance|reliability|dependencies|semantics)\.md\b")

    assert [named(page) for page in PAGES if any(one.search(page.read_text()) for one in (machine, hosts, references))] == []

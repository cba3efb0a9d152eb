"""The parts of the documentation that are written from the code: `python -m tests.generated_pages` writes them anew, `test_docs` compares.

A page holds its own words; between `<!-- generated: NAME -->` and `<!-- end -->` stands what `PARTS[NAME]` gives.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from beton.errors import BetonError, PostHogError
from beton.lifecycle import transitions_table
from beton.posthog.codes import FAILURES
from beton.roles import roles_table
from beton.settings import describe_settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
POLICY = {"never": "no", "later": "yes, after a wait", "shrink": "yes, for less"}


@dataclass(frozen=True)
class Raised:
    """One way to fail, as the code words it; what is filled in at run time is `…`."""

    code: str
    kind: type[BetonError]
    status: int
    sentence: str
    fix: str


def error_classes() -> list[type[BetonError]]:
    """The tree, parents first, with what single rooms add to it."""
    for path in (ROOT / "beton").glob("*/*.py"):
        if path.parent.name in ("store", "posthog", "routing"):
            importlib.import_module(f"beton.{path.parent.name}.{path.stem}")
    importlib.import_module("beton.bench.measured")
    found: list[type[BetonError]] = [BetonError]
    for one in found:
        found += one.__subclasses__()
    return found


class _Module:
    """What one source file raises with a code of its own."""

    def __init__(self, path: Path, classes: Mapping[str, type[BetonError]]) -> None:
        self.tree, self.classes = ast.parse(path.read_text()), classes
        self.texts: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and (text := self._text(node.value)) is not None:
                self.texts[node.targets[0].id] = text
        functions = [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)]
        self.helpers = {one.name: one for one in functions if "code" in [arg.arg for arg in one.args.args] and self._returned(one)}

    def _returned(self, function: ast.FunctionDef) -> type[BetonError] | None:
        return self.classes.get(function.returns.id) if isinstance(function.returns, ast.Name) else None

    def _text(self, node: ast.expr | None) -> str | None:
        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.JoinedStr(values=parts):
                return "".join(self._text(part) or "…" for part in parts)
            case ast.FormattedValue(value=ast.Name(id=name)) if name.isupper():
                return self.texts.get(name)
            case ast.Name(id=name):
                return self.texts.get(name)
        return None

    def raised(self) -> Iterator[Raised]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in self.helpers:
                    yield self._by_helper(node, self.helpers[node.func.id])
                elif node.func.id in self.classes and (found := self._direct(node, self.classes[node.func.id])):
                    yield found

    def _direct(self, call: ast.Call, kind: type[BetonError]) -> Raised | None:
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        code = self._text(named.get("code"))
        if code is None:
            return None
        status = named.get("status")
        code = code.replace("…", "<status>")
        told = self._text(call.args[0]) or "…"
        number = status.value if isinstance(status, ast.Constant) and isinstance(status.value, int) else kind.status
        return Raised(code, kind, number, told, self._text(named.get("fix")) or kind.default_fix)

    def _by_helper(self, call: ast.Call, helper: ast.FunctionDef) -> Raised:
        names = [arg.arg for arg in helper.args.args]
        defaults = dict(zip(reversed(names), reversed(helper.args.defaults), strict=False))
        given = defaults | dict(zip(names, call.args, strict=False)) | {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        kind = self._returned(helper) or BetonError
        message, fix, code = (self._text(given.get(name)) for name in ("message", "fix", "code"))
        return Raised(code or kind.code, kind, kind.status, message or "…", fix or kind.default_fix)


def every_error() -> list[Raised]:
    """By code: the classes' own, those of PostHog's list, and those that are given where something is raised."""
    classes = {one.__name__: one for one in error_classes()}
    found = [Raised(one.code, one, one.status, _first_paragraph(one), one.default_fix) for one in classes.values() if one.code not in FAILURES]
    found += [Raised(code, row.kind, row.kind.status, _opened(row.sentence), _opened(row.fix)) for code, row in FAILURES.items()]
    for path in sorted((ROOT / "beton").rglob("*.py")):
        if path.relative_to(ROOT / "beton").parts[0] != "sandbox":
            found += _Module(path, classes).raised()
    return found


def _first_paragraph(kind: type[BetonError]) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def _opened(text: str) -> str:
    return re.sub(r"\{\w+\}", "…", text)


def errors_table() -> str:
    """All codes, by what they are about."""
    by_code: dict[str, list[Raised]] = {}
    for one in every_error():
        by_code.setdefault(one.code, []).append(one)
    told = []
    for about in sorted({code.split(".")[0] for code in by_code}):
        told += [f"\n## {about}\n", *_rows({code: by_code[code] for code in sorted(by_code) if code.split(".")[0] == about})]
    return "\n".join(told).strip("\n")


def _rows(by_code: Mapping[str, list[Raised]]) -> Iterator[str]:
    posthog = any(issubclass(one.kind, PostHogError) for raised in by_code.values() for one in raised)
    yield f"| code | status | exit |{' asked again |' if posthog else ''} what happened | what to do |"
    yield "|---|---|---|" + ("---|" if posthog else "") + "---|---|"
    for code, raised in by_code.items():
        for one in sorted(set(raised), key=lambda one: (one.status, one.sentence, one.fix)):
            status = "as named" if "<" in code else one.status
            policy = f" {_asked_again(code, one.kind)} |" if posthog else ""
            yield f"| `{code}` | {status} | {one.kind.exit_code} |{policy} {_cell(one.sentence)} | {_cell(one.fix)} |"


def _asked_again(code: str, kind: type[BetonError]) -> str:
    return "no; it has waited" if code == "posthog.share_used" else POLICY[getattr(kind, "policy", "never")]


def _cell(text: str) -> str:
    text = "(The sentence says what is wrong.)" if not text.strip("….: ") else text
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ").strip()


def settings_table() -> str:
    """One row for each variable."""
    rows = [(f"`{row['variable']}`", f"`{row['default']}`" if row["default"] else "", _cell(row["meaning"])) for row in describe_settings()]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])


PARTS: dict[str, Callable[[], str]] = {"roles": roles_table, "transitions": transitions_table, "settings": settings_table, "errors": errors_table}


def renewed(page: str) -> str:
    """The page with every generated part as it should be."""
    return BLOCK.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}\n{found[3]}", page)


if __name__ == "__main__":
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text()
        if text != renewed(text):
            path.write_text(renewed(text))
            print(f"{path.relative_to(ROOT)} renewed")

"""Prints the part of `requirements.lock` that a running installation needs: neither what tests use nor the local PostHog.

    python runtime_lock.py telemetry > runtime.lock

The names that follow are extras to take along. It walks through what is installed, so everything in the lock has to be.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
CARRIES_A_FILE = {"django"}
"""Said to be needed by a package of which only a file is used: see pyproject.toml."""


def runtime_lock(extras: Sequence[str]) -> str:
    """The entries of the lock, with their hashes."""
    wanted = set(_closure(extras))
    entries = re.split(r"^(?=[A-Za-z0-9])", (HERE / "requirements.lock").read_text(), flags=re.MULTILINE)
    return "".join(entry for entry in entries if canonicalize_name(re.split(r"[=\[ ;@]", entry, maxsplit=1)[0]) in wanted)


def _closure(extras: Sequence[str]) -> Iterator[str]:
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(one) for one in (*project["dependencies"], *(each for name in extras for each in project["optional-dependencies"][name]))]
    seen: set[tuple[str, str]] = set()
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        for extra in ("", *sorted(one.extras)):
            if (name, extra) in seen or name in CARRIES_A_FILE:
                continue
            seen.add((name, extra))
            yield name
            waiting += [each for each in _requirements(name) if each.marker is None or each.marker.evaluate({"extra": extra})]


def _requirements(name: str) -> list[Requirement]:
    try:
        return [Requirement(one) for one in requires(name) or ()]
    except PackageNotFoundError:  # of another platform
        return []


if __name__ == "__main__":
    sys.stdout.write(runtime_lock(sys.argv[1:]))

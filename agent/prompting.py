"""Prompts: plain text with declared variables, known by their digests.

A prompt is a file `prompts/<name>.md`. Its first lines, between two lines of three hyphens, declare its variables
(`variables: question, bar`); below, `{{question}}` stands for one. A text that names a variable which is not declared, or declares one that it
does not name, is refused when it is loaded; so is a call that leaves one out or gives another one. Inserted text is never looked at again, so a
name that reads `{{bar}}` stays what it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGED = Path(__file__).parent.parent / "prompts"
HEAD = re.compile(r"\A---\nvariables:([^\n]*)\n---\n(.*)\Z", re.DOTALL)
VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")
NAME = re.compile(r"[a-z][a-z0-9_]*")


class PromptRefused(Exception):
    """A prompt is not what it says, or was not given what it asks for."""


@dataclass(frozen=True)
class Prompt:
    """`digest`: SHA-256 of the whole file in hexadecimal, declarations included."""

    name: str
    variables: frozenset[str]
    text: str
    digest: str

    def filled(self, **given: str) -> str:
        """The text with every variable replaced."""
        if missing := sorted(self.variables - given.keys()):
            raise PromptRefused(f"{self.name}: nothing is given for {', '.join(missing)}")
        if unused := sorted(given.keys() - self.variables):
            raise PromptRefused(f"{self.name}: it has no variable called {', '.join(unused)}")
        return VARIABLE.sub(lambda found: given[found[1].strip()], self.text).strip()


@dataclass(frozen=True)
class Prompts:
    """The prompts of one folder by name."""

    by_name: Mapping[str, Prompt]

    def __getitem__(self, name: str) -> Prompt:
        if name not in self.by_name:
            raise PromptRefused(f"there is no prompt called {name}; there are {', '.join(sorted(self.by_name)) or 'none'}")
        return self.by_name[name]

    @cached_property
    def digests(self) -> dict[str, str]:
        return {name: prompt.digest for name, prompt in sorted(self.by_name.items())}


def read_prompt(name: str, content: str) -> Prompt:
    """A prompt from the content of its file."""
    found = HEAD.match(content)
    if found is None:
        raise PromptRefused(f"{name}: a prompt begins with ---, a line of variables: and ---")
    declared = [one for raw in found[1].split(",") if (one := raw.strip())]
    if wrong := [one for one in declared if not NAME.fullmatch(one)]:
        raise PromptRefused(f"{name}: {wrong[0]!r} is no name of a variable")
    if len(set(declared)) < len(declared):
        raise PromptRefused(f"{name}: a variable is declared twice")
    used = {one.strip() for one in VARIABLE.findall(found[2])}
    if unknown := sorted(used - set(declared)):
        raise PromptRefused(f"{name}: {', '.join(unknown)} is used and not declared")
    if idle := sorted(set(declared) - used):
        raise PromptRefused(f"{name}: {', '.join(idle)} is declared and not used")
    return Prompt(name, frozenset(declared), found[2], hashlib.sha256(content.encode()).hexdigest())


def load_prompts(folder: Path = PACKAGED) -> Prompts:
    """All prompts of a folder; those that come with Beton unless another one is given."""
    files = sorted(folder.glob("*.md"))
    if not files:
        raise PromptRefused(f"there are no prompts in {folder}")
    return Prompts({one.stem: read_prompt(one.stem, one.read_text(encoding="utf-8")) for one in files})

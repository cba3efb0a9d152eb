"""The page of the command line, written from the commands themselves: `python -m beton.cli.reference`."""

from __future__ import annotations

import sys
from inspect import getdoc

from cyclopts import App, Argument

from beton.cli import app
from beton.cli.commands import COMMANDS, GROUPS

HEAD = """# The command line

Results go to standard output; with `--json` nothing but JSON does, and an error is a problem object (RFC 9457) there. Progress, warnings and
errors for people go to standard error.

| a command ends with | when |
|---|---|
| 0 | it did what was asked |
| 2 | the input or the set-up must be changed |
| 3 | the same command may succeed later |
| 1 | anything else went wrong |
| 130 | it was interrupted |

Written by `python -m beton.cli.reference`.
"""


def reference() -> str:
    """The page as Markdown. The demo and the benchmark are described where they live."""
    paths = [(name,) for name in COMMANDS if name not in ("demo", "bench")] + [(group, name) for group in GROUPS for name in GROUPS[group][1]]
    return HEAD + "".join(map(_section, paths))


def _section(path: tuple[str, ...]) -> str:
    command: App = app
    for name in path:
        command = command[name]
    said = " ".join((getdoc(command.default_command) or "").split())
    rows = [_row(argument) for argument in command.assemble_argument_collection() if argument.show]
    return f"\n## beton {' '.join(path)}\n\n{said}\n\n| | |\n|---|---|\n" + "".join(rows)


def _row(argument: Argument) -> str:
    names = ", ".join(f"`{name}`" for name in argument.names)
    return f"| {names} | {argument.parameter.help or ''} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())

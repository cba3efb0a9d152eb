"""The command line. Every command has a module-level function with its options; what it needs is imported inside it, so that `--help` is fast.

Results go to standard output, and with `--json` nothing but JSON does; progress, warnings and errors go to standard error. A command ends with
0, 2 (the input or the set-up must be changed), 3 (the same command may succeed later), 1 (everything else) or 130 (interrupted).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from beton.cli.commands import COMMANDS, GROUPS
from beton.cli.printing import tell_error
from beton.errors import BadInput, BetonError

INTERRUPTED = 130

app = App(
    name="beton",
    help="Finds the behaviour in a PostHog project that predicts who will buy, expand or leave; tests it, and routes it to sales.",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)


def _version() -> str:
    from importlib.metadata import version

    return version("beton")


app.version = _version
for _name, (_where, _help) in COMMANDS.items():
    app.command(_where, name=_name, help=_help)
for _name, (_help, _members) in GROUPS.items():
    _group = App(name=_name, help=_help)
    for _member, (_where, _said) in _members.items():
        _group.command(_where, name=_member, help=_said)
    app.command(_group)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in given
    try:
        ended = app(given, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        said = " ".join(str(error).split())
        return tell_error(BadInput(said, code="input.command_line", fix="See: " + " ".join(_command_of(given)) + " --help"), as_json=as_json)
    except BetonError as error:
        return tell_error(error, as_json=as_json)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`). The interpreter would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return ended if isinstance(ended, int) else 0


def _command_of(given: Sequence[str]) -> list[str]:
    """The command that was meant, for a hint."""
    if not given or (given[0] not in COMMANDS and given[0] not in GROUPS):
        return ["beton"]
    deeper = given[0] in GROUPS and len(given) > 1 and given[1] in GROUPS[given[0]][1]
    return ["beton", *given[: 2 if deeper else 1]]

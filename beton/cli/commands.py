"""All commands: where each lives and what it does, in the order of the loop that they serve. Nothing of them is imported before it is called."""

from __future__ import annotations

from importlib.util import find_spec

Said = tuple[str, str]

COMMANDS: dict[str, Said] = {
    "backtest": ("beton.cli.backtest:backtest", "Score hypotheses on a file of events or on a connected project."),
}

GROUPS: dict[str, tuple[str, dict[str, Said]]] = {}

COMMANDS |= {
    name: (f"beton.cli.{name}:command", said)
    for name, said in (
        ("demo", "The whole loop on a generated project, without an account."),
        ("bench", "Measure speed, memory and truthfulness on this machine."),
    )
    if find_spec(f"beton.cli.{name}") is not None
}

"""What people see: progress on standard error, and nothing of a stranger's name that a terminal would obey."""

import io
import sys

import pytest

from beton.cli.printing import plain, table
from beton.cli.progress import lines, showing


def test_control_characters_of_a_name_are_shown_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    table(("event",), [("\x1b[2J[red]sale[/red]\x07",)])
    told = capsys.readouterr().out

    assert "\x1b" not in told
    assert r"\x1b[2J[red]sale[/red]\x07" in told


def test_plain_keeps_letters_of_all_scripts_and_line_breaks() -> None:
    assert plain("Größe 値\n") == "Größe 値\n"


def test_short_work_tells_nothing_and_long_work_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = iter([0.0, 1.0, 4.9, 5.0, 6.0, 10.0])
    tell = lines(lambda: next(seconds))
    for done in range(1, 6):
        tell("Reading", done, 5)

    assert capsys.readouterr().err.splitlines() == ["Reading: 3 of 5", "Reading: 5 of 5"]


def test_a_terminal_gets_a_bar_on_standard_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with showing() as tell:
        tell("Reading", 1, 2)

    assert "Reading" in terminal.getvalue()
    assert capsys.readouterr().out == ""

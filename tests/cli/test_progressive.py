"""Numbers while the file is being read: on standard error, narrowing; and stopping when no verdict can change."""

import json
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.cli.conftest import END, HYPOTHESES, Answer, Beton


@pytest.fixture(scope="module")
def clear_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many persons, of whom those who invite pay far more often."""
    folder, dice, rows = tmp_path_factory.mktemp("clear"), Random(3), []
    for number in range(6000):
        joined, inviter = END - timedelta(days=dice.uniform(0, 70)), dice.random() < 0.3
        happened = [("signed_up", 0.0)] + [("invited", dice.uniform(0.1, 6))] * inviter
        happened += [("paid", dice.uniform(7.1, 13))] * (dice.random() < (0.6 if inviter else 0.05))
        told = [(event, joined + timedelta(days=after)) for event, after in happened]
        rows += [f"p{number},{event},{at.isoformat()}" for event, at in told if at < END]
    (folder / "events.csv").write_text("\n".join(["person_id,event,timestamp", *rows]))
    (folder / "hypotheses.yaml").write_text(HYPOTHESES.split("  - name: big")[0])
    return folder


def asked(folder: Path, *more: object) -> list[object]:
    events = next(folder.glob("events.*"))
    return ["backtest", "--events", events, "--hypotheses", folder / "hypotheses.yaml", "--as-of", END.isoformat(), *more]


def partials(told: Answer) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.err.splitlines() if line.startswith('{"partial"')]


def test_partial_lines_go_to_standard_error_and_the_final_ones_are_the_same(beton: Beton, shop: Path) -> None:
    told = beton(*asked(shop, "--progressive", "--buckets", 5, "--json"))
    parts = partials(told)

    assert told.out == beton(*asked(shop, "--json")).out
    assert [(one["buckets_done"], one["buckets"]) for one in parts] == [(done, 5) for done in range(1, 6)]
    assert [one["hypothesis_id"] for one in parts[0]["hypotheses"]] == [one["hypothesis_id"] for one in told.lines]
    last, final = parts[-1]["hypotheses"][0], told.lines[0]["backtest"]
    assert {name: last[name] for name in ("sample_size", "precision", "recall_low")} == {
        name: final[name] for name in ("sample_size", "precision", "recall_low")
    }
    assert last["closed_lift_low"] == final["closed"]["lift_low"]


def test_intervals_narrow(beton: Beton, clear_case: Path) -> None:
    parts = partials(beton(*asked(clear_case, "--progressive", "--json")))
    widths = [one["hypotheses"][0]["precision_high"] - one["hypotheses"][0]["precision_low"] for one in parts]

    assert len(widths) == 8
    assert widths[-1] < widths[3] < widths[0]


def test_a_clear_case_stops_early_says_so_and_has_the_verdict_of_the_whole(beton: Beton, clear_case: Path) -> None:
    whole = beton(*asked(clear_case, "--json")).json
    told = beton(*asked(clear_case, "--stop-early", "--buckets", 16, "--error", "0.1", "--json"))
    stopped = told.json["backtest"]["stopped_early"]

    assert told.json["verdict"] == whole["verdict"] == {"verdict": "clears", "reasons": []}
    assert stopped["buckets_done"] < stopped["buckets"] == 16
    assert stopped["error"] == 0.1
    assert told.json["backtest"]["sample_size"] < whole["backtest"]["sample_size"]
    assert f"Stopped after {stopped['buckets_done']} of 16" in told.err
    assert "stopped_early" not in whole["backtest"]


def test_what_is_not_clear_is_read_to_the_end(beton: Beton, shop: Path) -> None:
    told = beton(*asked(shop, "--stop-early", "--progressive"))

    assert "Part 8 of 8" in told.err
    assert "invites: n" in told.err
    assert told.out == beton(*asked(shop)).out


@pytest.mark.parametrize("more", [("--connection", "shop"), ("--shared", "--events", "e.csv"), ("--events", "e.csv", "--error", "1")])
def test_where_nobody_can_look_it_is_refused(beton: Beton, shop: Path, more: tuple[str, ...]) -> None:
    told = beton("backtest", "--hypotheses", shop / "hypotheses.yaml", "--progressive", *more, "--json")

    assert (told.code, told.json["code"]) == (2, "input.refused")

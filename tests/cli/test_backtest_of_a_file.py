"""`beton backtest --events`: what it prints, what it refuses, and that nothing else reaches standard output."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from beton.hypothesis_files import read_hypotheses
from tests.cli.conftest import Beton

TOY = Path(__file__).parent.parent / "backtest" / "data" / "toy.json"
INVITED = """
hypotheses:
  - name: invites within a week
    entry: signed_up
    clauses: [{kind: did, match: invited, span: {first: 7d}}]
    outcome: {kind: event, match: paid, horizon: 14d}
  - entry: signed_up
    clauses: [{kind: did, match: invited, span: {last: 7d}}]
    outcome: {kind: event, match: paid, horizon: 14d}
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The toy log as a file of events, and two hypotheses about it."""
    rows = [{"person_id": unit, "event": event, "timestamp": at} for unit, event, at in json.loads(TOY.read_text())["rows"]]
    (tmp_path / "toy.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "h.yaml").write_text(INVITED)
    return tmp_path


def asked(folder: Path, as_of: str = "2026-04-01T00:00:00Z") -> list[str]:
    files = ["--events", str(folder / "toy.jsonl"), "--hypotheses", str(folder / "h.yaml")]
    return ["backtest", *files, "--as-of", as_of, "--window-days", "90", "--json"]


def test_each_hypothesis_is_one_json_object_in_the_order_of_the_file(beton: Beton, toy: Path) -> None:
    told = beton(*asked(toy))
    hypotheses = read_hypotheses(INVITED, name="h.yaml")

    assert told.code == 0
    assert [one["name"] for one in told.lines] == ["invites within a week", None]
    assert [one["hypothesis_id"] for one in told.lines] == [f"hyp_{one.fingerprint[:16]}" for one in hypotheses]
    assert {one["status"] for one in told.lines} == {"draft"}
    assert all(one["hypothesis"].endswith("within 14 days.") for one in told.lines)
    assert [one["backtest"]["window_days"] for one in told.lines] == [90, 90]


def test_the_numbers_are_those_that_were_counted_by_hand(beton: Beton, toy: Path) -> None:
    closed = beton(*asked(toy)).lines[0]["backtest"]["closed"]

    assert {name: closed[name] for name in ("design", "tp", "fp", "fn", "tn")} == {"design": "L", "tp": 2, "fp": 2, "fn": 1, "tn": 3}


@pytest.mark.parametrize("as_of", ["2026-04-01", "2026-04-01T00:00:00", "2026-04-01T02:00:00+02:00"])
def test_an_instant_without_a_zone_is_utc_and_a_date_its_midnight(beton: Beton, toy: Path, as_of: str) -> None:
    assert beton(*asked(toy, as_of)).out == beton(*asked(toy)).out


def test_the_number_of_buckets_changes_no_number(beton: Beton, toy: Path) -> None:
    assert beton(*asked(toy), "--buckets", 3).out == beton(*asked(toy)).out


def test_without_json_there_is_a_table(beton: Beton, toy: Path) -> None:
    told = beton(*[one for one in asked(toy) if one != "--json"])

    assert told.code == 0
    assert "invites within a week" in told.out
    assert "cannot tell" in told.out


def test_a_process_prints_json_alone(toy: Path) -> None:
    done = subprocess.run([Path(sys.executable).with_name("beton"), *asked(toy)], capture_output=True, text=True, check=False, cwd=toy)

    assert done.returncode == 0
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2


# --- what is skipped -------------------------------------------------------------------------------------------------


def test_skipped_rows_are_told_and_counted(beton: Beton, toy: Path) -> None:
    with (toy / "toy.jsonl").open("a") as file:
        file.write('\n{"person_id": "e01", "event": "invited", "timestamp": "soon"}\n{"event": "paid", "timestamp": "2026-01-07T00:00:00Z"}')
    told = beton(*asked(toy))

    assert {one["rows"]["skipped"]["no_instant"] for one in told.lines} == {1}
    assert {one["rows"]["skipped"]["no_unit"] for one in told.lines} == {1}
    assert "no instant 1" in told.err
    assert "no unit 1" in told.err


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_wrong_file_is_refused_whole_with_every_fault_before_any_event_is_read(beton: Beton, toy: Path) -> None:
    (toy / "h.yaml").write_text(INVITED.replace("kind: did,", "kind: didd,").replace("horizon", "horizn"))
    (toy / "toy.jsonl").unlink()
    told = beton(*asked(toy))

    assert told.code == 2
    assert {fault["field"] for fault in told.json["errors"]} >= {"hypotheses[0].clauses[0].kind", "hypotheses[1].clauses[0].kind"}
    assert {fault["line"] for fault in told.json["errors"]} >= {5, 8}


def test_an_unknown_event_is_told_with_its_line_and_the_nearest_one(beton: Beton, toy: Path) -> None:
    (toy / "h.yaml").write_text(INVITED.replace("match: invited", "match: invitd", 1))
    told = beton(*[one for one in asked(toy) if one != "--json"])

    assert (told.code, told.out) == (2, "")
    assert f"{toy / 'h.yaml'}:5 " in told.err
    assert "nearest: invited" in told.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--connection", "shop"), "one source"),
        (("--save",), "--save"),
        (("--column", "persn_id=who"), "unknown part"),
        (("--property", "seats=number"), "unknown type"),
        (("--cohort", "7"), "name=value"),
        (("--cohort", "7=nowhere.txt"), "nowhere.txt"),
        (("--group", "company="), "type=column"),
        (("--buckets", "0"), "--buckets"),
    ],
)
def test_options_that_make_no_sense_are_refused(beton: Beton, toy: Path, more: tuple[str, ...], said: str) -> None:
    told = beton(*asked(toy), *more)

    assert told.code == 2
    assert said in told.json["detail"]


# --- other columns ---------------------------------------------------------------------------------------------------


def test_columns_and_groups_are_found_under_the_names_given(beton: Beton, toy: Path) -> None:
    rows = [{"account": unit, "user": unit, "what": event, "at": at} for unit, event, at in json.loads(TOY.read_text())["rows"]]
    (toy / "other.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (toy / "groups.yaml").write_text(INVITED.replace("  - entry", "  - unit: {group: account}\n    entry"))
    columns = ["--column", "person_id=user", "--column", "event=what", "--column", "timestamp=at", "--group", "account"]
    files = ["--events", toy / "other.jsonl", "--hypotheses", toy / "groups.yaml"]
    told = beton("backtest", *files, *columns, "--as-of", "2026-04-01", "--window-days", 90, "--json")

    assert "--group account=" in beton("backtest", *files, *columns[:-2], "--as-of", "2026-04-01", "--json").json["fix"]
    assert told.code == 0
    assert [one["backtest"]["counts"] for one in told.lines] == [one["backtest"]["counts"] for one in beton(*asked(toy)).lines]

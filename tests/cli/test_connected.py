"""The loop through a real server: connect, read the taxonomy, test, decide, sweep, send."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import END, Beton, PostHog

AS_OF = END.isoformat()
WINDOW = ("--window-days", 45)
"""A short window has few slices, and every slice is a query."""


def test_what_connect_finds_wrong_is_told_and_nothing_is_kept(beton: Beton, posthog: PostHog, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("phx_ofSomebodyElse")
    told = beton("connect", "shop", "--host", posthog.url, "--project", 1, "--key-file", tmp_path / "key")

    assert told.code == 2
    assert "failed    project" in told.out
    assert "posthog.key_invalid" in told.err
    assert beton("taxonomy", "shop", "--json").json["code"] == "not_found"


def test_a_server_that_is_away_ends_with_3(beton: Beton, posthog: PostHog) -> None:
    assert beton("connect", "shop", "--host", "http://127.0.0.1:9", "--project", 1, "--key-file", posthog.key_file, "--json").code == 3


def test_a_key_is_never_printed(beton: Beton, posthog: PostHog) -> None:
    key = posthog.key_file.read_text().strip()
    for arguments in (("connect", "shop", "--host", posthog.url, "--project", 1, "--key", key), ("doctor",), ("doctor", "--json")):
        told = beton(*arguments)
        assert key not in told.out + told.err


def test_a_key_on_the_command_line_is_warned_about(beton: Beton) -> None:
    told = beton("connect", "shop", "--host", "https://posthog.invalid", "--project", 1, "--key", "phc_writes_only")

    assert told.code == 2
    assert "visible to other users" in told.err


def test_a_new_key_takes_the_place_of_the_old_one_only_if_it_works(connected: Beton, posthog: PostHog, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("phx_ofSomebodyElse")

    assert connected("connect", "shop", "--new-key", "--key-file", tmp_path / "key", "--json").json["code"] == "posthog.key_invalid"
    assert connected("connect", "shop", "--new-key", "--key-file", posthog.key_file).code == 0
    assert connected("doctor", "shop").code == 0


def test_a_connection_and_a_file_of_the_same_events_give_the_same_numbers(connected: Beton, shop: Path) -> None:
    asked = ("--hypotheses", shop / "hypotheses.yaml", "--as-of", AS_OF, *WINDOW, "--json")
    there, here = connected("backtest", "--connection", "shop", *asked), connected("backtest", "--events", shop / "events.jsonl", *asked)

    assert there.code == here.code == 0
    assert [one["backtest"] for one in there.lines] == [one["backtest"] for one in here.lines]
    assert [one["hypothesis_id"] for one in there.lines] == [one["hypothesis_id"] for one in here.lines]
    assert there.lines[1]["backtest"]["fired"] > 0


def test_names_are_checked_against_the_taxonomy(connected: Beton, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "h.yaml").write_text((shop / "hypotheses.yaml").read_text().replace("match: invited", "match: invitd"))
    told = connected("backtest", "--connection", "shop", "--hypotheses", tmp_path / "h.yaml", "--as-of", AS_OF, "--json")

    assert told.code == 2
    assert [(fault["line"], fault["nearest"]) for fault in told.json["errors"]] == [(6, ["invited"])]


def test_a_search_keeps_its_finds_as_proposals(connected: Beton, shop: Path) -> None:
    asked = ("--entry", "signed_up", "--outcome", "paid", "--as-of", AS_OF, "--most", 3, *WINDOW, "--json")
    there = connected("propose", "--connection", "shop", *asked)
    here = connected("propose", "--events", shop / "events.jsonl", "--unit", "person_id", *asked)

    assert there.code == here.code == 0
    assert "invited" in there.lines[0]["hypothesis"]
    assert [one["hypothesis"] for one in there.lines] == [one["hypothesis"] for one in here.lines]
    assert {one["hypothesis_id"] for one in connected("hypotheses", "--json").lines} == {one["hypothesis_id"] for one in there.lines}


def test_from_a_backtest_over_an_approval_to_signals(connected: Beton, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETON_ALLOW_INSECURE_HOSTS", "true")
    connected("routes", "add", "crm", "http://127.0.0.1:9/")
    start = END - timedelta(days=6)
    asked = ("--hypotheses", shop / "hypotheses.yaml", "--as-of", start.isoformat(), *WINDOW, "--save", "--json")
    kept = connected("backtest", "--connection", "shop", *asked)
    good, bad = (one["hypothesis_id"] for one in kept.lines)
    assert [one["status"] for one in kept.lines] == ["proposed", "proposed"]
    assert connected("approve", good, "--json").json["status"] == "approved"
    assert connected("approve", bad, "--json").json["code"] == "conflict.below_the_bar"
    assert connected("reject", bad, "--reason", "says nothing", "--json").json["status"] == "rejected"

    played = connected("sweep", "shop", "--replay", "--from", start.isoformat(), "--until", AS_OF, "--every", "2d", "--json")
    *sweeps, summary = played.lines
    assert [one["started"] for one in sweeps] == [1, 0, 0, 0]
    assert summary["sweeps"] == 4
    assert [one["fired_at"] for sweep in sweeps for one in sweep["found"]] == [one["fired_at"] for one in summary["signals"]]
    assert {(one["unit"], one["fired_at"], one["occurrence"]) for one in summary["signals"]} == fires_after(shop, start)
    assert len(connected("signals", "--json").lines) == len(summary["signals"])

    assert len(summary["signals"]) > 5
    waiting = connected("doctor", "--json")
    assert waiting.code == 3
    assert [one["code"] for one in waiting.json["findings"] if one["ok"] is False] == ["queue.late"]

    again = connected("sweep", "shop", "--as-of", AS_OF, "--json")
    assert again.json["found"] == []
    assert connected("pause", good, "--json").json["status"] == "paused"
    assert connected("hypotheses", good, "--json").json["fired"] == len(summary["signals"])
    assert connected("hypotheses", "--status", "rejected", "--json").json["hypothesis_id"] == bad


def fires_after(shop: Path, start: datetime) -> set[tuple[str, str, int]]:
    """Who invited for the first time since, within a week of signing up and before paying, read off the file."""
    rows = [json.loads(line) for line in (shop / "events.jsonl").read_text().splitlines()]
    first = {(row["person_id"], row["event"]): datetime.fromisoformat(row["timestamp"]) for row in rows if row["event"] != "viewed"}
    found = set()
    for (who, event), at in first.items():
        if event == "invited" and at >= start and at - first[who, "signed_up"] < timedelta(days=7) and first.get((who, "paid"), END) > at:
            found.add((who, at.isoformat().replace("+00:00", "Z"), 1))
    return found


def test_routes_are_added_listed_tried_and_switched(connected: Beton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETON_ALLOW_INSECURE_HOSTS", "true")
    added = connected("routes", "add", "crm", "--url", "http://127.0.0.1:9/secret/path", "--json").json

    assert added["secret"].startswith("whsec_")
    assert connected("routes", "list", "--json").json["address"] == "http://127.0.0.1:9"
    assert connected("routes", "test", "crm", "--json").json["code"].startswith("destination.")
    assert connected("routes", "disable", "crm", "--json").json["enabled"] is False
    assert connected("deliver", "--json").json["attempts"] == 0
    assert added["notices"] is False
    assert connected("routes", "add", "ops", "--url", "http://127.0.0.1:9/ops", "--notices", "--json").json["notices"] is True


def test_a_route_of_any_kind_is_added_with_its_secrets_from_a_variable_or_a_file(
    connected: Beton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-" + "0123456789-canary")
    (tmp_path / "password").write_text("right horse\n")
    mail = ("--set", "to=ada@example.com", "--set", "sender=beton@acme.example", "--set", "host=smtp.example.com", "--set", "daily=yes")
    mail += ("--set", "username=beton", "--secret-file", f"password={tmp_path / 'password'}")

    slack = connected("routes", "add", "sales", "--kind", "slack", "--secret-env", "token=SLACK_TOKEN", "--set", "channel=C0123456789", "--json")
    mailbox = connected("routes", "add", "ada", "--kind", "email", *mail, "--json")
    listed = connected("routes", "list", "--json")

    assert (slack.json["kind"], slack.json["address"], "secret" in slack.json) == ("slack", "Slack C0123456789", False)
    assert (mailbox.json["kind"], mailbox.json["address"]) == ("email", "ada@example.com")
    assert "canary" not in listed.out + slack.out
    assert connected("routes", "reviewers", "ada", "--json").json["route"] == "ada"
    assert connected("routes", "reviewers", "--off", "--json").json["route"] is None
    wrong = connected("routes", "add", "x", "--kind", "slack", "--set", "chanel=C1", "--json")
    assert (wrong.code, "channel" in wrong.json["fix"]) == (2, True)
    assert connected("routes", "add", "y", "--kind", "fax", "--json").json["code"] == "route.kind_unknown"
    assert connected("routes", "set-up", "sales", "--json").json["code"] == "route.no_set_up"
    assert [one["kind"] for one in connected("routes", "kinds", "--json").lines][:2] == ["webhook", "slack"]


def test_keys_are_made_and_revoked(connected: Beton) -> None:
    made = connected("keys", "new", "ann", "--scope", "sales", "--scope", "decide", "--json").json
    connected("keys", "revoke", made["key_id"])

    assert made["key"].startswith("btn_")
    assert made["scopes"] == ["decide", "read", "read_routes", "read_signals", "work_signals"]
    assert [one["revoked_at"] is None for one in connected("keys", "list", "--json").lines] == [False]
    assert connected("keys", "new", "eve", "--scope", "everything", "--json").json["code"] == "input.refused"


def test_members_are_invited_by_links_and_the_log_of_it_holds(connected: Beton) -> None:
    invited = connected("members", "add", "Ada@example.com", "--role", "admin", "--json").json

    assert invited["link"].startswith("http://127.0.0.1:8321/link/")
    assert (invited["email"], invited["role"]) == ("ada@example.com", "admin")
    assert connected("members", "list", "--json").json["invited"] == "ada@example.com"
    assert connected("members", "role", "ada@example.com", "viewer", "--json").json["code"] == "not_found"
    made = connected("workspaces", "add", "Second", "--json").json
    assert [one["name"] for one in connected("workspaces", "list", "--json").lines] == ["Default", "Second"]
    assert connected("members", "list", "--workspace", made["workspace_id"], "--json").lines == []
    checked = connected("verify-audit", "--json").json
    assert checked["holds"]
    assert connected("verify-audit", "--head", checked["head"]).code == 0
    assert connected("verify-audit", "--head", f"{checked['entries']}:{'0' * 64}").code == 1
    assert connected("rotate-key", "--json").json["resealed"] == 0


# --- doctor ----------------------------------------------------------------------------------------------------------


def test_a_healthy_installation_is_told_so(connected: Beton) -> None:
    told = connected("doctor", "--json")

    assert (told.code, told.json["ok"]) == (0, True)
    about = {one["about"] for one in told.json["findings"]}
    assert {"settings", "secret key", "database", "deliveries", "jobs", "connection shop, queries", "connection shop, budget"} <= about
    assert any("Authorization: Bearer phx_…" in one["sentence"] for one in told.json["findings"])


def test_doctor_makes_nothing_where_nothing_is(beton: Beton, tmp_path: Path) -> None:
    told = beton("doctor", "--json")

    assert told.code == 2
    assert told.json["findings"][-1]["code"] == "setup.missing"
    assert not (tmp_path / "data").exists()


def test_a_lost_key_is_told_and_not_replaced(connected: Beton, tmp_path: Path) -> None:
    key = tmp_path / "data" / "secret.key"
    key.unlink()

    assert connected("doctor", "--json").json["findings"][-1]["code"] == "settings.secret_key_missing"
    assert connected("hypotheses", "--json").json["code"] == "settings.secret_key_missing"
    assert not key.exists()


def test_a_key_file_that_others_can_read_is_told(connected: Beton, tmp_path: Path) -> None:
    os.chmod(tmp_path / "data" / "secret.key", 0o644)
    told = connected("doctor")

    assert told.code == 2
    assert "chmod 600" in told.out


def test_a_population_is_part_of_what_is_tested(connected: Beton, shop: Path, tmp_path: Path) -> None:
    asked = ("--connection", "shop", "--as-of", AS_OF, *WINDOW, "--json")
    narrow = "entry: {events: [signed_up], where: [{property: seats, op: at_least, value: 3}]}"
    (tmp_path / "h.yaml").write_text((shop / "hypotheses.yaml").read_text().replace("entry: signed_up", narrow))
    told = connected("backtest", "--hypotheses", shop / "hypotheses.yaml", "--population", "seats >= 3", *asked)
    written = connected("backtest", "--hypotheses", tmp_path / "h.yaml", *asked)

    assert told.code == written.code == 0
    assert [one["hypothesis_id"] for one in told.lines] == [one["hypothesis_id"] for one in written.lines]
    assert [one["backtest"] for one in told.lines] == [one["backtest"] for one in written.lines]
    assert "seats" in told.lines[0]["hypothesis"]


def test_a_population_that_cannot_be_told_is_refused(connected: Beton, shop: Path) -> None:
    asked = ("backtest", "--hypotheses", shop / "hypotheses.yaml", "--as-of", AS_OF, *WINDOW, "--json")

    assert connected(*asked, "--connection", "shop", "--population", "seats").json["errors"][0]["field"] == "segment"
    assert connected(*asked, "--connection", "shop", "--leave-out-internal").json["code"] == "population.unknown_internal"
    assert connected(*asked, "--events", shop / "events.jsonl", "--population", "seats >= 3").code == 2

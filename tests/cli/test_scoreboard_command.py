"""`beton holdout`, `prove` and `scoreboard`: from an approval to what became of its signals."""

from datetime import timedelta
from pathlib import Path

from tests.cli.conftest import END, Beton, shop_events

START = END - timedelta(days=12)


def test_from_an_approval_to_what_became_of_its_signals(connected: Beton, shop: Path):
    asked = ("--hypotheses", shop / "hypotheses.yaml", "--as-of", START.isoformat(), "--window-days", 45, "--save", "--json")
    good = connected("backtest", "--connection", "shop", *asked).lines[0]["hypothesis_id"]
    assert connected("approve", good, "--override-reason", "a test", "--json").code == 0
    assert connected("holdout", good, "0.2", "--json").json["incremental"]["share_held_out"] == 0.2
    swept = connected("sweep", "shop", "--replay", "--from", START.isoformat(), "--until", END.isoformat(), "--every", "6d", "--json").lines[-1]
    every = {one["unit"] for one in swept["signals"]}
    assert len(every) > 5
    listed = {one["unit"] for one in connected("signals", "--json").lines}
    assert listed < every

    young = connected("prove", "--as-of", END.isoformat(), "--json").json
    assert (young["began"], young["asked"], young["alarms"]) == (len(every), len(every), [])
    (one,) = connected("scoreboard", "--json").json["hypotheses"]
    assert one["realised"]["too_early"] + one["realised"]["had_converted"] == len(every)
    assert one["realised"]["precision"] is None

    connected("prove", "--as-of", (END + timedelta(days=20)).isoformat(), "--json")
    told = connected("scoreboard", "--json").json
    (one,) = told["hypotheses"]
    paid = {row["person_id"] for row in shop_events() if row["event"] == "paid"}
    assert one["held_because"] == {"holdout": len(every - listed)}
    assert (one["realised"]["matured"], one["realised"]["converted"]) == (len(every), len(every & paid))
    assert one["promised"]["precision_low"] < one["promised"]["precision"] < one["promised"]["precision_high"]
    assert one["incremental"]["held_out"] == len(every - listed)
    assert one["incremental"]["reason"]
    shown = connected("scoreboard").out
    assert "invites" in shown


def test_too_many_are_not_held_out(connected: Beton):
    told = connected("holdout", "hyp_no", "0.5", "--json")
    assert told.code == 2

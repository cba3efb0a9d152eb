import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from beton.work.spool import Spool, SpoolFull

AT = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)


def row(number: int, size: int = 10) -> dict[str, Any]:
    return {"id": f"evt_{number}", "received_at": AT, "signal_ids": [], "payload_sealed": "x" * size}


def all_of(spool: Spool) -> list[str]:
    found = []
    while not spool.empty:
        found += [one["id"] for one in spool.first()]
        spool.done()
    return found


def test_what_was_put_in_comes_out_in_order_and_leaves_no_file(tmp_path: Path):
    spool = Spool(tmp_path / "spool")
    assert spool.empty
    spool.put([row(1), row(2)])
    spool.put([row(3)])
    assert spool.first()[0] == row(1)
    assert all_of(spool) == ["evt_1", "evt_2", "evt_3"]
    assert (spool.size, list((tmp_path / "spool").iterdir())) == (0, [])
    spool.put([row(4)])
    assert all_of(spool) == ["evt_4"]


def test_the_same_comes_again_until_it_is_said_to_be_safe(tmp_path: Path):
    spool = Spool(tmp_path)
    spool.put([row(1)])
    assert spool.first() == spool.first()
    spool.put([row(2)])
    spool.done()
    assert [one["id"] for one in spool.first()] == ["evt_2"]
    spool.close()


def test_rows_larger_than_what_is_read_at_a_time_come_out_whole(tmp_path: Path):
    spool = Spool(tmp_path)
    spool.put([row(number, 1_500_000) for number in range(4)])
    spool.put([row(9, 9_000_000), row(10)])
    assert all_of(spool) == ["evt_0", "evt_1", "evt_2", "evt_3", "evt_9", "evt_10"]


def test_what_a_dead_process_left_is_taken_over_and_a_cut_line_passed_over(tmp_path: Path):
    left = Spool(tmp_path)
    left.put([row(1), row(2)])
    (file,) = tmp_path.iterdir()
    left.close()  # the lock goes with the process
    with file.open("ab") as cut:
        cut.write(b'{"id":"evt_3","received_at":"2026-03-02T09:3')
    spool = Spool(tmp_path)
    assert spool.adopt() == 1
    assert not spool.empty
    spool.put([row(4)])
    assert all_of(spool) == ["evt_1", "evt_2", "evt_4"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_has_is_left_to_it(tmp_path: Path):
    living = Spool(tmp_path)
    living.put([row(1)])
    other = Spool(tmp_path)
    assert other.adopt() == 0
    assert other.empty
    assert all_of(living) == ["evt_1"]


def test_it_takes_no_more_than_its_bound(tmp_path: Path):
    spool = Spool(tmp_path, largest=300)
    spool.put([row(1)])
    with pytest.raises(SpoolFull):
        spool.put([row(number) for number in range(5)])
    assert all_of(spool) == ["evt_1"]
    spool.put([row(6)])
    assert all_of(spool) == ["evt_6"]


def test_a_disk_that_is_full_loses_nothing_of_what_was_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spool = Spool(tmp_path)
    spool.put([row(1)])

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", full)
        with pytest.raises(SpoolFull):
            spool.put([row(2)])
    spool.put([row(3)])
    assert all_of(spool) == ["evt_1", "evt_3"]


def test_others_cannot_read_it(tmp_path: Path):
    spool = Spool(tmp_path / "spool")
    spool.put([row(1)])
    (file,) = (tmp_path / "spool").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
    spool.close()

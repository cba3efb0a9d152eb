"""The sample project: started by itself, connected, and ended with whoever started it."""

from pathlib import Path

import pytest

from beton.demo.sample import Sample
from beton.settings import Settings
from beton.work.observing import observe
from beton.work.workplace import Workplace

pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")


def test_it_is_connected_and_answers_and_ends(store, tmp_path: Path, clock):
    import asyncio

    sample = Sample(scale=0.02)
    place = Workplace(Settings(data_dir=tmp_path), store, clock)
    try:
        made = sample(place, "ada")
        assert (made.name, made.status) == ("sample", "working")
        taxonomy, _ = asyncio.run(observe(place, made, sample_values=False))
        assert "user_signed_up" in {one.name for one in taxonomy.events}
        assert sample(place, "ada") == place.connection("sample")  # asked again, it is the same
    finally:
        sample.close()
    assert sample.running is not None
    assert sample.running.poll() is not None

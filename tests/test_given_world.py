"""What holds on every world, also on one that somebody brings: `pytest tests/test_given_world.py --world DIR --seed N`."""

from datetime import datetime
from pathlib import Path

import pytest

from backtest import Hypothesis, published
from beton.event_files import ColumnMap, open_event_file
from beton.local_backtest import backtest_file
from beton.sandbox.run import running_sandbox
from beton.sandbox.worlds import World, generate, load_world, world_names
from tests.sandbox.world_log import scores_of

STRANGERS = {"uuid", "event", "distinct_id", "person_id", "timestamp", "properties", "created_at"}


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest) -> World:
    name, seed = request.config.getoption("--world"), request.config.getoption("--seed")
    return generate(name, seed or 1, scale=0.2) if name in world_names() else load_world(Path(name), seed)


@pytest.fixture(scope="module")
def planted(world: World) -> list[Hypothesis]:
    return [Hypothesis.model_validate(one["hypothesis"]) for one in world.truth["planted"]]


def test_the_file_reader_scores_its_causes_as_plain_means_do(world: World, planted: list[Hypothesis], tmp_path: Path) -> None:
    world.write(tmp_path)
    groups = {name: name for name in world.events.columns if name not in STRANGERS}
    file = open_event_file(str(tmp_path / "events.parquet"), ColumnMap(groups=groups))
    as_of, types = datetime.fromisoformat(world.truth["as_of"]), world.truth["property_types"]
    read = backtest_file(file, planted, as_of=as_of, window_days=int(world.truth["window_days"]), types=types, buckets=3)

    assert [published(one, read.window) for one in read.scores] == [published(one, read.window) for one in scores_of(world, planted)]


def test_no_cause_is_labelled_as_a_trap(world: World, planted: list[Hypothesis]) -> None:
    scores = scores_of(world, planted)

    assert [[label.code for label in one.labels] for one in scores] == [[] for _ in planted]


def test_the_local_posthog_holds_all_of_its_events(world: World, tmp_path: Path) -> None:
    import httpx

    world.write(tmp_path)
    groups = tuple(name for name in world.events.columns if name not in STRANGERS)
    with running_sandbox(tmp_path / "events.parquet", group_types=groups) as sandbox:
        query = {"kind": "HogQLQuery", "query": "SELECT count(), uniqExact(event) FROM events"}
        headers = {"Authorization": f"Bearer {sandbox.api_key}"}
        told = httpx.post(f"{sandbox.url}/api/projects/{sandbox.project_id}/query/", json={"query": query}, headers=headers, timeout=60).json()

    assert told["results"] == [[len(world.events), world.events["event"].n_unique()]]

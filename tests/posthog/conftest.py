"""A fake PostHog on simulated time for each test."""

import pytest

from tests.posthog.fake_posthog import FakePostHog, Recorder, SimulatedTime


@pytest.fixture
def time() -> SimulatedTime:
    return SimulatedTime()


@pytest.fixture
def posthog(time: SimulatedTime) -> FakePostHog:
    return FakePostHog(time)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()

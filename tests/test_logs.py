"""What a process says: one line each, without secrets, and nothing that was sent can pass for a line of ours."""

import json
import logging
from collections.abc import Callable, Generator
from io import StringIO

import pytest

from beton.logs import FACTS, REQUEST_ID, JsonLines, Lines

FORGED = 'all well\n2026-11-20T00:00:00.000Z ERROR beton: forged\r\n\x1b[31m\u2028\u202e{"level":"ERROR"}'
LOG = logging.getLogger("tests.said")
Lines_ = Callable[[], list[str]]


@pytest.fixture(params=[Lines, JsonLines])
def said(request: pytest.FixtureRequest) -> Generator[Lines_]:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    LOG.addHandler(handler)
    LOG.propagate = False
    yield lambda: stream.getvalue().split("\n")[:-1]
    LOG.removeHandler(handler)
    LOG.propagate = True


def test_what_was_sent_stays_within_its_line(said: Lines_) -> None:
    LOG.warning("asked for %s", FORGED, extra={FACTS: {"path": FORGED}})
    (line,) = said()
    assert line.isprintable()
    assert "\\n" in line


def test_keys_are_masked_wherever_they_stand(said: Lines_) -> None:
    secret = "phx_canaryCANARYcanaryCANARY"
    try:
        raise ValueError(f"refused {secret}")
    except ValueError:
        LOG.exception("failed with %s", secret, extra={FACTS: {"address": f"https://ada:{secret}@example.com"}})
    assert secret not in "\n".join(said())


def test_a_line_names_the_request_that_it_is_about(said: Lines_) -> None:
    token = REQUEST_ID.set("req_0123456789")
    LOG.warning("late")
    REQUEST_ID.reset(token)
    LOG.warning("later")
    first, second = said()
    assert "req_0123456789" in first
    assert "req_" not in second


def test_a_line_of_json_is_one_object() -> None:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    LOG.addHandler(handler)
    LOG.warning("asked", extra={FACTS: {"status": 200, "path": FORGED}})
    LOG.removeHandler(handler)
    told = json.loads(stream.getvalue())
    assert {"at", "level", "logger", "message", "status", "path"} == set(told)
    assert (told["level"], told["status"], told["path"]) == ("WARNING", 200, FORGED)

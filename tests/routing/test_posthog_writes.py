"""PostHog is written into only with a key that may, each annotation once, and a cohort gets persons alone."""

import asyncio
import uuid
from typing import Any

import pytest

from beton.errors import BadInput, DestinationBadStatus
from beton.routing.posthog_writes import AnnotationSettings, CohortSettings, add_to_cohort, annotate
from beton.routing.webhook import Patience, open_client
from tests.routing.apis import a_message, listening
from tests.routing.fake_posthog_writes import KEY, FakePostHog
from tests.routing.fakes import Clock

QUICK = Patience(connect=0.5, status=1.0, head=0.5)
PERSON = str(uuid.UUID(int=7))


@pytest.fixture
def posthog():
    return FakePostHog()


def sent(url: str, message=None, cohort: int | None = None, **changes):
    settings = {"host": url, "project_id": 7, "key": KEY} | changes

    async def once():
        async with open_client(QUICK) as client:
            how: dict[str, Any] = {"client": client, "clock": Clock(), "patience": QUICK}
            if cohort is None:
                return await annotate(AnnotationSettings.model_validate(settings), message or a_message(), **how)
            return await add_to_cohort(CohortSettings.model_validate(settings | {"cohort_id": cohort}), message or a_message(), **how)

    return asyncio.run(once())


def test_an_annotation_is_there_once_however_often_it_is_told(posthog):
    with listening(posthog) as url:
        posthog.lose_writes = 1
        outcomes = [sent(url) for _ in range(3)]

    assert [one.kind for one in outcomes] == ["retry", "delivered", "delivered"]
    (made,) = posthog.annotations
    assert made["content"].endswith("[beton msg_0001]")
    assert made["date_marker"].startswith("2026-03-02T09:30:00.123")
    assert made["scope"] == "project"


def test_annotations_of_two_messages_are_two(posthog):
    with listening(posthog) as url:
        kinds = [sent(url, a_message(number)).kind for number in (1, 11)]

    assert kinds == ["delivered"] * 2
    assert len(posthog.annotations) == 2


def test_a_long_text_is_cut_and_keeps_its_mark(posthog):
    with listening(posthog) as url:
        assert sent(url, a_message(sentence="x" * 9000)).kind == "delivered"
        assert sent(url, a_message(2, body="y" * 9000)).kind == "delivered"

    assert all(one["content"].endswith("]") for one in posthog.annotations)


def test_a_person_is_in_the_cohort_and_an_account_is_not(posthog):
    with listening(posthog) as url:
        kinds = [sent(url, a_message(unit_kind="person", unit=PERSON), cohort=1).kind for _ in range(2)]
        account, name = sent(url, cohort=1), sent(url, a_message(unit_kind="person", unit="ada"), cohort=1)

    assert kinds == ["delivered"] * 2
    assert posthog.members == {PERSON}
    assert [(one.kind, one.failure.code) for one in (account, name)] == [("refused", "destination.not_for_this")] * 2


def test_a_test_writes_nothing_and_tells_a_cohort_that_is_not_static(posthog):
    test = a_message(kind="test")
    with listening(posthog) as url:
        outcomes = [sent(url, test), sent(url, test, cohort=1), sent(url, test, cohort=2), sent(url, test, cohort=3)]

    assert [one.kind for one in outcomes] == ["delivered", "delivered", "refused", "refused"]
    assert not posthog.writes()
    assert "not a static" in outcomes[2].failure.message


def test_a_key_without_the_scope_is_told_so_in_posthog_s_words(posthog):
    posthog.scopes = set()
    with listening(posthog) as url:
        outcomes = [sent(url), sent(url, a_message(unit_kind="person", unit=PERSON), cohort=1), sent(url, key="phx_wrongwrongwrong")]

    assert [one.kind for one in outcomes] == ["refused"] * 3
    assert all(isinstance(one.failure, DestinationBadStatus) for one in outcomes)
    assert "annotation:write" in outcomes[0].failure.message
    assert posthog.annotations == []


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "secret"},
        {"key": "phx_1\r\nX: y"},
        {"host": "http://us.posthog.com"},
        {"host": "https://us.posthog.com/api"},
        {"host": "https://10.0.0.1"},
    ],
)
def test_settings_that_cannot_work_are_refused_where_they_are_given(changes):
    with pytest.raises(BadInput):
        AnnotationSettings.model_validate({"host": "https://us.posthog.com", "project_id": 7, "key": KEY} | changes).check()

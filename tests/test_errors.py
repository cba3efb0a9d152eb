"""The tree of errors: drawn as it is, printable without secrets, complete as a problem document."""

import re
import time

import pytest

from beton import errors
from beton.errors import BadInput, BetonError, Fault, IllegalTransition, PostHogBusy, PostHogTooHeavy, excerpt, mask


def every_error() -> list[type[BetonError]]:
    found: list[type[BetonError]] = []
    waiting: list[type[BetonError]] = [BetonError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting.extend(kind.__subclasses__())
    return [kind for kind in found if kind.__module__ == "beton.errors"]


def test_the_drawn_tree_is_the_real_tree() -> None:
    drawn: dict[str, tuple[str, int]] = {}
    above: list[str] = []
    parents: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    (?P<indent>[ │├└─]*)(?P<name>[A-Z]\w+)\s+(?P<code>[a-z_]+(?:\.[a-z_]+)?)\s+(?P<status>\d{3})", line)
        if found:
            depth = len(found["indent"]) // 4
            above = [*above[:depth], found["name"]]
            parents[found["name"]] = above[depth - 1] if depth else "Exception"
            drawn[found["name"]] = (found["code"], int(found["status"]))
    assert drawn == {kind.__name__: (kind.code, kind.status) for kind in every_error()}
    assert parents == {kind.__name__: kind.__bases__[0].__name__ for kind in every_error()}


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_is_a_complete_problem(kind: type[BetonError]) -> None:
    problem = kind("It did not work.").as_problem()
    assert problem["code"] == kind.code
    assert problem["status"] == kind.status
    assert problem["detail"] == "It did not work."
    assert problem["type"] == f"urn:beton:problem:{kind.code}"
    assert problem["title"]
    assert problem["fix"].endswith(".")
    assert kind.exit_code in (1, 2, 3)


def test_codes_of_the_classes_are_unique() -> None:
    codes = [kind.code for kind in every_error()]
    assert len(codes) == len(set(codes))


def test_bad_input_lists_every_fault_with_its_line_and_nearest_choices() -> None:
    fault = Fault("clauses[1].event", "no such event", line=9, nearest=("signed_up",))
    error = BadInput("The file was refused.", [fault, Fault("name", "is empty")])
    assert str(fault) == "line 9, clauses[1].event: no such event (nearest: signed_up)"
    assert error.as_problem()["errors"] == [
        {"field": "clauses[1].event", "message": "no such event", "line": 9, "nearest": ["signed_up"]},
        {"field": "name", "message": "is empty", "line": None, "nearest": []},
    ]
    assert (error.status, error.exit_code) == (422, 2)


def test_a_code_and_a_status_can_be_narrowed_for_one_error() -> None:
    error = BadInput("Not JSON.", status=400, code="input.not_json")
    assert (error.as_problem()["status"], error.as_problem()["code"], BadInput.status) == (400, "input.not_json", 422)


def test_the_policy_is_readable_from_the_error() -> None:
    assert PostHogTooHeavy("x").shrink
    assert not PostHogTooHeavy("x").later
    assert PostHogBusy("x", retry_after=3).later
    assert issubclass(IllegalTransition, errors.Conflict)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer phx_canary0123456789",
        "phc_canary0123456789",
        "whsec_canary0123456789=",
        "https://someone:canary0123456789@example.com/",
        "https://hooks.slack.com/services/T0/B0/canary0123456789",
        "https://discord.com/api/webhooks/12/canary0123456789",
        "?personal_api_key=canary0123456789&x=1",
        '{"token": "canary0123456789"}',
        "sk-proj-canary0123456789",
        "xoxb-canary0123456789",
    ],
)
def test_nothing_shaped_like_a_secret_enters_an_error(text: str) -> None:
    error = BetonError(f"Failed with {text}", fix=f"Use {text}", details={"body": text, "list": [{"deep": text}]})
    assert "canary" not in f"{error!s} {error!r} {error.as_problem()}"


def test_a_key_without_a_known_shape_is_masked_when_it_is_named() -> None:
    assert mask("the key is abcdef123456", secrets=["abcdef123456"]) == "the key is …"


def test_a_text_is_masked_before_it_is_cut() -> None:
    text = "x" * 490 + " phx_canary0123456789"
    assert "canary" not in excerpt(text)
    assert len(excerpt("y" * 9000)) == 500


@pytest.mark.parametrize("piece", ["y", "a://", "token", "token ", "bearer ", "phx_", "a@", "ph", "xoxb-aaaaaa", "."])
def test_masking_a_long_text_takes_no_time(piece: str) -> None:
    began = time.process_time()
    mask(piece * (200_000 // len(piece)))
    assert time.process_time() - began < 1.0


def test_ordinary_sentences_are_left_alone() -> None:
    for text in ("API key missing required scope 'query:read'", "graph_node_abcdef", "The token: is fine", "https://us.posthog.com/a?b=c"):
        assert mask(text) == text

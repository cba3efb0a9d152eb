"""Templates: blanks are filled in with data and nothing else, and a text that could not be filled in is refused when it is saved."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beton.errors import BadInput
from beton.routing.messages import Message
from beton.routing.templates import REQUIRED, VARIABLES, check_template, fill

PLAIN = "{{unit}}: {{hypothesis}}"


def message(**changes: object) -> Message:
    fields = {"message_id": "msg_1", "kind": "signal", "workspace": "Default", "title": "x", "sentence": "Invites somebody.", "unit": "p1"}
    return Message.model_validate(fields | changes)


@pytest.mark.parametrize(
    "text",
    [PLAIN, "{{ unit }} {{hypothesis|}}", PLAIN + " at {{account|an unknown company}}", PLAIN + "".join(f"{{{{{one}}}}}" for one in VARIABLES)],
)
def test_a_text_with_known_blanks_is_taken(text: str) -> None:
    check_template(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN + "{{properties}}", "{{properties}} is no variable"),
        (PLAIN + "{{unit.email}}", "{{unit.email}} is no variable"),
        (PLAIN + "{{unit()}}", "is no variable"),
        (PLAIN + "{{", "not closed"),
        (PLAIN + "{{unit}", "not closed"),
        (PLAIN + "}}", "not closed"),
        ("{{unit}}", "{{hypothesis}} is missing"),
        ("{{hypothesis}}", "{{unit}} is missing"),
        ("Hello", "{{unit}} is missing"),
        (PLAIN + "\x07", "control characters"),
        ("", "is missing"),
    ],
)
def test_a_text_that_could_not_be_filled_in_is_refused_with_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_template(text)
    assert any(said in fault.message for fault in refused.value.faults)
    assert refused.value.code == "route.template_invalid"


def test_what_is_not_known_is_what_stands_behind_the_bar() -> None:
    assert fill("{{account|a company}} / {{owner}} / {{unit|x}}", message(), "text") == "a company / unknown / p1"


@pytest.mark.parametrize(
    ("medium", "expected"),
    [
        ("mrkdwn", "&lt;!channel&gt; &amp; *bold*"),
        ("html", "&lt;!channel&gt; &amp; *bold*"),
        ("text", "<!channel> & *bold*"),
        ("json", "<!channel> & *bold*"),
    ],
)
def test_data_is_escaped_for_its_medium_and_the_writer_s_own_text_is_not(medium: str, expected: str) -> None:
    assert fill("<https://x|y> {{unit}}", message(unit="<!channel> & *bold*"), medium) == f"<https://x|y> {expected}"


def test_data_is_one_line_and_never_a_blank_itself() -> None:
    assert fill("{{unit}}", message(unit="a\r\nBcc: x\x00\u202eb {{owner}}"), "text") == "a Bcc: x b {{owner}}"


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_and_no_data_can_break_it(text: str, unit: str) -> None:
    with suppress(BadInput):
        check_template(text)
        assert all(name in text for name in REQUIRED)
    filled = fill(PLAIN, message(unit=unit), "mrkdwn")
    assert "<" not in filled
    assert "\n" not in filled

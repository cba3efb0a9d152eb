"""Every setting of every kind of route can be asked for by a form, and what the form gives is what the settings take."""

import pytest

from beton.routing.channels import CHANNELS
from beton.routing.forms import form_fields, settings_from
from tests.routing.fake_slack import TOKEN

SECRETS = {"secret", "token", "signing_secret", "password", "key"}
FILLED = {
    "webhook": {"url": "https://example.com/x", "secret": "correct-horse-battery", "headers": "Authorization: Bearer x\nX-Team: sales"},
    "slack": {"token": TOKEN, "channel": "C0123456789", "send_again": "on"},
    "email": {"to": "ada@example.com", "sender": "beton@acme.example", "host": "smtp.example.com", "port": "465", "security": "tls", "daily": "on"},
    "hubspot": {"token": "pat-na1-x", "records": "contacts", "create": ""},
    "attio": {"token": "x", "records": "people"},
    "posthog_annotation": {"host": "https://us.posthog.com", "project_id": "7", "key": "phx_0123456789"},
    "posthog_cohort": {"host": "https://us.posthog.com", "project_id": "7", "key": "phx_0123456789", "cohort_id": "3"},
}


@pytest.mark.parametrize("kind", CHANNELS)
def test_every_setting_is_asked_for_in_words_and_secrets_are_hidden(kind):
    fields = {one.name: one for one in form_fields(kind)}

    assert all(one.title and one.help.endswith((".", ")")) for one in fields.values())
    assert {name for name, one in fields.items() if one.shape == "secret"} == SECRETS & set(fields)
    assert not {"allow_insecure", "allow_local", "unsubscribe_token", "unsubscribe_at"} & set(fields)


@pytest.mark.parametrize("kind", CHANNELS)
def test_a_filled_in_form_makes_settings_that_pass(kind):
    made = CHANNELS[kind].settings.model_validate(settings_from(kind, FILLED[kind], boxes=True))

    made.check()
    assert CHANNELS[kind].settings.model_validate(made.stored()) == made
    assert {one.name for one in form_fields(kind) if one.required} <= set(FILLED[kind])


def test_boxes_lines_and_empty_fields_are_read_as_forms_send_them():
    assert settings_from("webhook", FILLED["webhook"])["headers"] == [["Authorization", "Bearer x"], ["X-Team", "sales"]]
    assert settings_from("email", FILLED["email"], boxes=True) | {"send_again": False} == settings_from("email", FILLED["email"], boxes=True)
    assert "send_again" not in settings_from("email", {"to": "x", "host": " "})
    assert "host" not in settings_from("email", {"to": "x", "host": " "})
    assert settings_from("hubspot", {"create": ""}, boxes=True)["create"] is False
    assert settings_from("slack", {"nothing": "known"}) == {}

"""The page that documents the API, without a network."""

import re

from litestar.testing import TestClient

from beton.roles import Role
from beton.store.store import Store
from tests.web.access.people import member
from tests.web.test_openapi import operations


def test_every_address_is_documented_with_its_permission(stranger: TestClient, store: Store):
    text = member(stranger, store, Role.VIEWER).ask("GET", "/help/api").text
    for (method, path), one in operations().items():
        assert f"<b>{method}</b> <code>{path}</code>" in text
        assert f'id="{one["operationId"]}"' in text
    assert "manage_members" in text
    assert len(text) < 500_000
    assert not re.search(r"https?://(?!127\.0\.0\.1|www\.w3\.org)", text)
    assert not re.search(r"\sstyle=|\son\w+=", text)

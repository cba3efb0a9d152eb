"""Whatever people paste as their PostHog address."""

import pytest

from beton.errors import BadInput
from beton.posthog.hosts import normalise_host

US, EU = "https://us.posthog.com", "https://eu.posthog.com"

READ = [
    ("us", US),
    ("eu", EU),
    ("EU", EU),
    ("  us \n", US),
    ("'eu'", EU),
    ("us.posthog.com", US),
    ("US.PostHog.com", US),
    ("https://us.posthog.com", US),
    ("https://us.posthog.com/", US),
    ("https://us.posthog.com//", US),
    ("http://us.posthog.com", US),
    ("HTTPS://US.POSTHOG.COM:443", US),
    ("//eu.posthog.com/", EU),
    ("us.i.posthog.com", US),
    ("https://eu.i.posthog.com", EU),
    ("https://eu.i.posthog.com/i/v0/e/", EU),
    ("https://us-assets.i.posthog.com/static/array.js", US),
    ("app.posthog.com", US),
    ("https://app.posthog.com/login?next=/", US),
    ("https://eu.posthog.com/api", EU),
    ("https://eu.posthog.com./", EU),
    ("analytics.example.com", "https://analytics.example.com"),
    ("analytics.example.com.", "https://analytics.example.com"),
    ("https://analytics.example.com:8443/", "https://analytics.example.com:8443"),
    ("https://analytics.example.com:443/", "https://analytics.example.com"),
    ("https://analytics.example.com/posthog", "https://analytics.example.com/posthog"),
    ("https://analytics.example.com:8443/team/posthog/api/", "https://analytics.example.com:8443/team/posthog"),
    ("https://analytics.example.com/posthog/login?next=/#top", "https://analytics.example.com/posthog"),
    ("https://analytics.example.com/a/../b", "https://analytics.example.com/b"),
    ("https://bücher.example", "https://xn--bcher-kva.example"),
    ("https://BÜCHER.example/x", "https://xn--bcher-kva.example/x"),
    ("https://posthog:8000", "https://posthog:8000"),
    ("https://10.1.2.3:8000", "https://10.1.2.3:8000"),
    ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
    ("http://[::1]:8010", "http://[::1]:8010"),
    ("[::1]:8010", "http://[::1]:8010"),
    ("http://localhost:8000/api/", "http://localhost:8000"),
    ("localhost:8000", "http://localhost:8000"),
    ("127.0.0.1:8000", "http://127.0.0.1:8000"),
    ("https://us.posthog.com.example.net", "https://us.posthog.com.example.net"),
]

REFUSED = [
    "",
    "   ",
    "posthog",
    "posthog.com",
    "https://www.posthog.com",
    "https://e.posthog.com",
    "phc_abcdefghijkl",
    "ftp://analytics.example.com",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "https://user:pass@analytics.example.com",
    "https://analytics.example.com@evil.example",
    "https://analytics.example.com:99999",
    "https://analytics.example.com:abc",
    "https://analytics .example.com",
    "https://analytics.example.com\\@evil.example",
    "https://analytics.example.com/%2e%2e/x",
    "https://a..b.example",
    "https://",
    "https://256.1.1.1",
    "https://127.1",
    "https://0x7f.1",
    "https://169.254.169.254/latest/meta-data",
    "https://[fe80::1]",
    "https://[::ffff:169.254.169.254]",
    "http://0.0.0.0:8000",
    "https://" + "a" * 3000,
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_a_spelling_is_read_as_one_base_address(text: str, expected: str) -> None:
    host = normalise_host(text)
    assert host.api_url == expected
    assert host.cloud == (expected in (US, EU))
    assert normalise_host(host.api_url) == normalise_host(expected), "normalising twice changes nothing"


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_posthog_is_refused_with_a_fix(text: str) -> None:
    with pytest.raises(BadInput) as refusal:
        normalise_host(text)
    assert refusal.value.code == "posthog.host_invalid"
    assert refusal.value.fix
    assert refusal.value.faults[0].field == "host"


@pytest.mark.parametrize(
    ("text", "project"),
    [
        ("https://eu.posthog.com/project/123/insights", 123),
        ("https://us.posthog.com/api/projects/77/query/", 77),
        ("https://analytics.example.com/ph/api/environments/9", 9),
        ("https://eu.posthog.com/projects/", None),
        ("eu", None),
    ],
)
def test_a_pasted_page_names_its_project(text: str, project: int | None) -> None:
    assert normalise_host(text).project_hint == project


@pytest.mark.parametrize("text", ["http://analytics.example.com", "http://posthog:8000", "http://10.1.2.3:8000/ph", "http://localhost.example.com"])
def test_plain_http_needs_the_operators_word(text: str) -> None:
    with pytest.raises(BadInput) as refusal:
        normalise_host(text)
    assert refusal.value.code == "posthog.host_insecure"
    assert normalise_host(text, allow_insecure=True).api_url == text


def test_cloud_is_never_asked_in_the_clear_even_when_insecure_hosts_are_allowed() -> None:
    assert normalise_host("http://eu.posthog.com", allow_insecure=True).api_url == EU


def test_a_refusal_never_repeats_a_pasted_key() -> None:
    with pytest.raises(BadInput) as refusal:
        normalise_host("phx_canary0123456789")
    assert "canary" not in str(refusal.value.as_problem())


def test_api_paths_are_joined_below_the_prefix() -> None:
    host = normalise_host("https://analytics.example.com/ph/")
    assert host.url("projects/1/query/") == "https://analytics.example.com/ph/api/projects/1/query/"
    assert host.ingest_url == host.api_url
    assert normalise_host("eu").ingest_url == "https://eu.i.posthog.com"

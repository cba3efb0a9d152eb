"""No address is called that the operator did not mean to open, whatever the URL says and its name resolves to."""

import asyncio

import pytest

from beton.errors import BadInput, DestinationRefused
from beton.routing.addresses import allowed_addresses, check_headers, check_url, resolve


def resolving_to(*addresses):
    async def answer(name, port):
        if not addresses:
            raise OSError("Name or service not known")
        return list(addresses)

    return answer


def addresses_of(url, *found, allow_insecure=False):
    checked = check_url(url, allow_insecure=allow_insecure)
    return asyncio.run(allowed_addresses(checked, allow_insecure=allow_insecure, resolve=resolving_to(*found)))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hooks",
        "https://example.com:8443/hooks?token=1",
        "https://bücher.example/hooks",
        "https://93.184.216.34/",
        "https://[2606:4700::1111]/x",
        "http://localhost:8000/x",
        "http://127.0.0.1:8000/x",
        "http://[::1]:8000/x",
        "https://127.0.0.1/x",
        "http://app.localhost/x",
    ],
)
def test_these_may_be_saved(url):
    assert check_url(url)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "invalid"),
        ("example.com/hooks", "invalid"),
        ("https://", "invalid"),
        ("https:///path", "invalid"),
        ("ftp://example.com/", "invalid"),
        ("file:///etc/passwd", "invalid"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "invalid"),
        ("javascript:alert(1)", "invalid"),
        ("https://user:pass@example.com/", "invalid"),
        ("https://example.com@127.0.0.1/", "invalid"),
        ("https://example.com\\@127.0.0.1/", "invalid"),
        ("https://exa mple.com/", "invalid"),
        ("https://example.com/\r\nX-Evil: 1", "invalid"),
        ("https://example.com:99999/", "invalid"),
        ("https://example.com:0/", "invalid"),
        ("https://" + "a" * 3000, "invalid"),
        ("https://2130706433/", "invalid"),
        ("https://127.1/", "invalid"),
        ("https://0x7f000001/", "invalid"),
        ("https://0x7f.0.0.1/", "invalid"),
        ("https://0177.0.0.1/", "invalid"),
        ("http://example.com/hooks", "insecure"),
        ("http://93.184.216.34/", "insecure"),
        ("https://10.0.0.1/", "insecure"),
        ("https://192.168.1.1/", "insecure"),
        ("https://172.16.0.1/", "insecure"),
        ("https://100.64.0.1/", "insecure"),
        ("https://169.254.169.254/latest/meta-data/", "insecure"),
        ("https://0.0.0.0/", "insecure"),
        ("https://255.255.255.255/", "insecure"),
        ("https://224.0.0.1/", "insecure"),
        ("https://192.0.2.1/", "insecure"),
        ("https://198.18.0.1/", "insecure"),
        ("https://[::]/", "insecure"),
        ("https://[fe80::1]/", "insecure"),
        ("https://[fc00::1]/", "insecure"),
        ("https://[ff02::1]/", "insecure"),
        ("https://[::ffff:10.0.0.1]/", "insecure"),
        ("https://[64:ff9b::a00:1]/", "insecure"),
        ("https://[2002:a00:1::]/", "insecure"),
    ],
)
def test_these_may_not(url, code):
    with pytest.raises(BadInput) as refused:
        check_url(url)
    assert refused.value.code == f"route.url_{code}"


FORBIDDEN_4 = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"]  # noqa: S104
FORBIDDEN_6 = ["::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::", "ff02::1", "nonsense"]


@pytest.mark.parametrize("address", FORBIDDEN_4 + FORBIDDEN_6)
def test_a_public_name_may_not_lead_inside(address):
    for found in ((address,), ("93.184.216.34", address)):
        with pytest.raises(DestinationRefused) as refused:
            addresses_of("https://hooks.example.com/", *found)
        assert refused.value.code == "destination.address_forbidden"


def test_an_operator_may_open_the_private_network_but_not_the_metadata_of_the_cloud():
    assert addresses_of("http://hooks.internal/", "10.0.0.1", allow_insecure=True) == ["10.0.0.1"]
    assert addresses_of("http://10.0.0.1/", allow_insecure=True) == ["10.0.0.1"]
    with pytest.raises(DestinationRefused):
        addresses_of("http://hooks.internal/", "169.254.169.254", allow_insecure=True)
    with pytest.raises(BadInput):
        check_url("http://169.254.169.254/", allow_insecure=True)


def test_localhost_is_this_machine_and_nothing_else():
    assert addresses_of("http://localhost/", "127.0.0.1", "::1") == ["127.0.0.1", "::1"]
    with pytest.raises(DestinationRefused):
        addresses_of("http://localhost/", "10.0.0.1")


def test_an_unknown_name_is_told_apart():
    with pytest.raises(DestinationRefused) as refused:
        addresses_of("https://nowhere.example/")
    assert refused.value.code == "destination.unknown_host"


def test_the_systems_resolver_knows_this_machine():
    assert "127.0.0.1" in asyncio.run(resolve("localhost", 80))


@pytest.mark.parametrize(
    "header",
    [
        ("X-Token", "a\r\nX-Evil: 1"),
        ("X-Token", "a\nb"),
        ("X-Token", "nul\x00"),
        ("X-Token", "schön"),
        ("X-Token", "a" * 3000),
        ("X-To\r\nken", "a"),
        ("X Token", "a"),
        ("X-Token:", "a"),
        ("", "a"),
        ("Host", "example.com"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("webhook-id", "msg_1"),
        ("Webhook-Signature", "v1,"),
        ("X-Beton-Signature", "sha256="),
    ],
)
def test_headers_that_could_change_the_request_are_refused(header):
    with pytest.raises(BadInput) as refused:
        check_headers([("X-Fine", "yes"), header])
    assert refused.value.code == "route.header_invalid"
    assert [fault.field for fault in refused.value.faults] == ["headers[1]"]


def test_a_receivers_own_authorization_may_be_sent():
    own = (("Authorization", "Basic YTpi"), ("X-Env", "prod\tblue"))
    assert check_headers(own) == own

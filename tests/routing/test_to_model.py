"""A model is called at the addresses that were checked when it was chosen, whatever its name leads to by then."""

import asyncio
import json
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent.messages import Message, ModelFailure
from agent.model import OpenAIModel
from beton.errors import SettingsError
from beton.routing.to_model import Checked, open_model_client
from beton.settings import ModelSettings, Settings
from beton.work.the_model import chosen_model
from tests.routing.certificates import self_signed

SAID = {"choices": [{"message": {"content": json.dumps({"next": {"tool": "stop"}})}}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


@contextmanager
def provider(redirect: str = "", tls: ssl.SSLContext | None = None) -> Generator[tuple[int, list[str]]]:
    """A provider's port, and the `Host` of every request it got."""
    hosts: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            hosts.append(self.headers["Host"])
            body = json.dumps(SAID).encode()
            self.send_response(307 if redirect else 200)
            self.send_header("Location", redirect) if redirect else self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port, hosts
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(model: Any) -> str:
    try:
        return model.turn([Message("user", "Well?")], []).call.tool
    finally:
        model.close()


class Rebinding:
    """A name that leads to an address the first time, and to another from then on."""

    def __init__(self, *addresses: str) -> None:
        self.addresses, self.asked = list(addresses), 0

    async def __call__(self, name: str, port: int) -> list[str]:
        self.asked += 1
        return [self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]]


def settings(folder: Path, url: str, *, insecure: bool) -> Settings:
    return Settings(data_dir=folder, allow_insecure_hosts=insecure, model=ModelSettings(url=url, name="tiny", timeout_seconds=5))


def test_a_name_that_leads_elsewhere_later_gains_nothing(tmp_path: Path) -> None:
    """Where it was checked, nobody listens; where it leads from then on, somebody waits."""
    names = Rebinding("127.0.0.9", "127.0.0.1")
    with provider() as (port, hosts):
        model: Any = asyncio.run(chosen_model(settings(tmp_path, f"http://llm.example:{port}/v1", insecure=True), names))
        for _ in range(2):
            with pytest.raises(ModelFailure) as failed:
                model.turn([Message("user", "Well?")], [])
            assert failed.value.code == "refused_connection"
        model.close()
    assert (names.asked, hosts) == (1, [])


def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    for address in ("10.0.0.7", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.7"):
        with pytest.raises(SettingsError):
            asyncio.run(chosen_model(settings(tmp_path, "https://llm.example/v1", insecure=False), Rebinding(address)))


def test_the_provider_hears_its_name_and_is_reached_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with provider() as (port, hosts):
        url = f"http://llm.example:{port}/v1"
        model = asyncio.run(chosen_model(settings(tmp_path, url, insecure=True), Rebinding("127.0.0.1", "127.0.0.9")))
        assert ask(model) == "stop"
    assert hosts == [f"llm.example:{port}"]


def test_tls_speaks_of_the_name_and_refuses_another_s_certificate(tmp_path: Path) -> None:
    ours, trust = self_signed("llm.example", tmp_path)
    others, _ = self_signed("other.example", tmp_path)
    for certificate, heard in ((ours, True), (others, False)):
        with provider(tls=certificate) as (port, hosts):
            url = f"https://llm.example:{port}/v1"
            model = OpenAIModel(url, "tiny", http_client=open_model_client(url, ["127.0.0.1"], timeout=5, verify=trust))
            if heard:
                assert ask(model) == "stop"
            else:
                with pytest.raises(ModelFailure):
                    ask(model)
            assert bool(hosts) is heard


def test_no_redirect_is_followed() -> None:
    with provider() as (aside, never), provider(redirect=f"http://127.0.0.1:{aside}/v1/chat/completions") as (port, hosts):
        url = f"http://llm.example:{port}/v1"
        with pytest.raises(ModelFailure):
            ask(OpenAIModel(url, "tiny", http_client=open_model_client(url, ["127.0.0.1"], timeout=5)))
    assert (len(hosts), never) == (1, [])


def test_another_origin_is_refused_and_the_next_address_is_tried() -> None:
    with provider() as (port, hosts):
        url = f"http://llm.example:{port}/v1"
        with httpx2.Client(transport=Checked(url, ["127.0.0.9", "127.0.0.1"])) as client:
            assert client.post(url, content=b"{}").status_code == 200
            for other in (f"http://127.0.0.1:{port}/v1", f"https://llm.example:{port}/v1", "http://llm.example/v1"):
                with pytest.raises(httpx2.ConnectError):
                    client.post(other, content=b"{}")
    assert hosts == [f"llm.example:{port}"]

"""A small OpenAI-compatible server on loopback that answers what it was told to, one answer per request."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


class FakeProvider(ThreadingHTTPServer):
    """`requests` are the bodies it got, `headers` what came with them; `answers` are used up in order, the last one again and again."""

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.requests, self.headers = list(answers), [], []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


def _of(handler: BaseHTTPRequestHandler) -> FakeProvider:
    assert isinstance(handler.server, FakeProvider)
    return handler.server


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = _of(self)
        server.requests.append(body)
        server.headers.append(dict(self.headers))
        answers = server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self, body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def provider(*answers: Answer) -> Generator[FakeProvider]:
    server = FakeProvider(*answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def raw(status: int, body: bytes, **headers: str) -> Answer:
    def send(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


def refusal(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    return raw(status, json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": code}}).encode(), **headers)


def completion(message: dict[str, Any], finish: str = "stop", usage: dict[str, int] | None = None) -> Answer:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    body = {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage or {"prompt_tokens": 11, "completion_tokens": 7}}
    return raw(200, json.dumps(body).encode())


def text(content: str, finish: str = "stop") -> Answer:
    return completion({"content": content}, finish)


def calls(tool: str, arguments: str | dict[str, Any]) -> Answer:
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return completion({"content": None, "tool_calls": [{"id": "t1", "type": "function", "function": {"name": tool, "arguments": written}}]})


def says(tool: str, **arguments: Any) -> Answer:
    return text(json.dumps({"next": {"tool": tool} | arguments}))


def silent(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """Never answers while the server lives."""
    _of(handler).released.wait(10)


def dripping(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """A byte now and then, without end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    try:
        while not _of(handler).released.wait(0.02):
            handler.wfile.write(b" ")
    except OSError:
        pass


def endless(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """As much as will be read."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    try:
        while not _of(handler).released.is_set():
            handler.wfile.write(b" " * 1_000_000)
    except OSError:
        pass

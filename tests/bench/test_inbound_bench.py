import json
import socket
import threading

import pytest

from beton.bench.inbound import _report, rows
from beton.bench.inbound_load import Sender, body_of, run
from beton.bench.watcher import BUCKET, cost_of, lowest
from beton.work.mapping import DEFAULT, compiled, uuid_of


def test_the_watcher_s_arithmetic_is_posthog_s():
    assert [cost_of(ms, 202) for ms in (5, 100, 222, 223, 2550, 5000, 9900)] == [0, 0, 0, 1, 10, 20, 40]
    assert cost_of(5, 500) == 100
    assert lowest([]) == 1
    assert lowest([(0, 5000, 200)] * 100) == (BUCKET - 2000) / BUCKET
    assert lowest([(second, 5000, 200) for second in range(500)]) == pytest.approx((BUCKET - 20 - 499 * 10) / BUCKET)
    assert lowest([(0, 10, 500)] * 1000) == 0


def test_what_is_sent_is_an_event_of_posthog_s_default_body():
    before, behind = body_of()
    told = json.loads(before + b"01930000-0000-7000-8000-000000000001" + behind)
    assert uuid_of(compiled(DEFAULT), told, b"") == "01930000-0000-7000-8000-000000000001"
    assert 1000 < len(before + behind) < 4000


def test_the_sender_keeps_its_rate_and_counts_from_when_it_was_due():
    listening = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def answer(wire: socket.socket) -> None:
        waiting = b""
        with wire:
            while some := wire.recv(65536):
                waiting += some
                while b"\r\n\r\n" in waiting:
                    head, _, rest = waiting.partition(b"\r\n\r\n")
                    length = int(head.rpartition(b"Content-Length: ")[2])
                    if len(rest) < length:
                        break
                    heard.append(rest[:length])
                    waiting = rest[length:]
                    wire.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}")

    def accept() -> None:
        for _ in range(4):
            threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sender = Sender("127.0.0.1", listening.getsockname()[1], "/in/x", 4)
    run(sender, 200, 0.5, 7)
    sender.close()
    listening.close()
    assert list(sender.status) == [202] * 100
    assert sorted(sender.due) == pytest.approx([number / 200 for number in range(100)])
    assert len({json.loads(one)["event"]["uuid"] for one in heard}) == 100


def test_what_was_lost_or_failed_breaks_the_bounds():
    came = {"due": [0.0, 0.1], "ms": [5.0, 6.0], "status": [202, 202]}
    assert _report(came, 2, 20, 0.1)["holds"]
    assert not _report(came, 1, 20, 0.1)["holds"]
    assert not _report(came | {"status": [202, 503]}, 1, 20, 0.1)["holds"]
    assert not _report({name: some[:1] for name, some in came.items()}, 1, 20, 0.1)["holds"]
    assert not _report(came | {"ms": [5.0, 101.0]}, 2, 20, 0.1)["holds"]
    of_cpu = ("server_cpu_ms_per_event", "answering_cpu_ms_per_event", "server_cpu_idle_ms_per_second", "sender_cpu_ms_per_event")
    measured = dict.fromkeys((*of_cpu, "server_memory_mb"), 1)
    assert list(rows(_report(came, 2, 20, 0.1) | measured | {"looked_at_meanwhile": 0, "load_average": 1.0}))

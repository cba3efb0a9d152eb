"""Real servers on loopback that behave as badly as strangers do. Each connection is one run of a script on its socket."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator

Script = Callable[[socket.socket], None]


@contextlib.contextmanager
def serving(script: Script) -> Generator[str]:
    """The URL of a server that runs `script` for every connection, after it has read the request's head."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    threads = []

    def converse(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            script(connection)

    def accept() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                connection.settimeout(10)
                threads.append(threading.Thread(target=converse, args=(connection,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/T0KEN?key=T0KEN"
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)
        for thread in threads:
            thread.join(5)


def request_read(connection: socket.socket) -> bytes:
    """The whole request: head and as many bytes as its Content-Length says."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: int, *headers: str, body: bytes = b"", reason: str = "Whatever") -> Script:
    """A complete answer."""

    def script(connection: socket.socket) -> None:
        request_read(connection)
        head = "\r\n".join([f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", "Connection: close", *headers])
        connection.sendall(head.encode("latin-1") + b"\r\n\r\n" + body)

    return script


def raw(data: bytes, *, then_reset: bool = False) -> Script:
    """These bytes, then the end, or a reset."""

    def script(connection: socket.socket) -> None:
        request_read(connection)
        connection.sendall(data)
        if then_reset:
            time.sleep(0.05)  # so that the bytes are read before the reset discards them
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def reset_at_once(connection: socket.socket) -> None:
    """Reset as soon as the request begins, without reading the rest."""
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silence(connection: socket.socket) -> None:
    """Read the request and say nothing until the other side goes away."""
    request_read(connection)
    connection.recv(1)


def forever(head: bytes, part: bytes, pause: float = 0.0) -> Script:
    """A head, then the same part again and again until the other side goes away."""

    def script(connection: socket.socket) -> None:
        request_read(connection)
        connection.sendall(head)
        while True:
            connection.sendall(part)
            if pause:
                time.sleep(pause)

    return script

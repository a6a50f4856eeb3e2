"""The client of `bench_api.py`: sends one request again and again over one connection and reports each duration.

    python -m yearling.inference.bench_client

The first input line describes the request; each further line sends it once more. Every line is answered with one line. The
client is as small as possible, because the server is what is measured.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from urllib.parse import urlsplit


def main() -> None:
    """Read commands from standard input and write results to standard output until the input ends."""
    job = json.loads(sys.stdin.readline())
    url = urlsplit(job["url"])
    data = json.dumps(job["body"]).encode()
    key = f"Authorization: Bearer {job['api_key']}\r\n" if job["api_key"] else ""
    header = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n{key}"
    request = f"{header}Content-Length: {len(data)}\r\n\r\n".encode() + data
    with socket.create_connection((url.hostname or "", url.port or 80)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(json.dumps({"ready": True}), flush=True)
        for _ in sys.stdin:
            started = time.perf_counter()
            connection.sendall(request)
            status, body = _receive(connection)
            print(json.dumps({"seconds": time.perf_counter() - started, "status": status, "body": body}), flush=True)


def _receive(connection: socket.socket) -> tuple[int, str]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive_chunk(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    size = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
    while len(body) < size:
        body += _receive_chunk(connection)
    return int(lines[0].split()[1]), body.decode()


def _receive_chunk(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


if __name__ == "__main__":
    main()

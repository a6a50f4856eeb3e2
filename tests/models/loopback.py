"""A web server on the loopback interface that behaves as real ones do: validators, ranges, redirects, an index, a hub, faults."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from yearling.models.http_download import NetworkConfig
from yearling.models.pip_config import PackageIndexes


@dataclass
class Page:
    """What one path serves. `cuts` lists, per coming response, after how many bytes to break off; None serves it completely."""

    body: bytes
    content_type: str = "application/octet-stream"
    etag: str | None = None
    last_modified: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cuts: list[int | None] = field(default_factory=list)
    ignore_if_range: bool = False
    slice_bytes: int | None = None
    """Most bytes of a response to a range request, as some storage networks limit them."""
    pause_s: float = 0.0
    """Pause after each 64 KiB."""


class Server:
    """Pages by path, and every request so far: (method, path, headers)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []

    def serve(self, path: str, body: bytes, **options: Any) -> str:
        """Serve `body` at `path`, with a strong validator unless another is given; returns the URL."""
        options.setdefault("etag", f'"{hashlib.md5(body).hexdigest()}"')
        self.pages[path] = Page(body, **options)
        return self.url + path

    def add_wheel(self, name: str, filename: str, content: bytes, *, html: bool = False, sha256: str | None = None) -> None:
        """Serve an index page of one package, and its wheel at another path."""
        sha256 = hashlib.sha256(content).hexdigest() if sha256 is None else sha256
        self.serve(f"/files/{filename}", content)
        if html:
            href = f"../../files/{filename}" + (f"#sha256={sha256}" if sha256 else "")
            page, kind = f'<html><a href="{href}">{filename}</a></html>', "text/html"
        else:
            hashes = {"sha256": sha256} if sha256 else {}
            files = [
                {"filename": re.sub(r"-[0-9.]+-", "-0.0.1-", filename), "url": f"{self.url}/files/old.whl", "hashes": {}},
                {"filename": filename, "url": f"../../files/{filename}", "hashes": hashes},
            ]
            page, kind = json.dumps({"files": files}), "application/vnd.pypi.simple.v1+json"
        self.serve(f"/simple/{name}/", page.encode(), content_type=kind)

    def network_config(self, **options: Any) -> NetworkConfig:
        """The network configuration of a machine whose only server is this one."""
        indexes = PackageIndexes(urls=(self.url + "/simple",))
        return NetworkConfig(**{"indexes": indexes, "hf_endpoint": self.url, "pause_s": 0.01, "timeout_s": 5.0, **options})

    def gets(self, path: str) -> list[dict[str, str]]:
        """Headers of the GET requests for a path."""
        return [headers for method, range_match, headers in self.requests if method == "GET" and range_match == path]


@contextmanager
def loopback() -> Iterator[Server]:
    """Run a server until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            server.requests.append((self.command, path, {key.lower(): value for key, value in self.headers.items()}))
            page = server.pages.get(path, Page(b"nothing here", status=404))
            start = self._start(page)
            end = start + page.slice_bytes if start and page.slice_bytes else len(page.body)
            body = page.body[start:end]
            if start >= len(page.body) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(page.body)}")
                body = b""
            else:
                self.send_response(206 if start else page.status)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{len(page.body)}")
                if page.etag:
                    self.send_header("ETag", page.etag)
                if page.last_modified:
                    self.send_header("Last-Modified", page.last_modified)
            for key, value in page.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self._send(body, page)

        do_HEAD = do_GET

        def _start(self, page: Page) -> int:
            range_match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            validator = self.headers.get("If-Range")
            fits = validator is None or validator in (page.etag, page.last_modified) or page.ignore_if_range
            return int(range_match[1]) if range_match and fits and page.status == 200 else 0

        def _send(self, body: bytes, page: Page) -> None:
            cut = page.cuts.pop(0) if page.cuts else None
            body = body if cut is None else body[:cut]
            try:
                for offset in range(0, len(body), 1 << 16):
                    self.wfile.write(body[offset : offset + (1 << 16)])
                    if page.pause_s:
                        stopped.wait(page.pause_s)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            if cut is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    stopped = threading.Event()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stopped.set()
        http.shutdown()
        http.server_close()
        thread.join()

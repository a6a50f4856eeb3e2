"""Hostile documents: each gives a text or an error with advice, within its limits, without a connection or a file."""

from __future__ import annotations

import re
import resource
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retrieval.parsing.hostile_documents import DOCUMENTS, HostileDocument
from yearling.errors import BadInput
from yearling.retrieval.parsing.document_parser import ParseLimits, parse_document

pytestmark = pytest.mark.slow

LIMITS = ParseLimits(memory_bytes=1 << 30, cpu_s=20, wall_s=200)
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Canary:
    """A server that counts who connects."""

    def __init__(self) -> None:
        self.num_connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.num_connections += 1
            connection.close()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    server = Canary()
    with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2]))) as connection:
        connection.recv(1)
    assert server.num_connections == 1
    server.num_connections = 0
    yield server
    server.close()


def test_there_are_many_hostile_documents() -> None:
    assert len(DOCUMENTS) >= 40
    assert len({document.name for document in DOCUMENTS}) == len(DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_hostile_document_costs_little_and_is_answered(
    document: HostileDocument, canary: Canary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = document.make(canary.address)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if document.error:
        with pytest.raises(BadInput, match=document.error) as caught:
            parse_document(content, name=document.file_name, limits=LIMITS)
        assert caught.value.advice
    else:
        parsed = parse_document(content, name=document.file_name, limits=LIMITS)
        assert document.text in parsed.text
        assert not _INVISIBLE.search(parsed.text)
        assert "root:" not in parsed.text + parsed.title
        assert parsed.text.strip() or parsed.warnings
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= LIMITS.cpu_s + 2
    assert canary.num_connections == 0
    assert list(tmp_path.iterdir()) == []
    assert not Path("/tmp/evil.txt").exists()

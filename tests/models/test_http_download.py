"""Downloads: they resume, detect a changed file, appear complete or not at all, and fail with advice."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.models.loopback import Server
from yearling.errors import BadInput, NotFound, StorageFailed, Unavailable
from yearling.models.http_download import NetworkConfig, download

BODY = bytes(range(256)) * 2000  # 512 kB


def test_a_download_resumes_where_the_connection_broke(server: Server, tmp_path: Path) -> None:
    url = server.serve("/file", BODY, cuts=[100_000, 200_000])
    download(server.network_config(), url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert [headers.get("range") for headers in server.gets("/file")] == [None, "bytes=100000-", "bytes=300000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_later_call_resumes_an_earlier_download(server: Server, tmp_path: Path) -> None:
    url = server.serve("/file", BODY, cuts=[100_000, 0])
    with pytest.raises(Unavailable, match="cannot be reached") as raised:
        download(server.network_config(attempts=1), url, tmp_path / "file")
    assert "yearling model import PATH" in raised.value.advice
    assert (tmp_path / "file.part").stat().st_size == 100_000
    assert not (tmp_path / "file").exists()
    download(server.network_config(), url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert server.gets("/file")[-1]["range"] == "bytes=100000-"


@pytest.mark.parametrize("ignore_if_range", [False, True])
def test_a_changed_file_is_downloaded_again(server: Server, tmp_path: Path, ignore_if_range: bool) -> None:
    url = server.serve("/file", BODY, cuts=[100_000, 0])
    with pytest.raises(Unavailable):
        download(server.network_config(attempts=1), url, tmp_path / "file")
    changed = BODY[::-1]
    server.serve("/file", changed, ignore_if_range=ignore_if_range)
    download(server.network_config(), url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == changed


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_validator_nothing_is_resumed(server: Server, tmp_path: Path, etag: str | None) -> None:
    url = server.serve("/file", BODY, etag=etag, cuts=[100_000])
    download(server.network_config(), url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert [headers.get("range") for headers in server.gets("/file")] == [None, None]


def test_last_modified_serves_as_validator(server: Server, tmp_path: Path) -> None:
    url = server.serve("/file", BODY, etag=None, last_modified="Fri, 07 Feb 2025 07:03:18 GMT", cuts=[100_000])
    download(server.network_config(), url, tmp_path / "file")
    assert server.gets("/file")[1]["if-range"] == "Fri, 07 Feb 2025 07:03:18 GMT"
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_part_that_is_complete_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    url = server.serve("/file", BODY, cuts=[len(BODY) - 1, 0])
    with pytest.raises(Unavailable):
        download(server.network_config(attempts=1), url, tmp_path / "file")
    with (tmp_path / "file.part").open("ab") as part:  # as if the process had died between the last byte and the renaming
        part.write(BODY[-1:])
    before = len(server.requests)
    download(server.network_config(), url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert len(server.requests) == before + 1


def test_partial_responses_are_continued(server: Server, tmp_path: Path) -> None:
    url = server.serve("/file", BODY, cuts=[50_000], slice_bytes=60_000)
    download(server.network_config(attempts=1), url, tmp_path / "file")  # every slice brings something, so none counts as vain
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize("size", ["²", "9" * 5000], ids=["superscript", "5,000 digits"])
def test_a_size_that_is_no_number_counts_as_another_range(server: Server, tmp_path: Path, size: str) -> None:
    headers = {"Content-Range": f"bytes 0-{len(BODY) - 1}/{size}"}
    url = server.serve("/file", BODY, status=206, headers=headers)
    with pytest.raises(Unavailable, match="another range"):
        download(server.network_config(attempts=1), url, tmp_path / "file")


def test_a_part_of_another_url_is_not_resumed(server: Server, tmp_path: Path) -> None:
    first = server.serve("/first", BODY, cuts=[100_000, 0], etag='"same"')
    second = server.serve("/second", BODY[::-1], etag='"same"')
    with pytest.raises(Unavailable):
        download(server.network_config(attempts=1), first, tmp_path / "file")
    download(server.network_config(), second, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY[::-1]


def test_a_damaged_note_restarts_the_download(server: Server, tmp_path: Path) -> None:
    url = server.serve("/file", BODY)
    (tmp_path / "file.part").write_bytes(b"something else")
    (tmp_path / "file.part.json").write_text('{"url": ')
    download(server.network_config(), url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_busy_server_is_retried_a_few_times(server: Server, tmp_path: Path) -> None:
    url = server.serve("/file", b"", status=503)
    with pytest.raises(Unavailable, match="503"):
        download(server.network_config(attempts=3), url, tmp_path / "file")
    assert len(server.gets("/file")) == 3


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (410, NotFound), (401, BadInput), (403, BadInput), (400, Unavailable)]
)
def test_client_errors_raise_without_a_retry(server: Server, tmp_path: Path, status: int, kind: type[Exception]) -> None:
    url = server.serve("/file", b"no", status=status)
    with pytest.raises(kind, match=str(status)):
        download(server.network_config(), url, tmp_path / "file")
    assert len(server.gets("/file")) == 1
    assert not (tmp_path / "file").exists()


def test_an_unreachable_server_raises_with_advice(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be reached") as raised:
        download(NetworkConfig(attempts=1), "http://127.0.0.1:9/file", tmp_path / "file")
    assert "yearling model import PATH" in raised.value.advice


def test_progress_reports_bytes_on_disk(server: Server, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int | None]] = []
    url = server.serve("/file", BODY, cuts=[100_000])
    download(server.network_config(), url, tmp_path / "file", phase="Downloading x", progress=lambda *step: calls.append(step))
    assert calls[0] == ("Downloading x", 0, len(BODY))
    assert ("Downloading x", 100_000, len(BODY)) in calls
    assert calls[-1] == ("Downloading x", len(BODY), len(BODY))


def test_a_full_disk_is_detected_before_the_download(server: Server, mount: Callable[[str], Path]) -> None:
    disk = mount("size=256k")
    url = server.serve("/file", BODY)
    with pytest.raises(StorageFailed, match=r"is full: 0.5 MB are needed, 0.3 MB are free"):
        download(server.network_config(), url, disk / "file")
    assert [path.name for path in disk.iterdir()] == []


def test_a_download_resumes_after_the_disk_was_full(server: Server, mount: Callable[[str], Path]) -> None:
    disk = mount("size=768k")
    url = server.serve("/file", BODY)
    ballast = disk / "ballast"

    def fill(phase: str, done: int, total: int | None) -> None:
        if not ballast.exists():
            ballast.write_bytes(bytes(600_000))

    with pytest.raises(StorageFailed, match="is full"):
        download(server.network_config(), url, disk / "file", progress=fill)
    assert not (disk / "file").exists()
    ballast.write_bytes(b"")
    download(server.network_config(), url, disk / "file", progress=fill)
    assert (disk / "file").read_bytes() == BODY


def test_credentials_in_a_url_reach_the_server_but_no_message(server: Server, tmp_path: Path) -> None:
    server.serve("/file", BODY, status=403)
    url = server.url.replace("http://", "http://me:secret@") + "/file?key=secret"
    with pytest.raises(BadInput) as raised:
        download(server.network_config(), url, tmp_path / "file")
    assert "secret" not in str(raised.value)
    assert server.gets("/file")[0]["authorization"].startswith("Basic ")


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"])
def test_a_certificate_bundle_of_the_environment_is_used(name: str, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("no certificate")
    network = NetworkConfig.from_environment({name: str(bundle), "HOME": str(tmp_path)})
    assert network.ca_file == str(bundle)
    with pytest.raises(BadInput, match="certificate bundle"):
        network.client()


def test_a_good_certificate_bundle_is_accepted(tmp_path: Path) -> None:
    import certifi

    with NetworkConfig(ca_file=certifi.where()).client() as client:
        assert not client.is_closed
    assert ssl.create_default_context(cafile=certifi.where()).get_ca_certs()


def test_the_hub_settings_come_from_the_environment(tmp_path: Path) -> None:
    network = NetworkConfig.from_environment(
        {"HF_ENDPOINT": "https://mirror.example/", "HF_TOKEN": "secret", "HOME": str(tmp_path)}
    )
    assert (network.hf_endpoint, network.hf_token) == ("https://mirror.example", "secret")
    assert "secret" not in repr(network)


@pytest.mark.parametrize("target", ["169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "inside.example"])
def test_a_public_server_cannot_redirect_into_the_private_network(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    answers = {"outside.example": "8.8.8.8", "inside.example": "192.168.0.1"}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, **options: Any) -> list[Any]:
        return real(answers.get(host, host), port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    requested = []

    def answer(request: httpx.Request) -> httpx.Response:
        requested.append(request.url.host)
        return httpx.Response(302, headers={"location": f"http://{target}/secret"})

    with NetworkConfig(pause_s=0).client() as client:
        client._transport = httpx.MockTransport(answer)
        client._mounts = {}
        with pytest.raises(BadInput, match="not public"):
            client.get("https://outside.example/model.gguf")
    assert requested == ["outside.example"]

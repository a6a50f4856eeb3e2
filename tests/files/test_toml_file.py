"""Changes of a TOML file keep what people wrote, and who may read it."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest
import tomlkit

from yearling.errors import BadInput, StorageFailed
from yearling.files.toml_file import edit_toml


def set_model(document: tomlkit.TOMLDocument) -> None:
    document["model"] = "new"


def test_comments_and_order_stay(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('# mine\nport = 1  # why\nmodel = "old" # default\n\n[[endpoints]]\nname = "a"\nurl = "http://a/v1"\n')
    edit_toml(path, set_model)
    assert path.read_text() == (
        '# mine\nport = 1  # why\nmodel = "new" # default\n\n[[endpoints]]\nname = "a"\nurl = "http://a/v1"\n'
    )


def test_a_missing_file_is_created_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    edit_toml(path, set_model)
    assert tomllib.loads(path.read_text()) == {"model": "new"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text("port = 1\n")
    link = tmp_path / "config.toml"
    link.symlink_to("real.toml")
    edit_toml(link, set_model)
    assert link.is_symlink()
    assert tomllib.loads((tmp_path / "real.toml").read_text()) == {"port": 1, "model": "new"}


@pytest.mark.parametrize("content", [b"port = \n", b"\xff\xfe"])
def test_an_invalid_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"config\.toml cannot be read"):
        edit_toml(path, set_model)
    assert path.read_bytes() == content


def test_a_folder_that_is_a_file_gives_advice(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageFailed):
        edit_toml(tmp_path / "data" / "config.toml", set_model)

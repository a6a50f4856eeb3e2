"""Which files may be loaded under signed releases."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.release.conftest import Installation
from yearling.errors import Untrusted


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_file_that_a_release_names_is_loaded_with_its_hash_only(alone: Installation) -> None:
    path = alone.weights("tiny")
    alone.authority.may_load(path, sha256_of(path))
    path.write_text("evil")
    with pytest.raises(Untrusted, match="was changed: release 0"):
        alone.authority.may_load(path, sha256_of(path))


def test_file_of_no_release_is_unreleased_and_allowed(alone: Installation, tmp_path: Path) -> None:
    for path in (tmp_path / "other.gguf", alone.data_dir / "models" / "other" / "model.gguf"):
        alone.authority.may_load(path, "ab" * 32)


def test_link_and_dots_lead_to_the_same_file(alone: Installation, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(alone.data_dir)
    for path in (link / "models/tiny/model.gguf", alone.data_dir / "models/../models/tiny/model.gguf"):
        with pytest.raises(Untrusted):
            alone.authority.may_load(path, "ab" * 32)


def test_weights_of_a_withdrawn_release_are_refused_wherever_they_lie(alone: Installation, tmp_path: Path) -> None:
    number, path = alone.release("bad"), alone.weights("bad")
    alone.change("start_canary", number)
    alone.authority.may_load(path, sha256_of(path))
    alone.change("withdraw", number)
    copy = Path(shutil.copy(path, tmp_path / "copy.gguf"))
    for place in (path, copy):
        with pytest.raises(Untrusted, match="was withdrawn"):
            alone.authority.may_load(place, sha256_of(place))


def test_file_shared_with_another_release_stays_allowed(alone: Installation) -> None:
    path = alone.weights("tiny")
    number = alone.release("tiny")
    alone.change("start_canary", number)
    alone.change("withdraw", number)
    alone.authority.may_load(path, sha256_of(path))


def test_before_the_first_release_everything_is_allowed(installation: Installation) -> None:
    installation.authority.may_load(installation.weights("tiny"), "ab" * 32)

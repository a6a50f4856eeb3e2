"""What engines are told before they load a file and while they answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.release.conftest import Installation
from yearling.errors import Untrusted
from yearling.release import ServingChecks


def checks_of(installation: Installation) -> ServingChecks:
    return ServingChecks(installation.authority, installation.store.people.get, installation.data_dir)


def test_everything_may_be_loaded_before_the_first_release(installation: Installation) -> None:
    installation.draft("tiny")
    checks = checks_of(installation)
    checks.may_load(installation.weights("tiny"), "0" * 64)
    assert checks.is_stopped("tiny") == ""


def test_files_of_a_released_model_are_those_that_it_names(alone: Installation) -> None:
    checks, weights = checks_of(alone), alone.weights("tiny")
    release = alone.authority.state().releases[0]
    checks.may_load(weights, release.files[0].sha256)
    with pytest.raises(Untrusted, match="was changed"):
        checks.may_load(weights, "0" * 64)
    for added in ("template.jinja", "deep/tokenizer.json"):
        with pytest.raises(Untrusted, match="was added to a released model: no release names it"):
            checks.may_load(weights.parent / added, "0" * 64)
    checks.may_load(weights.parent / "model.json", "0" * 64)
    for unreleased in (
        alone.weights("tiny-2"),
        alone.data_dir / "adapters" / "x" / "adapter.gguf",
        Path("/elsewhere/model.gguf"),
    ):
        checks.may_load(unreleased, "0" * 64)


def test_linked_folder_of_models_keeps_its_names(installation: Installation, tmp_path: Path) -> None:
    """People keep large models on another disk."""
    (tmp_path / "disk").mkdir()
    (installation.data_dir / "models").symlink_to(tmp_path / "disk")
    release = installation.bootstrap().releases[0]
    assert release.files[0].path == "models/tiny/model.gguf"
    with pytest.raises(Untrusted, match="was changed"):
        checks_of(installation).may_load(installation.weights("tiny"), "0" * 64)


def test_reason_of_a_stop_says_who_stopped_what_and_why(alone: Installation) -> None:
    checks, ann = checks_of(alone), alone.store.people.add("Ann")
    alone.authority.stop("tiny", actor=ann.id, reason="wrong doses.")
    reason = checks.is_stopped("tiny")
    assert reason.startswith("Ann stopped it on ")
    assert reason.endswith(" UTC: wrong doses.")
    assert checks.is_stopped("tiny+0123456789ab") == "", "names decide"
    assert checks.is_stopped("other") == ""
    alone.authority.stop(None, actor="nobody", reason="")
    reason = checks.is_stopped("other")
    assert reason.startswith("Somebody whose account is gone stopped all models on ")
    assert reason.endswith(" UTC: no reason given.")


def test_stop_file_that_cannot_be_read_stops_everything(alone: Installation) -> None:
    checks = checks_of(alone)
    (alone.folder / "stop.json").write_text("{")
    assert checks.is_stopped("tiny").startswith("Everything is stopped: ")

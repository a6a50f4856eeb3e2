"""`yearling release pin`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from yearling.chat import get_personal_settings
from yearling.cli.releases.release import app
from yearling.config import Settings
from yearling.errors import NotFound
from yearling.store import Store


def test_person_is_kept_on_the_champion_and_let_go(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with Store.open(settings) as store:
        ann, owner = store.people.add("Ann").id, store.people.owner().id

    def pin(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["pin", *arguments, "--data-dir", str(tmp_path)], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    def pinned() -> tuple[bool, bool]:
        with Store.open(settings) as store:
            return get_personal_settings(store, owner).pin_champion, get_personal_settings(store, ann).pin_champion

    assert pin("--person", "Ann") == "Ann always gets the champion.\n"
    assert pinned() == (False, True)
    assert json.loads(pin("--json")) == {"person": "owner", "pin_champion": True}
    assert pin("--person", "Ann", "--off") == "Ann may get the challenger of a canary.\n"
    assert pinned() == (True, False)
    with pytest.raises(NotFound, match="Bob"):
        pin("--person", "Bob")

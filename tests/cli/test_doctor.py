"""`yearling doctor` tests the endpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.models.loopback import loopback
from yearling.cli.main import app

LISTING = json.dumps({"data": [{"id": "big"}, {"id": "small"}]}).encode()


def findings(topic: str) -> list[tuple[str, str, str]]:
    """(state, what, advice) of the findings of one topic."""
    report = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    return [(each["state"], each["what"], each["advice"]) for each in report["findings"] if each["topic"] == topic]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path))
    return tmp_path


def test_each_endpoint_is_tested(data_dir: Path) -> None:
    with loopback() as server:
        url = server.serve("/v1/models", LISTING).removesuffix("/models")
        (data_dir / "config.toml").write_text(
            f'model = "none"\n[[endpoints]]\nname = "good"\nurl = "{url}"\n'
            '[[endpoints]]\nname = "down"\nurl = "http://127.0.0.1:9/v1"\n'
        )
        good, down = findings("endpoint")
    assert good == ("ok", f"good ({url}): 2 models", "")
    assert (down[0], "cannot be reached" in down[1], down[2]) == ("problem", True, "Check that it is running.")
    assert ("problem", "no endpoint lists the default model none") in {finding[:2] for finding in findings("model")}


def test_the_default_model_of_an_endpoint_has_to_answer(data_dir: Path) -> None:
    with loopback() as server:
        url = server.serve("/v1/models", LISTING).removesuffix("/models")
        (data_dir / "config.toml").write_text(f'model = "big"\n[[endpoints]]\nname = "good"\nurl = "{url}"\n')
        [finding] = findings("endpoint")  # the server of this test answers no POST
    assert finding[0] == "problem"
    assert "good" in finding[1]


def test_without_endpoints_nothing_is_asked() -> None:
    assert findings("endpoint") == []

"""Precedence of the sources of settings, and error messages for invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from yearling.config import load_settings
from yearling.errors import BadInput


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YEARLING_DATA_DIR", str(tmp_path))
    return tmp_path


def test_defaults_serve_this_machine_only(data_dir: Path) -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8400)
    assert settings.data_dir == data_dir
    assert settings.models_dir == data_dir / "models"
    assert settings.resolved_database_url == f"sqlite:///{data_dir / 'yearling.db'}"


def test_option_beats_environment_beats_file(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data_dir / "config.toml").write_text('port = 1111\nmodel = "from-file"\nretention = "none"\n')
    monkeypatch.setenv("YEARLING_PORT", "2222")
    monkeypatch.setenv("YEARLING_MODEL", "from-environment")
    settings = load_settings(port=3333)
    assert (settings.port, settings.model, settings.retention) == (3333, "from-environment", "none")


def test_config_file_of_the_given_data_folder_is_read(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.toml").write_text("port = 4444\n")
    assert load_settings(data_dir=other).port == 4444


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("prot = 8400\n", "'prot'"),
        ("port = 99999\n", "'port'"),
        ('retention = "some"\n', "'retention'"),
        ("port = \n", "config.toml cannot be read"),
    ],
)
def test_invalid_config_file_gives_an_error_with_advice(data_dir: Path, content: str, message: str) -> None:
    (data_dir / "config.toml").write_text(content)
    with pytest.raises(BadInput) as raised:
        load_settings()
    assert message in raised.value.message
    assert "config.toml" in str(raised.value)


def test_secrets_are_hidden_in_repr(data_dir: Path) -> None:
    settings = load_settings(api_keys=("sk-very-secret",), remote_api_key="also-secret")
    assert "sk-very" not in repr(settings)
    assert "also-secret" not in repr(settings)

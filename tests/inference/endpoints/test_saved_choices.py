"""The default model and endpoints that people choose are saved in config.toml, and read from there at the next start."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from yearling.config import EndpointSettings, Settings, load_settings
from yearling.errors import BadInput, Conflict, NotFound
from yearling.inference import delete_endpoint, save_default_model, save_endpoint

OLLAMA = EndpointSettings(name="ollama", url="http://127.0.0.1:11434/v1")
HOSTED = EndpointSettings(name="hosted", url="https://api.example/v1", api_key=SecretStr("hush-hush"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path)


def test_the_default_model_lasts(settings: Settings) -> None:
    assert save_default_model(settings, "big")
    assert load_settings(data_dir=settings.data_dir).model == "big"


def test_an_environment_variable_overrides_the_saved_default(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YEARLING_MODEL", "from-environment")
    assert not save_default_model(settings, "big")


def test_endpoints_are_added_replaced_and_removed(settings: Settings) -> None:
    assert save_endpoint(settings, OLLAMA) == (OLLAMA,)
    assert save_endpoint(settings, HOSTED) == (OLLAMA, HOSTED)
    moved = EndpointSettings(name="ollama", url="http://127.0.0.1:1/v1")
    assert save_endpoint(settings, moved) == (moved, HOSTED)
    assert load_settings(data_dir=settings.data_dir).endpoints == (moved, HOSTED)
    assert delete_endpoint(settings, "ollama") == (HOSTED,)
    assert delete_endpoint(settings, "hosted") == ()
    with pytest.raises(NotFound, match="no endpoint 'hosted'"):
        delete_endpoint(settings, "hosted")


def test_endpoints_that_are_written_inline_stay(settings: Settings) -> None:
    settings.config_path.parent.mkdir(parents=True, exist_ok=True)
    settings.config_path.write_text('endpoints = [{name = "a", url = "http://a/v1"}]\nport = 5\n[[endpoint]]\n'[:-13])
    names = [endpoint.name for endpoint in save_endpoint(settings, OLLAMA)]
    assert names == ["a", "ollama"]
    assert load_settings(data_dir=settings.data_dir).port == 5


def test_the_endpoint_of_remote_url_comes_first_and_keeps_its_name(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, remote_url="http://old/v1")
    with pytest.raises(BadInput, match="remote_url"):
        save_endpoint(settings, EndpointSettings(name="remote", url="http://new/v1"))
    with pytest.raises(Conflict, match="remote_url"):
        delete_endpoint(settings, "remote")
    assert [(each.name, each.url) for each in settings.all_endpoints] == [("remote", "http://old/v1")]


def test_endpoints_of_the_environment_cannot_be_changed_here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YEARLING_ENDPOINTS", '[{"name": "a", "url": "http://a/v1"}]')
    with pytest.raises(Conflict, match="YEARLING_ENDPOINTS"):
        save_endpoint(settings, OLLAMA)
    with pytest.raises(Conflict, match="YEARLING_ENDPOINTS"):
        delete_endpoint(settings, "a")
    assert not settings.config_path.exists()


def test_the_number_of_endpoints_is_limited(settings: Settings) -> None:
    for number in range(20):
        save_endpoint(settings, EndpointSettings(name=f"e{number}", url="http://a/v1"))
    with pytest.raises(BadInput, match="20 endpoints already"):
        save_endpoint(settings, OLLAMA)
    assert len(load_settings(data_dir=settings.data_dir).endpoints) == 20


@pytest.mark.parametrize(
    "endpoints",
    [
        [{"name": "a", "url": "http://a/v1"}, {"name": "a", "url": "http://b/v1"}],
        [{"name": "remote", "url": "http://a/v1"}],
        [{"name": "A", "url": "http://a/v1"}],
        [{"name": "a", "url": "ftp://a/v1"}],
        [{"name": "a", "url": "http://user@a/v1"}],
        [{"name": "a", "url": "http://a/v1", "key": "x"}],
    ],
)
def test_invalid_endpoints_are_refused(tmp_path: Path, endpoints: object) -> None:
    with pytest.raises(BadInput, match="endpoints"):
        load_settings(data_dir=tmp_path, endpoints=endpoints)


def test_keys_are_hidden_in_repr(tmp_path: Path) -> None:
    assert "hush" not in repr(load_settings(data_dir=tmp_path, endpoints=[HOSTED]))

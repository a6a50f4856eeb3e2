"""`train_reader`: published for its model, resumed after a cancellation and a kill with the same bits, refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.models.artefacts import llama_folder, tiny_gguf
from tests.models.tiny import CHATML
from yearling.config import EndpointSettings, Settings
from yearling.errors import NotFound, Unsupported, UserError
from yearling.models import AdapterLibrary, ModelLibrary
from yearling.training import TrainOptions, list_runs, train_reader
from yearling.training.reader import method, train

SMALL = partial(method.ReaderConfig, steps=3, positives=2, negatives=2, base_answer_tokens=4)


class CancelledError(Exception):
    pass


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A data folder with the chat model `tiny`, whose readers take three small steps."""
    folder = llama_folder(tmp_path / "tiny")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>", "chat_template": CHATML}))
    settings = Settings(data_dir=tmp_path / "data", threads=1)
    ModelLibrary(settings.models_dir).import_path(folder)
    monkeypatch.setattr(train, "TrainOptions", partial(TrainOptions, checkpoint_s=1e-9))
    monkeypatch.setattr(SMALL, "from_dict", method.ReaderConfig.from_dict, raising=False)
    monkeypatch.setattr(method, "ReaderConfig", SMALL)
    return settings


def cancel_at_step(number: int) -> tuple[Callable[[float, str], None], Callable[[], None]]:
    """(report, check_cancelled) of a person who cancels after that step."""
    texts: list[str] = []

    def check_cancelled() -> None:
        if texts[-1] == f"Step {number} of 3.":
            raise CancelledError

    return lambda share, text: texts.append(text), check_cancelled


@pytest.mark.slow
def test_a_reader_is_published_and_the_same_seed_gives_the_same_one(settings: Settings) -> None:
    reports: list[tuple[float, str]] = []
    first = train_reader(settings, "tiny", seed=1, report=lambda share, text: reports.append((share, text)))
    other = train_reader(settings, "tiny", seed=2)
    assert first.purpose == other.purpose == "reader"
    assert first.sha256 != other.sha256
    assert first.fits(ModelLibrary(settings.models_dir).get("tiny")) == "same"
    assert [share for share, _ in reports] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    again = train_reader(settings, "tiny", seed=1)
    assert again.sha256 == first.sha256
    assert AdapterLibrary(settings.adapters_dir).list()[-1].sha256 == first.sha256, "trained again, it is the newest"


@pytest.mark.slow
def test_a_cancelled_reader_goes_on_where_it_stopped_and_ends_as_an_uninterrupted_one(settings: Settings, tmp_path: Path) -> None:
    for step in (1, 2):
        report, check_cancelled = cancel_at_step(step)
        with pytest.raises(CancelledError):
            train_reader(settings, "tiny", report=report, check_cancelled=check_cancelled)
        assert not AdapterLibrary(settings.adapters_dir).list()
    resumed = train_reader(settings, "tiny")
    (run,) = list_runs(settings.runs_dir)
    assert resumed.run == run.id
    assert [line["step"] for line in run.read_metrics()] == [1, 2, 3]

    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "models").symlink_to(settings.models_dir)
    assert train_reader(Settings(data_dir=tmp_path / "whole", threads=1), "tiny").sha256 == resumed.sha256


@pytest.mark.slow
def test_a_process_that_died_before_publishing_publishes_next_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train, "export_adapter", die)
        with pytest.raises(KeyboardInterrupt):
            train_reader(settings, "tiny")
    assert train_reader(settings, "tiny").run == list_runs(settings.runs_dir)[0].id
    assert len(list_runs(settings.runs_dir)) == 1


def test_models_that_can_have_no_reader_are_refused_with_a_reason(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with pytest.raises(NotFound):
        train_reader(settings, "gpt-x")
    endpoint = EndpointSettings(name="office", url="http://127.0.0.1:1/v1")
    with pytest.raises(Unsupported, match=r"gpt-x is not installed on this machine.*\n*.*office"):
        train_reader(Settings(data_dir=tmp_path / "data", endpoints=(endpoint,)), "gpt-x")
    ModelLibrary(settings.models_dir).import_path(tiny_gguf(tmp_path / "tiny.gguf"))
    with pytest.raises(Unsupported, match="is an adapter on a model"):
        train_reader(settings, "tiny+0123456789ab")
    with pytest.raises(UserError):
        train_reader(settings, "tiny")  # no network that torch knows
    assert not AdapterLibrary(settings.adapters_dir).list()

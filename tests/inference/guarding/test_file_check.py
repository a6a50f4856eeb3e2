"""Files are verified whenever an engine is about to load them, restarts and adapters included."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.inference.test_supervisor import HERE, prompt, wait_until
from tests.models.published import record_only_adapter, record_only_model
from yearling.config import Settings
from yearling.errors import NotFound, Unavailable, Untrusted
from yearling.inference import (
    EnginePool,
    EngineSpec,
    FakeEngine,
    SupervisedEngine,
    fake_served_model,
    list_model_files,
    supervisor,
)
from yearling.inference.adapter_registry import AdapterRegistry
from yearling.inference.guarding import file_check as module
from yearling.inference.guarding.file_check import FileCheck
from yearling.models import AdapterLibrary, LocalModel, ModelLibrary


class Rules:
    """Allows the content that files had at first. `asked` lists the files that were asked about."""

    def __init__(self, *files: Path) -> None:
        self.hashes = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        self.asked: list[str] = []

    def __call__(self, path: Path, sha256: str) -> None:
        self.asked.append(path.name)
        if self.hashes.get(path, sha256) != sha256:
            raise Untrusted(f"{path} was changed.", advice="Install it again.")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_text("weights")
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)


async def test_every_check_hashes_anew(weights: Path) -> None:
    rules = Rules(weights)
    check = FileCheck(rules)
    (first,) = await check.check([weights])
    await check.check([weights])
    assert rules.asked == ["model.gguf"] * 2
    assert first.sha256 == hashlib.sha256(b"weights").hexdigest()
    write(weights, "WEIGHTS")
    os.utime(weights, ns=(first.state[2], first.state[2]))  # whoever changes the content can also set the time back
    with pytest.raises(Untrusted, match=r"model.gguf was changed. Install it again"):
        await check.check([weights])
    with pytest.raises(Untrusted, match="while it was being loaded"):
        await check.require_unchanged([first])


async def test_refused_files_are_hashed_again_only_once_something_has_changed(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, hashed = Rules(weights), []

    def hash_file(path: Path) -> str:
        hashed.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(module, "hash_file", hash_file)
    check = FileCheck(rules)
    write(weights, "WEIGHTS")
    for _ in range(3):
        with pytest.raises(Untrusted, match="was changed"):
            await check.check([weights])
    assert len(hashed) == 1, "requests for a refused model come many a second"
    check.forget_refusals()
    with pytest.raises(Untrusted, match="was changed"):
        await check.check([weights])
    write(weights, "weights")
    await check.check([weights])
    assert len(hashed) == 3


async def test_missing_file_is_named(weights: Path) -> None:
    with pytest.raises(Untrusted, match=r"gone.gguf cannot be read: No such file or directory. Restore the file"):
        await FileCheck(lambda path, sha256: None).check([weights.with_name("gone.gguf")])


def test_model_files_are_all_that_lie_in_the_folder(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (weights.parent / "deep").mkdir()
    added = weights.parent / "deep" / "tokenizer.json"
    added.write_text("{}")
    assert list_model_files(weights.parent) == sorted([added, weights])
    monkeypatch.setattr(module, "MAX_FILES", 1)
    with pytest.raises(Untrusted, match="more than 1 files"):
        list_model_files(weights.parent)


@pytest.mark.slow
async def test_engine_checks_its_files_before_every_start(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "INITIAL_BACKOFF_S", 0.05)
    monkeypatch.setattr(supervisor, "MAX_BACKOFF_S", 0.1)
    rules = Rules(weights)
    spec = EngineSpec(factory=f"{HERE}:open_fake", options={"answers": [{"text": "x"}] * 9})
    engine = SupervisedEngine(spec, files=[weights], file_check=FileCheck(rules))
    await engine.start()
    try:
        assert (await engine.generate(prompt("a"))).text == "x"
        write(weights, "WEIGHTS")
        assert (await engine.generate(prompt("a"))).text == "x", "what was loaded is still the signed content"
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        await wait_until(lambda: engine.state == "failed")
        with pytest.raises(Unavailable, match=r"model.gguf was changed"):
            await engine.generate(prompt("a"))
        write(weights, "weights")
        await wait_until(lambda: engine.state == "ready")
        assert (await engine.generate(prompt("a"))).text == "x"
    finally:
        await engine.close()
    write(weights, "WEIGHTS")
    with pytest.raises(Untrusted, match="was changed"):
        await SupervisedEngine(spec, files=[weights], file_check=FileCheck(rules)).start()


@pytest.mark.slow
async def test_adapter_is_checked_when_it_is_loaded_and_loaded_again(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "INITIAL_BACKOFF_S", 0.05)
    adapter = weights.with_name("adapter.gguf")
    write(adapter, "adapter")
    rules = Rules(weights, adapter)
    spec = EngineSpec(factory=f"{HERE}:open_fake", options={"answers": [{"text": "x"}] * 9})
    engine = SupervisedEngine(spec, files=[weights], file_check=FileCheck(rules))
    await engine.start()
    try:
        adapter_hash = await engine.load_adapter(adapter)
        assert (await engine.generate(prompt("a", adapter_hash=adapter_hash))).text == "x"
        write(adapter, "ADAPTER")
        with pytest.raises(Untrusted, match=r"adapter.gguf was changed"):
            await engine.load_adapter(adapter)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        await wait_until(lambda: engine.restarts == 1)
        with pytest.raises(NotFound, match="not loaded"):
            await engine.generate(prompt("a", adapter_hash=adapter_hash))
        assert (await engine.generate(prompt("a"))).text == "x", "the base answers without it"
    finally:
        await engine.close()


async def test_adapter_that_may_not_be_loaded_any_more_is_unloaded(tmp_path: Path) -> None:
    adapters = AdapterLibrary(tmp_path / "adapters")
    published, model = record_only_adapter(adapters, b"one"), record_only_model()
    registry, engine, refused = AdapterRegistry(adapters), FakeEngine(), set[str]()

    def may_load(path: Path, sha256: str) -> None:
        if sha256 in refused:
            raise Untrusted(f"{path} was withdrawn.")

    check = FileCheck(may_load)
    served = await registry.serve(fake_served_model(model.name, engine), published)
    await registry.forget_refused(check)
    assert (await served.engine.generate(prompt("a"))).text
    refused.add(published.sha256)
    await registry.forget_refused(check)
    assert registry.find_base_engine(served.name) is None
    with pytest.raises(NotFound, match="not loaded"):
        await served.engine.generate(prompt("a"))


@pytest.mark.slow
async def test_pool_refuses_a_model_of_which_any_file_was_changed(default_model: LocalModel, tmp_path: Path) -> None:
    folder = tmp_path / "models" / default_model.name
    shutil.copytree(default_model.folder, folder)
    rules = Rules(*list_model_files(folder))
    tokenizer = folder / "tokenizer.json"
    original = tokenizer.read_text()
    write(tokenizer, original.replace("Hello", "Hallo", 1) + " ")
    settings = Settings(data_dir=tmp_path, engine="llamacpp")
    pool = EnginePool(settings, ModelLibrary(settings.models_dir), may_load=rules)
    try:
        with pytest.raises(Untrusted, match=r"tokenizer.json was changed"):
            await pool.start()
        assert not pool.ready()
        write(tokenizer, original)
        await pool.start()
        assert pool.ready()
        assert {"model.gguf", "tokenizer.json", "model.json"} <= set(rules.asked)
        rules.hashes[folder / "model.gguf"] = "0" * 64  # the release was withdrawn
        await pool.close_refused()
        assert not pool.ready()
        with pytest.raises(Untrusted, match=r"model.gguf was changed"):
            await pool.get()
    finally:
        await pool.close()

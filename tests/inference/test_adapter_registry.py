"""Adapters in a pool: found once published, loaded while requests run, kept apart, refused for another base."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.models.published import record_only_adapter, record_only_model
from yearling.errors import NotFound, Unsupported, Untrusted
from yearling.inference import EnginePool, FakeEngine, GenerationRequest, fake_served_model
from yearling.inference.adapter_registry import AdapterRegistry
from yearling.models import AdapterLibrary
from yearling.records import SamplingSettings

MODEL = record_only_model()


@pytest.fixture
def adapters(tmp_path: Path) -> AdapterLibrary:
    return AdapterLibrary(tmp_path / "adapters")


def request() -> GenerationRequest:
    return GenerationRequest(prompt_ids=(5, 6), sampling=SamplingSettings(max_tokens=4))


def test_an_adapter_is_listed_once_it_is_published(adapters: AdapterLibrary) -> None:
    registry = AdapterRegistry(adapters)
    assert registry.pairs([MODEL]) == []
    published = record_only_adapter(adapters, b"one")
    assert registry.pairs([MODEL]) == [(MODEL, published)]
    assert published.served_name(MODEL.name) == f"base+{published.sha256[:12]}"
    assert registry.pairs([record_only_model("other", sha256="b" * 64, source_sha256="d" * 64)]) == []


@pytest.mark.parametrize(
    ("sha256", "source", "fits"), [("a", "c", "same"), ("b", "c", "layout"), ("b", "a", "layout"), ("b", "d", ""), ("b", "", "")]
)
def test_an_adapter_fits_its_base_and_other_layouts_of_its_source(
    adapters: AdapterLibrary, sha256: str, source: str, fits: str
) -> None:
    published = record_only_adapter(adapters, b"one")
    assert published.fits(record_only_model(sha256=sha256 * 64, source_sha256=source * 64)) == fits


async def test_every_request_to_an_adapted_model_names_its_adapter(adapters: AdapterLibrary) -> None:
    registry, engine = AdapterRegistry(adapters), FakeEngine()
    base = fake_served_model("base", engine)
    served = []
    for content in (b"one", b"two"):
        match = registry.find(f"base+{record_only_adapter(adapters, content).sha256[:12]}", [MODEL])
        assert match is not None
        served.append(await registry.serve(base, match[1]))
    await asyncio.gather(*(model.engine.generate(request()) for model in [*served, base]))
    assert {model.adapter_hash for model in engine.requests} == {None, served[0].adapter_hash, served[1].adapter_hash}
    assert served[0].adapter_hash != served[1].adapter_hash
    assert served[0].name == f"base+{str(served[0].adapter_hash)[:12]}"
    with pytest.raises(Unsupported, match="no embeddings"):
        await served[0].engine.embed([[1]])
    await served[0].engine.close()
    assert not engine.closed


async def test_an_adapter_is_loaded_again_into_a_new_engine(adapters: AdapterLibrary) -> None:
    registry, published = AdapterRegistry(adapters), record_only_adapter(adapters, b"one")
    first = await registry.serve(fake_served_model("base", FakeEngine()), published)
    engine = FakeEngine()
    reloaded = await registry.serve(fake_served_model("base", engine), published)
    assert first.engine is not reloaded.engine
    await reloaded.engine.generate(request())
    assert engine.requests[0].adapter_hash == published.sha256


async def test_unknown_foreign_and_changed_adapters_raise(adapters: AdapterLibrary) -> None:
    registry = AdapterRegistry(adapters)
    foreign = record_only_adapter(adapters, b"foreign", base_sha256="e" * 64, base_source_sha256="f" * 64)
    with pytest.raises(Untrusted, match=r"made for the weights eeeeeeeeeeee, not for base"):
        registry.find(f"base+{foreign.sha256[:12]}", [MODEL])
    with pytest.raises(NotFound, match="no adapter"):
        registry.find("base+0123456789ab", [MODEL])
    assert registry.find("base", [MODEL]) is None
    assert registry.find("elsewhere+0123456789ab", [MODEL]) is None

    changed = record_only_adapter(adapters, b"one")
    changed.weights.write_bytes(b"0ne")
    with pytest.raises(Untrusted, match="was changed"):
        await registry.serve(fake_served_model("base", FakeEngine()), changed)


async def test_the_newest_reader_that_fits_is_loaded_once_and_never_listed(adapters: AdapterLibrary) -> None:
    engine = FakeEngine(model_hash=MODEL.sha256)
    pool = EnginePool.from_open_models([fake_served_model("base", engine)], adapters=adapters)
    record_only_adapter(adapters, b"a model of its own", created_utc="2027-01-01T00:00:00+00:00")
    assert await pool.get_reader("base") is None
    record_only_adapter(adapters, b"foreign", purpose="reader", base_sha256="e" * 64, base_source_sha256="f" * 64)
    assert await pool.get_reader("base") is None

    first = record_only_adapter(adapters, b"one", purpose="reader", created_utc="2026-11-01T00:00:00+00:00")
    assert await asyncio.gather(*(pool.get_reader("base") for _ in range(5))) == [first.sha256] * 5
    assert engine.num_adapter_loads == 1
    newer = record_only_adapter(adapters, b"two", purpose="reader", created_utc="2026-11-02T00:00:00+00:00")
    assert await pool.get_reader("base") == newer.sha256, "a running server picks it up"
    await engine.generate(replace(request(), adapter_hash=newer.sha256))

    assert pool.names() == ["base"]
    listed = AdapterRegistry(adapters).pairs([MODEL])
    assert [adapter.purpose for _, adapter in listed] == ["model"]
    with pytest.raises(NotFound):
        await pool.get(newer.served_name("base"))


async def test_models_that_cannot_have_a_reader_have_none(adapters: AdapterLibrary) -> None:
    record_only_adapter(adapters, b"one", purpose="reader")
    engine = FakeEngine(model_hash=MODEL.sha256)
    adapted = replace(fake_served_model("base+0123456789ab", engine), adapter_hash="1" * 64)
    pool = EnginePool.from_open_models([adapted], adapters=adapters)
    assert await pool.get_reader(adapted.name) is None
    assert await pool.get_reader("a remote model") is None
    engine.capabilities = replace(engine.capabilities, adapters=False)
    pool = EnginePool.from_open_models([fake_served_model("base", engine)], adapters=adapters)
    assert await pool.get_reader("base") is None
    assert engine.num_adapter_loads == 0
    assert await EnginePool.from_open_models([fake_served_model("base", engine)]).get_reader("base") is None


async def test_a_changed_or_stopped_reader_is_passed_over_for_an_older_one(
    adapters: AdapterLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    stopped: set[str] = set()
    pool = EnginePool.from_open_models(
        [fake_served_model("base", FakeEngine(model_hash=MODEL.sha256))],
        adapters=adapters,
        is_stopped=lambda name: "It answers nonsense." if name in stopped else "",
    )
    older = record_only_adapter(adapters, b"one", purpose="reader", created_utc="2026-11-01T00:00:00+00:00")
    changed = record_only_adapter(adapters, b"two", purpose="reader", created_utc="2026-11-02T00:00:00+00:00")
    changed.weights.write_bytes(b"2wo")
    with caplog.at_level(logging.WARNING):
        assert [await pool.get_reader("base") for _ in range(2)] == [older.sha256] * 2
    assert len([record for record in caplog.records if "was changed" in record.message]) == 1
    stopped.add(older.served_name("base"))
    assert await pool.get_reader("base") is None

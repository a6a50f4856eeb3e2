"""Published adapters: names by content, two formats with the same factors, merging into a new model."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.models.published import record_only_adapter, record_only_model
from tests.training.networks import tiny_decoder
from yearling.errors import BadInput, NotFound, Untrusted
from yearling.models import (
    Adapter,
    AdapterLibrary,
    Decoder,
    attach_adapter,
    load_adapter,
    merge_adapter,
    new_adapter,
)

BASE = record_only_model(sha256="ab" * 32)


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return tiny_decoder(torch.float32)


def random_adapter(decoder: Decoder, *, seed: int = 1, targets: tuple[str, ...] | None = None) -> Adapter:
    fresh = new_adapter(decoder, rank=4, alpha=6, base_sha256=BASE.sha256, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    factors = {name: (a, torch.randn(b.shape, generator=generator) * 0.3) for name, (a, b) in fresh.factors.items()}
    if targets:
        factors = {name: pair for name, pair in factors.items() if name.rpartition(".")[2] in targets}
    return replace(fresh, factors=factors)


def test_names_are_determined_by_content(decoder: Decoder, tmp_path: Path) -> None:
    adapters = AdapterLibrary(tmp_path / "adapters")
    first = adapters.publish(random_adapter(decoder), decoder, BASE, run="r", step=3)
    again = AdapterLibrary(tmp_path / "elsewhere").publish(random_adapter(decoder), decoder, BASE)
    other = adapters.publish(random_adapter(decoder, seed=2), decoder, BASE)
    assert first.sha256 == again.sha256 != other.sha256
    assert adapters.publish(random_adapter(decoder), decoder, BASE).run == "r"
    assert [adapter.sha256 for adapter in adapters.list()] == [first.sha256, other.sha256]
    assert adapters.get(first.served_name("base")).folder == first.folder
    assert sorted(path.name for path in adapters.folder.iterdir()) == sorted([first.sha256, other.sha256])
    adapters.remove(first.sha256[:8])
    with pytest.raises(NotFound):
        adapters.get(first.sha256)


def test_a_reader_is_marked_and_becomes_the_newest_when_published_again(decoder: Decoder, tmp_path: Path) -> None:
    adapters = AdapterLibrary(tmp_path)
    first = adapters.publish(random_adapter(decoder), decoder, BASE, purpose="reader")
    second = adapters.publish(random_adapter(decoder, seed=2), decoder, BASE, purpose="reader")
    again = adapters.publish(random_adapter(decoder), decoder, BASE, purpose="reader")
    assert again.sha256 == first.sha256
    assert [adapter.sha256 for adapter in adapters.list()] == [second.sha256, first.sha256]
    assert {adapter.purpose for adapter in adapters.list()} == {"reader"}
    assert adapters.verify(first.sha256) == again
    with pytest.raises(BadInput, match="published as a reader before"):
        adapters.publish(random_adapter(decoder), decoder, BASE)


def test_manifests_without_a_purpose_are_of_models_and_unknown_purposes_are_damage(tmp_path: Path) -> None:
    adapters = AdapterLibrary(tmp_path)
    assert record_only_adapter(adapters, b"one").purpose == "model"
    with pytest.raises(Untrusted, match="unknown purpose 'spy'"):
        record_only_adapter(adapters, b"two", purpose="spy")
    assert len(adapters.list()) == 1


@pytest.mark.parametrize("targets", [None, ("up_proj",)])
def test_both_formats_hold_the_factors_and_the_lineage(decoder: Decoder, tmp_path: Path, targets: tuple[str, ...] | None) -> None:
    adapter = random_adapter(decoder, targets=targets)
    published = AdapterLibrary(tmp_path).publish(adapter, decoder, BASE)
    for path in (published.weights, published.folder):
        loaded = load_adapter(path, decoder, base_sha256=BASE.sha256)
        assert (loaded.base_sha256, loaded.base_source_sha256) == (BASE.sha256, BASE.source_sha256)
        assert loaded.factors.keys() == adapter.factors.keys()
        for name, pair in adapter.factors.items():
            assert all(torch.equal(first, other) for first, other in zip(loaded.factors[name], pair, strict=True))
        # Another layout of the same file is told from another model.
        assert load_adapter(path, decoder, base_sha256="0" * 64, source_sha256=BASE.source_sha256).rank == 4
        with pytest.raises(Untrusted, match="made for the weights"):
            load_adapter(path, decoder, base_sha256="0" * 64, source_sha256="1" * 64)
        with pytest.raises(Untrusted, match="made for the weights"):
            load_adapter(path, decoder, base_sha256="0" * 64)


def test_publishing_for_another_base_raises(decoder: Decoder, tmp_path: Path) -> None:
    with pytest.raises(Untrusted, match="was made for the weights abababababab"):
        AdapterLibrary(tmp_path).publish(random_adapter(decoder), decoder, record_only_model(sha256="0" * 64))


def test_changed_files_are_detected(decoder: Decoder, tmp_path: Path) -> None:
    adapters = AdapterLibrary(tmp_path / "adapters")
    published = adapters.publish(random_adapter(decoder), decoder, BASE)
    (published.folder / "adapter_config.json").write_text("{}")
    with pytest.raises(Untrusted, match="was changed after it was published"):
        adapters.verify(published.sha256)
    shutil.copytree(published.folder, adapters.folder / ("0" * 64))
    assert [adapter.sha256 for adapter in adapters.list()] == [published.sha256]
    assert set(adapters.list_damaged()) == {"0" * 64}


def test_an_adapter_of_up_proj_alone_changes_the_network_and_merges_to_the_same(decoder: Decoder, tmp_path: Path) -> None:
    ids = torch.randint(0, decoder.config.vocab_size, (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        bare = decoder(ids)
        published = AdapterLibrary(tmp_path).publish(random_adapter(decoder, targets=("up_proj",)), decoder, BASE)
        network = attached(decoder, published.weights)
        changed = network(ids)
        merge_adapter(network)
        merged = network(ids)
    assert (changed - bare).abs().max() > 0.01
    assert torch.allclose(changed, merged, atol=1e-4)


def attached(decoder: Decoder, path: Path) -> Decoder:
    network = copy.deepcopy(decoder)
    attach_adapter(network, load_adapter(path, network, base_sha256=BASE.sha256), base_sha256=BASE.sha256)
    return network

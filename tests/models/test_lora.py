from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.models.test_llama_decoder import random_ids, tiny_model
from tests.models.tiny import Files
from yearling.errors import BadInput, Unsupported, Untrusted
from yearling.models import (
    Adapter,
    Decoder,
    adapter_disabled,
    attach_adapter,
    detach_adapter,
    export_decoder,
    load_adapter,
    load_decoder,
    merge_adapter,
    new_adapter,
    save_adapter,
)
from yearling.models.gguf import read_gguf, write_gguf
from yearling.models.safetensors_files import read_safetensors, read_safetensors_metadata, write_safetensors

BASE = "ab" * 32


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(request.param)
    tiny_model(request.param).save_pretrained(path)
    return path


@pytest.fixture
def decoder(folder: Path) -> Decoder:
    return load_decoder(folder)


@pytest.fixture
def adapter(decoder: Decoder) -> Adapter:
    """An adapter that changes every linear layer."""
    fresh = new_adapter(decoder, rank=4, alpha=6, base_sha256=BASE, seed=1)
    generator = torch.Generator().manual_seed(2)
    changed = {name: (a, torch.randn(b.shape, generator=generator) * 0.3) for name, (a, b) in fresh.factors.items()}
    return replace(fresh, factors=changed)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def same(left: Adapter, right: Adapter) -> bool:
    pairs = [(left.factors[name], right.factors[name]) for name in left.factors]
    equal = all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in pairs)
    return equal and left.factors.keys() == right.factors.keys() and (left.rank, left.alpha) == (right.rank, right.alpha)


def test_every_linear_layer_of_the_blocks_is_adapted(decoder: Decoder) -> None:
    adapter = new_adapter(decoder, rank=4, alpha=8, base_sha256=BASE, seed=1)
    assert len(adapter.factors) == 3 * 7
    assert adapter.num_parameters == 3 * 4 * (2 * (48 + 48) + 2 * (48 + 16) + 3 * (48 + 80))
    assert same(adapter, new_adapter(decoder, rank=4, alpha=8, base_sha256=BASE, seed=1))
    assert not same(adapter, new_adapter(decoder, rank=4, alpha=8, base_sha256=BASE, seed=2))


def test_a_new_adapter_changes_nothing_and_has_gradients(decoder: Decoder) -> None:
    bare_logits = decoder(random_ids(2, 9))
    attached = attach_adapter(decoder, new_adapter(decoder, rank=2, alpha=2, base_sha256=BASE, seed=1), base_sha256=BASE)
    assert torch.equal(decoder(random_ids(2, 9)), bare_logits)
    trainable = {id(parameter) for parameter in decoder.parameters() if parameter.requires_grad}
    assert trainable == {id(factor) for pair in attached.factors.values() for factor in pair}
    with torch.enable_grad():
        decoder(random_ids(2, 9)).logsumexp(-1).sum().backward()
    assert all(b.grad is not None and b.grad.abs().max() > 0 for _, b in attached.factors.values())


def test_disabled_and_detached_equal_the_bare_model_bitwise(decoder: Decoder, adapter: Adapter) -> None:
    ids = random_ids(2, 9)
    bare_logits, names = decoder(ids), [name for name, _ in decoder.named_parameters()]
    attach_adapter(decoder, adapter, base_sha256=BASE)
    changed = decoder(ids)
    assert (changed - bare_logits).abs().max() > 0.1
    with adapter_disabled(decoder):
        assert torch.equal(decoder(ids), bare_logits)
    assert torch.equal(decoder(ids), changed)
    detach_adapter(decoder)
    assert torch.equal(decoder(ids), bare_logits)
    assert [name for name, _ in decoder.named_parameters()] == names


def test_each_layer_affects_the_output(decoder: Decoder, adapter: Adapter) -> None:
    """Dropping the change of any one layer shows in the logits: none is skipped on the way."""
    ids = random_ids(1, 9)
    attach_adapter(decoder, adapter, base_sha256=BASE)
    full = decoder(ids)
    detach_adapter(decoder)
    for name in adapter.factors:
        partial = replace(adapter, factors={key: pair for key, pair in adapter.factors.items() if key != name})
        attach_adapter(decoder, partial, base_sha256=BASE)
        assert (decoder(ids) - full).abs().max() > 1e-4, name
        detach_adapter(decoder)


def test_merged_weights_equal_the_attached_adapter(decoder: Decoder, adapter: Adapter) -> None:
    ids = random_ids(2, 9)
    attach_adapter(decoder, adapter, base_sha256=BASE)
    expected = decoder(ids)
    merge_adapter(decoder)
    torch.testing.assert_close(decoder(ids), expected, rtol=1e-4, atol=1e-4)
    assert not any("lora" in name for name, _ in decoder.named_parameters())


@pytest.mark.parametrize("name", ["adapter", "adapter.gguf"])
def test_a_saved_adapter_is_loaded_bitwise_equal(decoder: Decoder, adapter: Adapter, tmp_path: Path, name: str) -> None:
    attached = attach_adapter(decoder, adapter, base_sha256=BASE)
    for target in (tmp_path / name, tmp_path / f"again-{name}"):
        save_adapter(attached, target, decoder)
    loaded = load_adapter(tmp_path / name, decoder, base_sha256=BASE)
    assert same(loaded, adapter)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file() and "again" not in str(path))
    for file in files:
        assert (tmp_path / file).read_bytes() == (tmp_path / f"again-{file}").read_bytes()


def test_a_gguf_adapter_that_was_read_is_written_again_byte_for_byte(decoder: Decoder, adapter: Adapter, tmp_path: Path) -> None:
    backwards = replace(adapter, factors=dict(list(adapter.factors.items())[::-1]))
    save_adapter(backwards, tmp_path / "lora.gguf", decoder)
    save_adapter(load_adapter(tmp_path / "lora.gguf", decoder, base_sha256=BASE), tmp_path / "again.gguf", decoder)
    assert (tmp_path / "again.gguf").read_bytes() == (tmp_path / "lora.gguf").read_bytes()


@pytest.mark.parametrize("name", ["adapter", "adapter.gguf"])
def test_an_adapter_of_another_base_is_refused(decoder: Decoder, adapter: Adapter, tmp_path: Path, name: str) -> None:
    save_adapter(adapter, tmp_path / name, decoder)
    with pytest.raises(Untrusted, match="made for"):
        load_adapter(tmp_path / name, decoder, base_sha256="cd" * 32)
    with pytest.raises(Untrusted, match="made for"):
        attach_adapter(decoder, adapter, base_sha256="cd" * 32)


def test_every_file_names_its_base(decoder: Decoder, adapter: Adapter, tmp_path: Path) -> None:
    save_adapter(adapter, tmp_path / "peft", decoder)
    save_adapter(adapter, tmp_path / "lora.gguf", decoder)
    assert read_safetensors_metadata(tmp_path / "peft" / "adapter_model.safetensors")["yearling.base_sha256"] == BASE
    assert read_gguf(tmp_path / "lora.gguf").metadata["yearling.base_sha256"] == BASE


def test_an_adapter_that_names_no_base_is_refused(decoder: Decoder, adapter: Adapter, tmp_path: Path) -> None:
    save_adapter(adapter, tmp_path, decoder)
    file = tmp_path / "adapter_model.safetensors"
    write_safetensors(file, dict(read_safetensors(file)), {})
    with pytest.raises(Untrusted, match="unnamed model"):
        load_adapter(tmp_path, decoder, base_sha256=BASE)


def test_rank_stabilised_scaling_is_applied(decoder: Decoder, adapter: Adapter, tmp_path: Path) -> None:
    save_adapter(adapter, tmp_path, decoder)
    described = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(described | {"use_rslora": True}))
    assert load_adapter(tmp_path, decoder, base_sha256=BASE).scale == pytest.approx(6 / 4**0.5)


@pytest.mark.parametrize(
    "change",
    [{"use_dora": True}, {"bias": "all"}, {"modules_to_save": ["lm_head"]}, {"rank_pattern": {"x": 2}}, {"peft_type": "IA3"}],
)
def test_other_kinds_of_adapter_are_refused(
    decoder: Decoder, adapter: Adapter, tmp_path: Path, change: dict[str, object]
) -> None:
    save_adapter(adapter, tmp_path, decoder)
    described = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(described | change))
    with pytest.raises(Unsupported):
        load_adapter(tmp_path, decoder, base_sha256=BASE)


def test_pickles_other_layers_and_unpaired_factors_raise(decoder: Decoder, adapter: Adapter, tmp_path: Path) -> None:
    save_adapter(adapter, tmp_path, decoder)
    file = tmp_path / "adapter_model.safetensors"
    tensors = dict(read_safetensors(file))
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    write_safetensors(file, {name: value for name, value in tensors.items() if name != key}, {"yearling.base_sha256": BASE})
    with pytest.raises(Untrusted, match="do not match"):
        load_adapter(tmp_path, decoder, base_sha256=BASE)
    write_safetensors(file, tensors | {"base_model.model.lm_head.lora_A.weight": torch.zeros(4, 48)}, {})
    with pytest.raises(Unsupported, match="lm_head"):
        load_adapter(tmp_path, decoder, base_sha256=BASE)
    file.unlink()
    with pytest.raises(BadInput):
        load_adapter(tmp_path, decoder, base_sha256=BASE)
    (tmp_path / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(Untrusted, match="pickle file"):
        load_adapter(tmp_path / "adapter_model.bin", decoder, base_sha256=BASE)


def test_a_whole_model_is_not_an_adapter(decoder: Decoder, tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", "llama", {"general.type": "model"}, [])
    with pytest.raises(BadInput, match="not a LoRA adapter"):
        load_adapter(tmp_path / "model.gguf", decoder, base_sha256=BASE)


def test_adapters_that_do_not_fit_raise_bad_input(decoder: Decoder, adapter: Adapter) -> None:
    name = next(iter(adapter.factors))
    for factors in ({name: (torch.zeros(4, 3), torch.zeros(48, 4))}, {"model.layers.9.mlp.up_proj": adapter.factors[name]}):
        with pytest.raises(BadInput, match="does not fit"):
            attach_adapter(decoder, replace(adapter, factors=factors), base_sha256=BASE)
    attach_adapter(decoder, adapter, base_sha256=BASE)
    with pytest.raises(BadInput, match="already"):
        attach_adapter(decoder, adapter, base_sha256=BASE)
    with pytest.raises(BadInput, match="is not possible"):
        new_adapter(decoder, rank=0, alpha=1, base_sha256=BASE, seed=0)


@pytest.mark.slow
def test_llama_cpp_with_the_adapter_equals_torch(default_model: Files, tmp_path: Path) -> None:
    """Under the adapter the likeliest next tokens' log-probabilities differ from the bare model's by more than 1 nat, and from
    torch's by less than 0.001 (all in float32)."""
    from tests.models.test_export import next_token_logprobs

    decoder = load_decoder(default_model.weights)
    base = tmp_path / "base.gguf"
    export_decoder(decoder, base, source=default_model.weights, quantisation="F32")
    fresh = new_adapter(decoder, rank=8, alpha=16, base_sha256=default_model.sha256, seed=1)
    generator = torch.Generator().manual_seed(3)
    factors = {name: (a, torch.randn(b.shape, generator=generator) * 0.05) for name, (a, b) in fresh.factors.items()}
    adapter = replace(fresh, factors=factors)
    save_adapter(adapter, tmp_path / "lora.gguf", decoder)
    ids = random_ids(1, 12)[0].tolist()
    bare = decoder(torch.tensor([ids]))[0, -1].log_softmax(-1)
    attach_adapter(decoder, adapter, base_sha256=default_model.sha256)
    ours = decoder(torch.tensor([ids]))[0, -1].log_softmax(-1)
    expected = next_token_logprobs(base, ids, adapter=tmp_path / "lora.gguf")
    assert max(abs(logprob - float(ours[index])) for index, logprob in expected.items()) < 1e-3
    assert max(abs(logprob - float(bare[index])) for index, logprob in expected.items()) > 1.0

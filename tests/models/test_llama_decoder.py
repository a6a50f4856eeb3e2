from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.tiny import Files
from yearling.errors import BadInput, Unsupported, Untrusted
from yearling.models import load_decoder
from yearling.models.decoder import pack_sequences
from yearling.models.llama_decoder import LlamaDecoder, RMSNorm
from yearling.models.safetensors_files import read_safetensors, write_safetensors

FP32_TOLERANCE = 1e-5
"""Largest difference of a logit from transformers' in float32; the logits of these tiny models are of order 1."""

SIZES: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 6,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.3, "pad_token_id": None,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama-tied": ("Llama", {"tie_word_embeddings": True}),
    "llama-biased": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama3-scaled": ("Llama", {"rope_parameters": {**LLAMA3, "original_max_position_embeddings": 32}}),
    "llama-linear": ("Llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0}}),
    "llama-many-heads": ("Llama", {"num_key_value_heads": 6}),
    "qwen2": ("Qwen2", {}),
    "qwen2-window": ("Qwen2", {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "mistral": ("Mistral", {"sliding_window": None, "head_dim": 16}),
    "mistral-window": ("Mistral", {"sliding_window": 7}),
}


def tiny_model(name: str) -> Any:
    """A transformers model with random weights, biases and norms included."""
    import transformers  # late: it costs every start of the tests two seconds

    family, changes = FAMILIES[name]
    torch.manual_seed(7)
    config = getattr(transformers, f"{family}Config")(**(SIZES | changes))
    config._attn_implementation = "eager"
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.fixture(scope="module", params=list(FAMILIES))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, LlamaDecoder]:
    model = tiny_model(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    decoder = load_decoder(folder)
    assert isinstance(decoder, LlamaDecoder)
    return model, decoder


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> LlamaDecoder:
    folder = tmp_path_factory.mktemp("llama")
    tiny_model("llama").save_pretrained(folder)
    tensors = load_decoder(folder)
    assert isinstance(tensors, LlamaDecoder)
    return tensors


def random_ids(batch: int, tokens: int, seed: int = 1) -> Tensor:
    return torch.randint(0, 101, (batch, tokens), generator=torch.Generator().manual_seed(seed))


@pytest.mark.slow
@torch.no_grad()
def test_logits_equal_transformers(pair: tuple[Any, LlamaDecoder]) -> None:
    model, decoder = pair
    ids = random_ids(3, 40)
    expected = model(ids).logits
    assert expected.std() > 0.3  # else closeness proves nothing
    assert (decoder(ids) - expected).abs().max() < FP32_TOLERANCE * max(1, float(expected.abs().max()))


@torch.no_grad()
def test_decoding_with_a_cache_equals_the_full_pass(pair: tuple[Any, LlamaDecoder]) -> None:
    """Ragged prompts with padding on the right, then ragged steps in any order of slots."""
    _, decoder = pair
    ids = random_ids(3, 24)
    full = decoder(ids)
    cache = decoder.new_cache(num_slots=4, capacity_tokens=24)
    prompts = [11, 4, 7]
    got = decoder(ids[:, :11], cache=cache.rows([0, 1, 2], num_new=prompts))
    for row, length in enumerate(prompts):
        torch.testing.assert_close(got[row, :length], full[row, :length], rtol=1e-4, atol=1e-4)
    assert cache.lengths == [11, 4, 7, 0]
    for order in ([0, 1, 2], [2, 0], [1], [2, 1]):
        step = torch.stack([ids[row, cache.lengths[row] : cache.lengths[row] + 3] for row in order])
        starts = [cache.lengths[row] for row in order]
        got = decoder(step, cache=cache.rows(order))
        for index, (row, start) in enumerate(zip(order, starts, strict=True)):
            torch.testing.assert_close(got[index], full[row, start : start + 3], rtol=1e-4, atol=1e-4)
    for _ in range(3):  # single tokens, lengths apart
        got = decoder(torch.stack([ids[row, cache.lengths[row]][None] for row in (0, 1, 2)]), cache=cache.rows([0, 1, 2]))
        for row in range(3):
            torch.testing.assert_close(got[row, 0], full[row, cache.lengths[row] - 1], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_single_steps_from_equal_lengths(pair: tuple[Any, LlamaDecoder]) -> None:
    _, decoder = pair
    ids = random_ids(2, 20)
    cache = decoder.new_cache(num_slots=2, capacity_tokens=20)
    steps = [decoder(ids[:, t : t + 1], cache=cache.rows([0, 1])) for t in range(20)]
    torch.testing.assert_close(torch.cat(steps, dim=1), decoder(ids), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_packed_sequences_do_not_see_each_other(pair: tuple[Any, LlamaDecoder]) -> None:
    _, decoder = pair
    parts = [random_ids(1, length, seed=length) for length in (9, 1, 17)]
    positions, mask = pack_sequences([9, 1, 17])
    together = decoder(torch.cat(parts, dim=1), positions_BT=positions, mask=mask)
    apart = torch.cat([decoder(part) for part in parts], dim=1)
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_row_does_not_depend_on_its_batch(decoder: LlamaDecoder) -> None:
    ids = random_ids(5, 16)
    full = decoder(ids)
    for row in range(5):
        torch.testing.assert_close(decoder(ids[row : row + 1])[0], full[row], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_hidden_and_lm_head_equal_the_forward_pass(decoder: LlamaDecoder) -> None:
    ids = random_ids(2, 9)
    hidden = decoder.hidden(ids)
    assert hidden.shape == (2, 9, 48)
    chunks = [decoder.lm_head(part) for part in torch.split(hidden, 2, dim=1)]
    torch.testing.assert_close(torch.cat(chunks, dim=1), decoder(ids), rtol=1e-5, atol=1e-5)


def test_gradients_equal_transformers(pair: tuple[Any, LlamaDecoder]) -> None:
    model, decoder = pair
    ids = random_ids(2, 12)
    for network, logits in ((model, model(ids).logits), (decoder, decoder(ids))):
        network.zero_grad()
        logits.logsumexp(-1).mean().backward()
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    for name, parameter in decoder.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-3, atol=1e-5)
        parameter.grad = None


@torch.no_grad()
def test_a_shared_prompt_is_computed_once(decoder: LlamaDecoder) -> None:
    ids = random_ids(1, 12)
    cache = decoder.new_cache(num_slots=3, capacity_tokens=16)
    decoder(ids[:, :8], cache=cache.rows([0]))
    cache.copy(0, [1, 2])
    got = decoder(ids[:, 8:].expand(3, 4), cache=cache.rows([0, 1, 2]))
    torch.testing.assert_close(got, decoder(ids)[:, 8:].expand(3, 4, -1), rtol=1e-4, atol=1e-4)
    cache.reset(1, 8)
    repeated = decoder(ids[:, 8:], cache=cache.rows([1]))
    torch.testing.assert_close(repeated, got[:1], rtol=1e-4, atol=1e-4)


def test_a_step_that_does_not_fit_the_cache_raises(decoder: LlamaDecoder) -> None:
    cache = decoder.new_cache(num_slots=2, capacity_tokens=8)
    for rows, ids in (
        (cache.rows([0]), random_ids(1, 9)),
        (cache.rows([0, 0]), random_ids(2, 2)),
        (cache.rows([0]), random_ids(2, 2)),
        (cache.rows([0, 1], num_new=[3, 1]), random_ids(2, 2)),
    ):
        with pytest.raises(ValueError):
            decoder(ids, cache=rows)
    with pytest.raises(ValueError, match="must not be given with a cache"):
        decoder(random_ids(1, 2), cache=cache.rows([0]), mask=torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(ValueError):
        cache.reset(0, 1)
    assert cache.lengths == [0, 0]


@torch.no_grad()
def test_a_full_slot_keeps_its_last_token_when_others_are_padded(decoder: LlamaDecoder) -> None:
    ids = random_ids(2, 10)
    cache = decoder.new_cache(num_slots=2, capacity_tokens=10)
    decoder(ids[:, :8], cache=cache.rows([0, 1], num_new=[8, 6]))
    got = decoder(torch.stack([ids[0, 8:10].repeat(2), ids[1, 6:10]]), cache=cache.rows([0, 1], num_new=[2, 4]))
    torch.testing.assert_close(got[0, :2], decoder(ids)[0, 8:10], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(got[1], decoder(ids)[1, 6:10], rtol=1e-4, atol=1e-4)


def test_norms_are_computed_in_float32() -> None:
    """In bfloat16 the mean of squares would lose the small entries beside the large one."""
    x = torch.full((1, 4096), 0.05, dtype=torch.bfloat16)
    x[0, 0] = 16.0
    exact = x.double() * (x.double().square().mean() + 1e-6).rsqrt()
    got = RMSNorm(4096, 1e-6).to(torch.bfloat16)(x)
    torch.testing.assert_close(got.double(), exact, rtol=2**-8, atol=0)


@torch.no_grad()
def test_bfloat16_is_close_and_keeps_its_frequencies(decoder: LlamaDecoder, tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path)
    small = load_decoder(tmp_path, dtype="bfloat16")
    assert small.dtype == torch.bfloat16
    ids = random_ids(2, 30)
    error = (small(ids).float() - decoder(ids)).std() / decoder(ids).std()
    assert error < 0.1
    cache = small.new_cache(num_slots=2, capacity_tokens=30)
    steps = torch.cat([small(ids[:, :20], cache=cache.rows([0, 1])), small(ids[:, 20:], cache=cache.rows([0, 1]))], dim=1)
    assert (steps.float() - decoder(ids)).std() / decoder(ids).std() < 0.1
    assert torch.equal(LlamaDecoder(decoder.config).to(torch.bfloat16)._frequencies, decoder._frequencies)


def test_num_parameters_equals_the_network(pair: tuple[Any, LlamaDecoder]) -> None:
    model, decoder = pair
    assert decoder.config.num_parameters == sum(p.numel() for p in decoder.parameters()) == model.num_parameters()


def test_other_architectures_use_transformers(tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(3)
    config = transformers.GPT2Config(
        vocab_size=101, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    model.save_pretrained(tmp_path)
    decoder = load_decoder(tmp_path)
    assert decoder.config.family == "gpt2"
    ids = random_ids(2, 12)
    with torch.no_grad():
        full = decoder(ids)
        torch.testing.assert_close(full, model(ids).logits, rtol=1e-5, atol=1e-5)
        assert decoder.hidden(ids).shape == (2, 12, 32)
        cache = decoder.new_cache(num_slots=2, capacity_tokens=12)
        got = decoder(ids[:, :6], cache=cache.rows([0, 1], num_new=[6, 4]))
        torch.testing.assert_close(got[1, :4], full[1, :4], rtol=1e-4, atol=1e-4)
        got = decoder(torch.stack([ids[1, 4:7], ids[0, 6:9]]), cache=cache.rows([1, 0]))
        torch.testing.assert_close(got, torch.stack([full[1, 4:7], full[0, 6:9]]), rtol=1e-4, atol=1e-4)
        assert cache.lengths == [9, 7]
        positions, mask = pack_sequences([5, 7])
        both = decoder(torch.cat([ids[:1, :5], ids[1:, :7]], dim=1), positions_BT=positions, mask=mask)
        torch.testing.assert_close(both[0, :5], full[0, :5], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(both[0, 5:], full[1, :7], rtol=1e-4, atol=1e-4)


def test_logits_changed_after_the_projection_raise(tmp_path: Path) -> None:
    import transformers

    config = transformers.CohereConfig(**SIZES, logit_scale=0.5)
    transformers.CohereForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(Unsupported, match="changes its logits"):
        load_decoder(tmp_path)


def test_unsupported_rope_scaling_uses_transformers(tmp_path: Path) -> None:
    import transformers

    rope = {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 2.0}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES, rope_parameters=rope)).eval()
    model.save_pretrained(tmp_path)
    decoder = load_decoder(tmp_path)
    assert not isinstance(decoder, LlamaDecoder)
    torch.testing.assert_close(decoder(random_ids(1, 9)), model(random_ids(1, 9)).logits)


def test_sharded_folders_are_read_completely(tmp_path: Path) -> None:
    model = tiny_model("llama")
    model.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    with torch.no_grad():
        torch.testing.assert_close(load_decoder(tmp_path)(random_ids(1, 9)), model(random_ids(1, 9)).logits, rtol=1e-4, atol=1e-5)
    next(tmp_path.glob("model-*.safetensors")).unlink()
    with pytest.raises(BadInput, match="lacks 1 of its"):
        load_decoder(tmp_path)


def test_missing_unknown_and_misshapen_weights_raise(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    full = dict(read_safetensors(file))
    name = "model.layers.1.mlp.up_proj.weight"
    for tensors, complaint in (
        ({key: value for key, value in full.items() if key != name}, "lack 1 tensors"),
        (full | {"model.layers.9.strange.weight": torch.zeros(1)}, "does not have"),
        (full | {name: torch.zeros(3, 3)}, "shape"),
    ):
        write_safetensors(file, tensors, {})
        with pytest.raises(Untrusted, match=complaint):
            load_decoder(tmp_path)
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(Untrusted, match="truncated"):
        load_decoder(file)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    import transformers

    (tmp_path / "config.json").write_text(json.dumps(transformers.LlamaConfig(**SIZES).to_dict()))
    with pytest.raises(BadInput, match=r"no model\.safetensors"):
        load_decoder(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    for path in (tmp_path, tmp_path / "pytorch_model.bin"):
        with pytest.raises(Untrusted, match="pickle file"):
            load_decoder(path)


def test_invalid_folders_and_dtypes_raise_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no config\.json"):
        load_decoder(tmp_path)
    with pytest.raises(BadInput, match="not a supported type"):
        load_decoder(tmp_path, dtype="int3")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(Untrusted, match="incomplete"):
        load_decoder(tmp_path)


@pytest.mark.slow
@torch.no_grad()
def test_the_default_models_logits_equal_transformers(default_model: Files) -> None:
    """The same dequantised weights through transformers' own reader of GGUF: equal to 2e-4, of logits up to some 30.

    Float32 sums over 576 to 1,536 products in another order leave relative errors near 1e-6 per matrix, over 30 layers."""
    import transformers
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    described = load_gguf_checkpoint(str(default_model.weights))["config"]
    reference_logits = transformers.LlamaForCausalLM(transformers.LlamaConfig(**described)).eval()
    tensors = load_gguf_checkpoint(str(default_model.weights), return_tensors=True, model_to_load=reference_logits)["tensors"]
    absent, foreign = reference_logits.load_state_dict(tensors, strict=False)
    assert (absent, foreign) == (["lm_head.weight"], [])
    ours = load_decoder(default_model.weights)
    ids = torch.randint(0, 49152, (2, 64), generator=torch.Generator().manual_seed(5))
    expected = reference_logits(ids).logits
    assert (ours(ids) - expected).abs().max() < 2e-4
    assert expected.abs().max() > 5

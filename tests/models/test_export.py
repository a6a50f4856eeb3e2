from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from tests.models.test_llama_decoder import FAMILIES, SIZES, random_ids, tiny_model
from tests.models.tiny import CHATML, Files, byte_level_metadata, sentencepiece_metadata
from yearling.errors import BadInput, Unsupported, Untrusted
from yearling.models import ChatTemplate, Tokenizer, export_decoder, export_gguf, load_decoder, new_adapter
from yearling.models.export import QUANTISATIONS
from yearling.models.gguf import read_gguf
from yearling.models.gguf_tokenizer import PRE_TOKENIZERS, build_tokenizer
from yearling.models.gguf_tokenizer_export import folder_to_gguf_vocabulary
from yearling.models.torch_facade import attach_adapter


def save_vocabulary(folder: Path, metadata: dict[str, Any]) -> None:
    """What a Hugging Face folder says of its tokenizer."""
    tokens = metadata["tokenizer.ggml.tokens"]
    build_tokenizer(metadata).save(str(folder / "tokenizer.json"))
    words = {
        "bos_token": tokens[metadata["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[metadata["tokenizer.ggml.eos_token_id"]],
        "chat_template": CHATML,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(words))


def model_folder(name: str, folder: Path) -> Path:
    model = tiny_model(name)
    model.save_pretrained(folder)
    save_vocabulary(folder, byte_level_metadata())
    return folder


def next_token_logprobs(weights: Path, ids: list[int], *, adapter: Path | None = None) -> dict[int, float]:
    """Log-probability of the eight likeliest next tokens, from llama.cpp with keys and values in float32."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx, params.n_parallel, params.port, params.verbosity = 256, 1, 0, 0
    params.cpuparams.n_threads = 2
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if adapter is not None:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    server = xllamacpp.Server(params)
    body = {"prompt": ids, "n_predict": 1, "n_probs": 8, "temperature": 0, "cache_prompt": False}
    answer = httpx.post(f"{server.listening_address}/completion", json=body, timeout=60).json()
    return {entry["id"]: entry["logprob"] for entry in answer["completion_probabilities"][0]["top_logprobs"]}


@pytest.mark.parametrize("name", [name for name in FAMILIES if "window" not in name])
@torch.no_grad()
def test_a_folder_exported_to_gguf_gives_the_same_logprobs(name: str, tmp_path: Path) -> None:
    folder = model_folder(name, tmp_path)
    target = tmp_path / "model.gguf"
    export_gguf(folder, target, "F32")
    ids = random_ids(2, 30)
    torch.testing.assert_close(load_decoder(target)(ids), load_decoder(folder)(ids), rtol=0, atol=2e-6)


@pytest.mark.parametrize("quantisation", sorted(QUANTISATIONS))
@torch.no_grad()
def test_each_layout_is_as_close_as_its_precision(quantisation: str, tmp_path: Path) -> None:
    """A weight's error is within half a unit in the last place (F16, BF16) or a share of its block's largest (Q8_0, Q4_0)."""
    import transformers

    torch.manual_seed(1)
    sizes = SIZES | {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96}
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes)).save_pretrained(tmp_path)
    save_vocabulary(tmp_path, byte_level_metadata())
    export_gguf(tmp_path, tmp_path / "model.gguf", quantisation.lower())
    before, after = (
        dict(load_decoder(tmp_path).named_parameters()),
        dict(load_decoder(tmp_path / "model.gguf").named_parameters()),
    )
    bound = {"F32": 0.0, "F16": 2**-11, "BF16": 2**-8, "Q8_0": 1 / 254 + 2**-10, "Q4_0": 1 / 8 + 2**-9}[quantisation]
    for parameter, weight in before.items():
        blocks, repeated = weight.reshape(-1, 32), after[parameter].reshape(-1, 32)
        assert ((blocks - repeated).abs() <= bound * blocks.abs().amax(1, keepdim=True) + 1e-7).all(), parameter
    kinds = {
        info.ggml_type for name, info in read_gguf(tmp_path / "model.gguf").tensors.items() if name.endswith("ffn_up.weight")
    }
    assert kinds == {{"F32": 0, "F16": 1, "BF16": 30, "Q8_0": 8, "Q4_0": 2}[quantisation]}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FAMILIES if "window" not in name])
@torch.no_grad()
def test_llama_cpp_reads_every_exported_family(name: str, tmp_path: Path) -> None:
    """Rotary order and scaling, biases and norms mean the same there: equal to 1e-4 nats on random networks of each family."""
    export_gguf(model_folder(name, tmp_path), tmp_path / "model.gguf", "F32")
    ids = random_ids(1, 60)[0].tolist()
    ours = load_decoder(tmp_path / "model.gguf")(torch.tensor([ids]))[0, -1].log_softmax(-1)
    expected = next_token_logprobs(tmp_path / "model.gguf", ids)
    assert max(abs(logprob - float(ours[index])) for index, logprob in expected.items()) < 1e-4


def test_a_tokenizer_larger_than_the_network_is_refused(tmp_path: Path) -> None:
    save_vocabulary(tmp_path, byte_level_metadata())
    with pytest.raises(Untrusted, match="200 rows"):
        folder_to_gguf_vocabulary(tmp_path, 200)


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = model_folder("llama3-scaled", tmp_path)
    for target in ("a.gguf", "b.gguf"):
        export_gguf(folder, tmp_path / target, "Q8_0")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    decoder = load_decoder(folder)
    for target in ("a", "b"):
        export_decoder(decoder, tmp_path / target, source=folder)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_the_exported_tokenizer_and_template_equal_the_source(tmp_path: Path) -> None:
    folder = model_folder("llama", tmp_path)
    export_gguf(folder, tmp_path / "model.gguf", "F16")
    ours, expected = Tokenizer.from_gguf(tmp_path / "model.gguf"), Tokenizer.from_hf_folder(folder)
    for text in ("hello wor 123 <tool_call>", "世界 🙂 e\u0301\n\n\tx", "<|im_start|>user<|im_end|>"):
        for special in (False, True):
            assert ours.encode(text, special=special) == expected.encode(text, special=special)
    assert ours.stop_ids == expected.stop_ids
    assert ours.bos_id == expected.bos_id
    messages = [{"role": "user", "content": "hello"}]
    assert ChatTemplate.from_gguf(tmp_path / "model.gguf").render(messages) == ChatTemplate.from_hf_folder(folder).render(
        messages
    )


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_the_pre_tokenizer_is_identified_by_its_effect(pre: str, tmp_path: Path) -> None:
    save_vocabulary(tmp_path, byte_level_metadata(pre))
    (tmp_path / "config.json").write_text("{}")
    assert folder_to_gguf_vocabulary(tmp_path, 300)["tokenizer.ggml.pre"] == pre


def test_sentencepiece_is_exported_to_gguf(tmp_path: Path) -> None:
    metadata = sentencepiece_metadata()
    save_vocabulary(tmp_path, metadata)
    (tmp_path / "config.json").write_text("{}")
    repeated = Tokenizer(build_tokenizer(folder_to_gguf_vocabulary(tmp_path, 280)), stop_ids=(), bos_id=None)
    first = Tokenizer(build_tokenizer(metadata), stop_ids=(), bos_id=None)
    for text in ("abc ab d", "é a</s>b", "  abcabc"):
        assert repeated.encode(text) == first.encode(text)


def test_a_pre_tokenizer_without_a_gguf_name_raises(tmp_path: Path) -> None:
    from tokenizers import pre_tokenizers

    pipeline = build_tokenizer(byte_level_metadata())
    pipeline.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    pipeline.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(Unsupported, match="no name in GGUF"):
        folder_to_gguf_vocabulary(tmp_path, 300)


@torch.no_grad()
def test_a_gguf_file_exported_to_a_folder_gives_the_same_logprobs(tmp_path: Path) -> None:
    import transformers

    source = tmp_path / "model.gguf"
    export_gguf(model_folder("qwen3", tmp_path), source, "F32")
    decoder = load_decoder(source)
    export_decoder(decoder, tmp_path / "out", source=source)
    ids = random_ids(2, 20)
    torch.testing.assert_close(load_decoder(tmp_path / "out")(ids), decoder(ids), rtol=0, atol=0)
    expected = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    torch.testing.assert_close(expected(ids).logits, decoder(ids), rtol=1e-4, atol=1e-4)
    tokenizer = Tokenizer.from_hf_folder(tmp_path / "out")
    assert tokenizer.encode("hello <|im_end|>", special=True) == Tokenizer.from_gguf(source).encode(
        "hello <|im_end|>", special=True
    )
    assert tokenizer.stop_ids == Tokenizer.from_gguf(source).stop_ids
    assert ChatTemplate.from_hf_folder(tmp_path / "out").source == CHATML


def test_a_window_limits_the_context_of_the_exported_file(tmp_path: Path) -> None:
    export_gguf(model_folder("mistral-window", tmp_path), tmp_path / "model.gguf", "F16")
    metadata = read_gguf(tmp_path / "model.gguf").metadata
    assert (metadata["general.architecture"], metadata["llama.context_length"]) == ("llama", 7)


def test_unsupported_exports_raise(tmp_path: Path) -> None:
    folder = model_folder("llama", tmp_path)
    with pytest.raises(BadInput, match="not a supported layout"):
        export_gguf(folder, tmp_path / "model.gguf", "Q3_K_XXL")
    decoder = load_decoder(folder)
    attach_adapter(decoder, new_adapter(decoder, rank=2, alpha=2, base_sha256="", seed=0), base_sha256="")
    with pytest.raises(Unsupported, match="adapter attached"):
        export_decoder(decoder, tmp_path / "model.gguf", source=folder)
    assert not (tmp_path / "model.gguf").exists()
    scaled = model_folder("llama3-scaled", tmp_path / "scaled")
    export_gguf(scaled, tmp_path / "scaled.gguf", "F32")
    with pytest.raises(Unsupported, match="one by one"):
        export_decoder(load_decoder(tmp_path / "scaled.gguf"), tmp_path / "out", source=tmp_path / "scaled.gguf")


def test_numbers_too_large_for_f16_are_refused(tmp_path: Path) -> None:
    folder = model_folder("llama", tmp_path)
    decoder = load_decoder(folder)
    with torch.no_grad():
        next(iter(decoder.parameters()))[0, 0] = 1e6
    with pytest.raises(Unsupported, match="too large"):
        export_decoder(decoder, tmp_path / "model.gguf", source=folder, quantisation="F16")
    assert not list(tmp_path.glob("model.gguf*"))


@pytest.mark.slow
@pytest.mark.parametrize(("quantisation", "tolerance"), [("F32", 1e-3), ("BF16", 0.05), ("Q8_0", 0.4), ("Q4_0", 0.6)])
@torch.no_grad()
def test_llama_cpp_answers_from_the_exported_file(
    default_model: Files, tmp_path: Path, quantisation: str, tolerance: float
) -> None:
    """From the network in torch to a folder, to GGUF, to llama.cpp: the likeliest tokens' log-probabilities stay.

    Tolerances in nats. llama.cpp rounds activations to the weights' type (BF16) or to 8 bits (quantised layouts), which moves
    these log-probabilities by up to 0.2 when torch is made to do the same; in float32 only the order of sums differs."""
    decoder = load_decoder(default_model.weights)
    export_decoder(decoder, tmp_path / "folder", source=default_model.weights)
    export_gguf(tmp_path / "folder", tmp_path / "model.gguf", quantisation)
    tokenizer = Tokenizer.from_gguf(tmp_path / "model.gguf")
    template = ChatTemplate.from_gguf(tmp_path / "model.gguf")
    ids = template.encode(tokenizer, [{"role": "user", "content": "What is the capital of France?"}])
    assert ids == ChatTemplate.load(default_model).encode(
        Tokenizer.load(default_model), [{"role": "user", "content": "What is the capital of France?"}]
    )
    ours = load_decoder(tmp_path / "model.gguf")(torch.tensor([ids]))[0, -1].log_softmax(-1)
    expected = next_token_logprobs(tmp_path / "model.gguf", ids)
    likely = {index: logprob for index, logprob in expected.items() if logprob > -6}
    assert likely
    assert max(abs(logprob - float(ours[index])) for index, logprob in likely.items()) < tolerance

from __future__ import annotations

import json
import os
import random
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models.tiny import Files, byte_level_metadata, gguf_file, sentencepiece_metadata
from yearling.errors import BadInput, Unsupported, Untrusted
from yearling.models import Tokenizer
from yearling.models.gguf_tokenizer import _PATTERNS, PRE_TOKENIZERS, build_tokenizer
from yearling.models.tokenizer_metadata import cache_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_gguf(gguf_file(folder, byte_level_metadata()))


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.from_gguf(gguf_file(tmp_path_factory.mktemp("spm"), sentencepiece_metadata()))


def names(tokenizer: Tokenizer, text: str, *, special: bool = False) -> list[str]:
    return [tokenizer.token_bytes(index).decode(errors="replace") for index in tokenizer.encode(text, special=special)]


def test_merges_apply_within_words(tokenizer: Tokenizer) -> None:
    assert names(tokenizer, "hello wor") == ["hello", " wor"]


def test_smollm_splits_every_digit_and_gpt2_does_not(tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert names(tokenizer, "12") == ["1", "2"]
    assert names(Tokenizer.from_gguf(gguf_file(tmp_path, byte_level_metadata("gpt-2"))), "12") == ["12"]


def test_special_names_are_text_by_default(tokenizer: Tokenizer) -> None:
    assert names(tokenizer, "<|im_end|>", special=True) == ["<|im_end|>"]
    assert tokenizer.encode("<|im_end|>", special=True) == [2]
    plain = tokenizer.encode("<|im_end|>")
    assert 2 not in plain
    assert tokenizer.decode(plain) == "<|im_end|>"


def test_user_defined_tokens_are_matched_in_any_text(tokenizer: Tokenizer) -> None:
    assert names(tokenizer, "a<tool_call>   b") == ["a", "<tool_call>", "   ", "b"]


def test_decode_skips_control_tokens_by_default(tokenizer: Tokenizer) -> None:
    ids = [1, *tokenizer.encode("hello"), 2]
    assert tokenizer.decode(ids) == "hello"
    assert tokenizer.decode(ids, skip_special=False) == "<|im_start|>hello<|im_end|>"


def test_stop_ids_are_eos_and_end_of_turn_names(tokenizer: Tokenizer) -> None:
    assert tokenizer.stop_ids == {0, 2, 3}
    assert tokenizer.bos_id == 1
    assert not tokenizer.adds_bos
    assert tokenizer.special_ids == {0, 1, 2, 3}


def test_control_tokens_that_divide_an_answer_have_text(tmp_path: Path) -> None:
    metadata = byte_level_metadata()
    marks = ["<|return|>", "<|call|>", "<|end|>", "<|channel|>", "[TOOL_CALLS]", "<|other|>"]
    first = len(metadata["tokenizer.ggml.tokens"])
    metadata["tokenizer.ggml.tokens"] += marks
    metadata["tokenizer.ggml.token_type"] += [3] * len(marks)
    tokenizer = Tokenizer.from_gguf(gguf_file(tmp_path, metadata))
    ids = tokenizer.encode("[TOOL_CALLS]hello<|other|><|channel|>", special=True)
    assert ids[0] == first + 4
    assert tokenizer.decode(ids) == "[TOOL_CALLS]hello<|channel|>"
    assert first + 4 not in tokenizer.encode("[TOOL_CALLS]hello"), "what people write is no mark"
    assert {first, first + 1} <= tokenizer.stop_ids
    assert first + 2 not in tokenizer.stop_ids, "<|end|> ends a part of an answer of gpt-oss"


def test_an_unknown_pre_tokenizer_raises(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="invented"):
        Tokenizer.from_gguf(gguf_file(tmp_path, byte_level_metadata("invented")))


def test_an_unknown_kind_and_a_missing_vocabulary_raise() -> None:
    with pytest.raises(Unsupported, match="wordpiece"):
        build_tokenizer(byte_level_metadata() | {"tokenizer.ggml.model": "wordpiece"})
    with pytest.raises(Untrusted, match="no vocabulary"):
        build_tokenizer({"tokenizer.ggml.model": "gpt2"})


@pytest.mark.parametrize(
    ("pre", "text", "expected"),
    [
        ("qwen2", "it's 123\n\n  x", ["it", "'s", " ", "1", "2", "3", "\n\n", " ", " x"]),
        ("qwen35", "कि 12", ["कि", " ", "1", "2"]),
        ("dbrx", "it's 1234!\n", ["it", "'s", " ", "123", "4", "!\n"]),
        ("smaug-bpe", "it's 1234!\n", ["it", "'s", " ", "123", "4", "!\n"]),
        ("llama-bpe", "it's 1234!\n", ["it", "'s", " ", "123", "4", "!\n"]),
        ("gpt-2", "it's 1234  x", ["it", "'s", " 1234", " ", " x"]),
        ("smollm", "a 12", ["a", " ", "1", "2"]),
        ("tekken", "HelloWorld 12/\n", ["Hello", "World", " ", "1", "2", "/\n"]),
        ("default", "a==12345", ["a", "==", "123", "45"]),
    ],
)
def test_each_pre_tokenizer_splits_as_its_model_does(pre: str, text: str, expected: list[str]) -> None:
    cuts = build_tokenizer(byte_level_metadata(pre)).pre_tokenizer.pre_tokenize_str(text)
    assert [text[start:end] for _, (start, end) in cuts] == expected


def test_every_pre_tokenizer_compiles() -> None:
    for pre in _PATTERNS:
        assert build_tokenizer(byte_level_metadata(pre)).encode("a 1").ids


@given(st.text())
def test_byte_level_text_round_trips(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids, skip_special=False) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()


@given(st.text())
def test_sentencepiece_text_round_trips(pieces: Tokenizer, text: str) -> None:
    assert pieces.decode(pieces.encode(text)) == text.replace("▁", " ")


def test_sentencepiece_joins_the_best_scored_pair_first(pieces: Tokenizer) -> None:
    # 'bc' (-0.5) is joined before 'ab' (-1), then 'abc' (-4), then '▁abc' (-3).
    assert names(pieces, "abc") == [" abc"]
    assert names(pieces, "ab d") == [" ab", " ", "d"]
    assert pieces.adds_bos
    assert pieces.stop_ids == {2}


def test_sentencepiece_spells_unknown_characters_in_bytes(pieces: Tokenizer) -> None:
    ids = pieces.encode("é")
    assert [pieces.token_bytes(index) for index in ids] == [b" ", b"\xc3", b"\xa9"]
    assert pieces.decode(ids) == "é"


@given(st.lists(st.integers(min_value=-1, max_value=400)), st.booleans())
def test_a_stream_equals_decode(tokenizer: Tokenizer, ids: list[int], skip_special: bool) -> None:
    stream = tokenizer.new_stream_decoder(skip_special=skip_special)
    pushed = [stream.push(index) for index in ids]
    valid = b"".join(tokenizer.token_bytes(i) for i in ids if not (skip_special and i in tokenizer.special_ids))
    assert "".join(pushed) + stream.flush() == tokenizer.decode(ids, skip_special=skip_special) == valid.decode(errors="replace")


@given(st.lists(st.integers(min_value=0, max_value=268)))
def test_a_sentencepiece_stream_equals_decode(pieces: Tokenizer, ids: list[int]) -> None:
    stream = pieces.new_stream_decoder()
    assert "".join([stream.push(index) for index in ids]) + stream.flush() == pieces.decode(ids)


@given(st.text(min_size=1))
def test_a_stream_never_shows_half_a_character(tokenizer: Tokenizer, text: str) -> None:
    stream = tokenizer.new_stream_decoder(skip_special=False)
    for index in tokenizer.encode(text):
        assert "\ufffd" not in stream.push(index).replace("\ufffd", "", text.count("\ufffd"))
    assert stream.flush() == ""


def test_an_incomplete_character_ends_as_a_replacement_character(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("🙂")
    stream = tokenizer.new_stream_decoder()
    assert [stream.push(index) for index in ids[:-1]] == [""] * (len(ids) - 1)
    assert stream.flush() == "\ufffd"


def test_a_lone_surrogate_is_bad_input(tokenizer: Tokenizer) -> None:
    with pytest.raises(BadInput, match="surrogate"):
        tokenizer.encode("\ud800")


def test_the_cache_is_valid_for_its_own_file_only(tmp_path: Path) -> None:
    model = Files(tmp_path, gguf_file(tmp_path, byte_level_metadata()))
    cache_tokenizer(model)
    cached = Tokenizer.load(model)
    fresh = Tokenizer.from_gguf(model.weights)
    for text in ("hello wor 12", "<|im_end|>", "日本 🙂"):
        for special in (False, True):
            assert cached.encode(text, special=special) == fresh.encode(text, special=special)
    assert (cached.stop_ids, cached.bos_id, cached.vocab_size) == (fresh.stop_ids, fresh.bos_id, fresh.vocab_size)

    gguf_file(tmp_path, byte_level_metadata("gpt-2"))
    assert names(Tokenizer.load(model), "12") == ["1", "2"]
    assert names(Tokenizer.load(replace(model, sha256="1" * 64)), "12") == ["12"]


def test_a_folder_uses_its_own_tokenizer(tmp_path: Path) -> None:
    pipeline = build_tokenizer(byte_level_metadata())
    pipeline.enable_truncation(3)
    pipeline.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": 0}))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 2]}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": {"content": "<|im_start|>"}, "eos_token": None}))
    tokenizer = Tokenizer.load(Files(tmp_path, tmp_path / "model.safetensors", "safetensors"))
    assert tokenizer.stop_ids == {0, 2, 3}
    assert tokenizer.bos_id == 1
    assert tokenizer.decode(tokenizer.encode("hello wor 12 again")) == "hello wor 12 again"


def test_a_folder_without_a_tokenizer_is_bad_input_and_a_broken_one_untrusted(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no tokenizer\.json"):
        Tokenizer.from_hf_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(Untrusted):
        Tokenizer.from_hf_folder(tmp_path)


def test_threads_do_not_mix_up_plain_and_special(tokenizer: Tokenizer) -> None:
    wrong: list[bool] = []

    def work(special: bool) -> None:
        wrong.extend((2 in tokenizer.encode("hello <|im_end|>", special=special)) != special for _ in range(300))

    threads = [threading.Thread(target=work, args=(index % 2 == 0,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 1200
    assert not any(wrong)


def real_texts(wanted: int) -> list[str]:
    root = Path(os.environ.get("YEARLING_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip("needs real texts in YEARLING_SHARED_DATA or ../shared/data")
    texts = [
        *("", " ", "\n", "\t\t x", "  a   b \r\n\r\n c", "١٢٣ ½ Ⅷ 五", "👩\u200d👩\u200d👧🏳️\u200d🌈", "e\u0301 é"),
        *("\u00a0\u2003\u3000x", "a\u200bb", "\u0000\u0007", "<|im_start|>user\n<|im_end|>", "don't WE'LL 'tis", "1" * 40),
        *("if x == 1:\n\treturn  {'a': [1, 2]}  # ok\n", "𝔘𝔫𝔦 \u202e ﷽", "!" * 70),
    ]
    for file in sorted([*Path(__file__).parents[2].glob("yearling/**/*.py"), *Path(__file__).parents[1].glob("**/*.py")]):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        texts += ["".join(lines[i : i + 12]) for i in range(0, min(len(lines), 96), 12)]
    quota = 200
    for file in sorted(
        path for path in root.rglob("*") if path.is_file() and path.suffix in (".json", ".jsonl", ".txt", ".csv", ".md")
    ):
        with file.open("rb") as stream:
            text = stream.read(120_000).decode("utf-8", "ignore")
        texts += [text[i : i + 400] for i in range(0, min(len(text), quota * 400), 400)]
        if len(texts) > wanted:
            quota = 20
    return texts


def differing_from_llama_cpp(weights: Path, tokenizer: Tokenizer, texts: list[str]) -> list[tuple[str, bool]]:
    """The texts, and whether control names were parsed, that llama.cpp turns into other ids."""
    import httpx
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx, params.n_parallel, params.port, params.verbosity = 256, 1, 0, 0
    server = xllamacpp.Server(params)
    differing = []
    with httpx.Client(base_url=server.listening_address, timeout=60) as client:
        for text in texts:
            for special in (False, True):
                body = {"content": text, "parse_special": special, "add_special": False}
                if client.post("/tokenize", json=body).json()["tokens"] != tokenizer.encode(text, special=special):
                    differing.append((text, special))
    return differing


@pytest.mark.drill
def test_ids_equal_llama_cpps(default_model: Files) -> None:
    """Every text, control names parsed and not: no difference from llama.cpp's own tokenizer."""
    texts = real_texts(2000)
    assert len(texts) >= 2000
    assert differing_from_llama_cpp(default_model.weights, Tokenizer.load(default_model), texts) == []


def network_with(vocabulary: dict[str, Any], folder: Path) -> Path:
    """A GGUF file that llama.cpp opens, with this vocabulary and next to no network."""
    import transformers

    from yearling.models.export import export_decoder_gguf
    from yearling.models.torch_facade import load_decoder

    size = len(vocabulary["tokenizer.ggml.tokens"])
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.LlamaConfig(vocab_size=size, **shape)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    export_decoder_gguf(load_decoder(folder), folder / "model.gguf", "F16", vocabulary=vocabulary)
    return folder / "model.gguf"


@pytest.mark.slow
@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_every_pre_tokenizer_equals_llama_cpp(pre: str, default_model: Files, tmp_path: Path) -> None:
    """The default model's vocabulary under each rule. llama.cpp composes no characters, so composed texts only."""
    from yearling.models.export import read_gguf_vocabulary

    vocabulary = read_gguf_vocabulary(default_model.weights, 49152) | {"tokenizer.ggml.pre": pre}
    weights = network_with(vocabulary, tmp_path)
    texts = [text for text in real_texts(2000)[::5] if unicodedata.is_normalized("NFC", text)]
    assert len(texts) > 400
    assert differing_from_llama_cpp(weights, Tokenizer.from_gguf(weights), texts) == []


@pytest.mark.slow
@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_ids_equal_llama_cpps(prefix: bool, tmp_path: Path) -> None:
    weights = network_with(sentencepiece_metadata(**{"tokenizer.ggml.add_space_prefix": prefix}), tmp_path)
    chance = random.Random(1)
    pieces = ["a", "b", "c", "d", " ", "  ", "é", "世", "🙂", "\n", "</s>", "<s>", "x"]
    texts = ["".join(chance.choices(pieces, k=chance.randint(0, 30))) for _ in range(500)]
    assert differing_from_llama_cpp(weights, Tokenizer.from_gguf(weights), texts) == []


@pytest.mark.drill  # it compares times, so nothing else may run
@pytest.mark.slow
def test_the_default_tokenizer_is_read_from_the_cache(default_model: Files) -> None:
    def fastest(load: Callable[[], object]) -> float:
        """Least processor time, which other processes on the machine do not change."""
        durations = []
        for _ in range(5):
            started = time.thread_time()
            load()
            durations.append(time.thread_time() - started)
        return min(durations)

    converting = fastest(lambda: Tokenizer.from_gguf(default_model.weights))
    assert fastest(lambda: Tokenizer.load(default_model)) < 0.7 * converting

"""Parsers of model files: GGUF, safetensors with adapters, tokenizer.json. Each writes an input to a file and loads it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import save_file

from tests.fuzzing.mutations import dump, mutate_bytes, mutate_json, mutate_json_bytes, words
from tests.fuzzing.target import FuzzTarget
from tests.models.artefacts import llama_folder, tiny_gguf
from tests.models.test_file_limits import KEYS, VALUES, with_metadata
from tests.models.tiny import Files, byte_level_metadata, gguf_file, sentencepiece_metadata
from yearling.errors import UserError
from yearling.models import ChatTemplate, ModelLibrary, Tokenizer, load_decoder
from yearling.models.decoder_config import DecoderConfig, config_from_gguf, config_from_hf
from yearling.models.export import export_gguf
from yearling.models.gguf import GGUFFile, MetadataValue, read_gguf, write_gguf
from yearling.models.gguf_tokenizer import build_tokenizer
from yearling.models.hf_folder import inspect_safetensors
from yearling.models.lora_files import load_adapter
from yearling.models.safetensors_files import read_safetensors, read_safetensors_metadata

_INSTALL_INTERVAL = 5
"""Installing a model writes and syncs files, so that not every input is installed."""
BASE = "ab" * 32
DECODER = DecoderConfig(
    family="llama",
    vocab_size=64,
    hidden_size=8,
    num_layers=1,
    context_tokens=32,
    num_heads=2,
    num_kv_heads=2,
    head_dim=4,
    ffn_size=8,
    norm_eps=1e-5,
    rope_theta=10_000.0,
)
TEXT = "hello world 12 <|im_end|> 日本 🙂 ab\u0000c"


class GgufTarget(FuzzTarget):
    """GGUF: the container, its tensors, the tokenizer, the template and the shape of the network that it states, adapters."""

    memory_bytes = 96 << 20
    cpu_s = 2.0

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self._count = 0

    def seeds(self) -> list[bytes]:
        """Small files with both kinds of vocabulary, one with tensors, an adapter, and one for each odd value of a key."""
        whole = tiny_gguf(self.folder / "whole.gguf", rows=4, metadata=_LLAMA)
        mixed = tiny_gguf(self.folder / "mixed.gguf", "Q8_0", rows=4)
        adapter = self.folder / "adapter.gguf"
        facts: dict[str, MetadataValue] = {
            "general.type": "adapter",
            "adapter.type": "lora",
            "adapter.lora.alpha": 4.0,
            "yearling.base_sha256": BASE,
        }
        factor = torch.zeros(2, 8).numpy()
        tensors = [("blk.0.attn_q.weight.lora_a", factor, "F32"), ("blk.0.attn_q.weight.lora_b", factor.T.copy(), "F32")]
        write_gguf(adapter, "llama", facts, tensors)
        odd = [with_metadata(whole, key, value) for key in KEYS[::3] for value in VALUES[::3]]
        network = self.folder / "network.gguf"
        export_gguf(llama_folder(self.folder / "network"), network, "F16")
        pieces = gguf_file(self.folder, sentencepiece_metadata())
        return [*(path.read_bytes() for path in (whole, mixed, network, adapter, pieces)), *odd]

    def mutate(self, data: bytes, random: Random) -> bytes:
        """Change metadata as values, or bytes of the header, which come first."""
        path = self.folder / "base.gguf"
        path.write_bytes(data)
        if random.random() < 0.5:
            try:
                return self._with_odd_metadata(path, random)
            except (UserError, ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error):
                pass
        split = random.choice((24, 200, len(data) // 2, len(data)))
        return mutate_bytes(data[:split], random) + data[split:]

    def _with_odd_metadata(self, path: Path, random: Random) -> bytes:
        file = read_gguf(path)
        key = random.choice([*file.metadata, *KEYS])
        value = file.metadata.get(key, 0)
        odd = (
            random.choice(VALUES)
            if random.random() < 0.4
            else mutate_json(value, random, ["gpt2", "llama", "smollm", "h e", "Ġ"])
        )
        if isinstance(odd, int) and not isinstance(odd, bool):
            odd %= 1 << 32
        if isinstance(odd, list):
            kinds = {type(each) for each in odd}
            odd = [str(each) for each in odd] if len(kinds) != 1 or kinds & {dict, list, type(None)} else odd
            odd = [each % (1 << 32) for each in odd] if kinds == {int} else odd
        return with_metadata(path, key, odd or 0)

    def check(self, data: bytes) -> bool:
        """Everything that reads a GGUF file reads it or raises a UserError."""
        path = self.folder / "odd.gguf"
        path.write_bytes(data)
        model = Files(self.folder, path)
        accepted = [self._passes(lambda: _read_all(read_gguf(path)))]
        if accepted[0]:
            accepted += [
                self._passes(lambda: _use(Tokenizer.from_gguf(path))),
                self._passes(lambda: ChatTemplate.load(model)),
                self._passes(lambda: _config(read_gguf(path))),
                self._passes(lambda: load_decoder(path)),
                self._passes(lambda: load_adapter(path, DECODER, base_sha256=BASE)),
            ]
            if self._count % _INSTALL_INTERVAL == 0:
                accepted.append(self._passes(lambda: self._install(path)))
        self._count += 1
        return any(accepted)

    def _install(self, path: Path) -> None:
        library = ModelLibrary(self.folder / "models")
        model = library.import_path(path, layout="keep" if self._count % 2 else "auto")
        try:
            _use(Tokenizer.load(model))
            ChatTemplate.load(model)
        finally:
            library.remove(model.name)

    def _passes(self, read: Any) -> bool:
        try:
            read()
        except UserError:
            return False
        return True


_LLAMA = {
    "llama.embedding_length": 64,
    "llama.block_count": 1,
    "llama.attention.head_count": 2,
    "llama.feed_forward_length": 16,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
}


def _config(file: GGUFFile) -> None:
    config_from_gguf(file.metadata, {name: info.shape for name, info in file.tensors.items()}, None)


def _read_all(file: GGUFFile) -> None:
    for name, info in file.tensors.items():
        if info.size_bytes < 1 << 20:
            file.read_tensor(name)


def _use(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(TEXT)
    tokenizer.decode(ids)
    for token_id in [*ids, *range(-1, 20), *tokenizer.stop_ids]:
        tokenizer.token_bytes(token_id)
    tokenizer.encode(TEXT, special=True)


class SafetensorsTarget(FuzzTarget):
    """Safetensors and PEFT adapters: one line of JSON, the adapter's configuration, then the file."""

    names = words(
        """
        dtype shape data_offsets __metadata__ F32 F16 BF16 I64 U8 BOOL F8_E4M3 C64 F4
        base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight r lora_alpha peft_type LORA bias
        """
    )

    def seeds(self) -> list[bytes]:
        """An adapter, and files with several types."""
        path, layer = self.folder / "a.safetensors", "base_model.model.model.layers.0.self_attn.q_proj.lora_"
        files: list[dict[str, torch.Tensor]] = [
            {f"{layer}A.weight": torch.zeros(2, 8), f"{layer}B.weight": torch.zeros(8, 2)},
            {"a": torch.zeros(3, dtype=torch.bfloat16), "b": torch.zeros(2, 2, dtype=torch.int64), "c": torch.zeros(0)},
            {"x": torch.zeros(1, dtype=torch.bool), "y": torch.tensor(1.0)},
        ]
        config = dump({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none", "target_modules": ["q_proj"]})
        seeds = []
        for tensors in files:
            save_file(tensors, path, {"yearling.base_sha256": BASE})
            seeds.append(config + b"\n" + path.read_bytes())
        return seeds

    def mutate(self, data: bytes, random: Random) -> bytes:
        """Change the configuration, the header as JSON with its right length, or bytes."""
        config, _, content = data.partition(b"\n")
        chance = random.random()
        if chance < 0.15:
            return mutate_json_bytes(config, random, self.names).replace(b"\n", b" ") + b"\n" + content
        if chance < 0.35:
            return config + b"\n" + mutate_bytes(content, random)
        length = int.from_bytes(content[:8], "little")
        header = mutate_json_bytes(content[8 : 8 + length], random, self.names)
        return config + b"\n" + len(header).to_bytes(8, "little") + header + content[8 + length :]

    def check(self, data: bytes) -> bool:
        """Every reader of safetensors reads the file or raises a UserError."""
        config, _, content = data.partition(b"\n")
        path = self.folder / "adapter_model.safetensors"
        path.write_bytes(content)
        (self.folder / "adapter_config.json").write_bytes(config)
        accepted = [_reads(read) for read in (self._inspect, self._read, self._load)]
        return any(accepted)

    def _inspect(self) -> None:
        number, _ = inspect_safetensors([self.folder / "adapter_model.safetensors"])
        assert number >= 0

    def _read(self) -> None:
        path = self.folder / "adapter_model.safetensors"
        for _, tensor in read_safetensors(path):
            tensor.float()
        read_safetensors_metadata(path)

    def _load(self) -> None:
        adapter = load_adapter(self.folder, DECODER, base_sha256=BASE)
        assert adapter.scale == adapter.scale


def _reads(read: Any) -> bool:
    try:
        read()
    except UserError:
        return False
    return True


class TokenizerTarget(FuzzTarget):
    """tokenizer.json, tokenizer_config.json and config.json of a Hugging Face folder: an object with the three."""

    memory_bytes = 128 << 20
    cpu_s = 2.0
    names = words(
        """
        model type BPE WordPiece Unigram WordLevel vocab merges unk_token decoder ByteLevel Metaspace ByteFallback Replace
        Strip Sequence pre_tokenizer normalizer post_processor added_tokens Split pattern Regex NFC prepend_scheme eos_token
        bos_token add_bos_token chat_template content eos_token_id vocab_size dropout continuing_subword_prefix byte_fallback
        (a+)+$ <|im_end|> start
        """
    )

    def seeds(self) -> list[bytes]:
        """Byte-level and SentencePiece vocabularies."""
        seeds = []
        for metadata in (byte_level_metadata(), sentencepiece_metadata()):
            pipeline = json.loads(build_tokenizer(metadata).to_str())
            seeds.append(dump({
                "tokenizer.json": pipeline,
                "tokenizer_config.json": {
                    "eos_token": "<|im_end|>", "bos_token": {"content": "<s>"}, "add_bos_token": True,
                    "chat_template": "{{ messages }}",
                },
                "config.json": {"model_type": "llama", "eos_token_id": [1, 2], "vocab_size": 300, "hidden_size": 8,
                                "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
                                "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "rope_theta": 10000.0},
            }))  # fmt: skip
        return seeds

    def mutate(self, data: bytes, random: Random) -> bytes:
        """Change values of one of the files; the vocabulary itself holds most of them, so the rest gets its own turn."""
        try:
            files: dict[str, Any] = json.loads(data)
            whole = files["tokenizer.json"]
            name = random.choice(sorted(files))
            if name == "tokenizer.json" and random.random() < 0.6:
                part = random.choice(sorted(whole))
                whole[part] = mutate_json(whole[part], random, self.names)
            else:
                files[name] = mutate_json(files[name], random, self.names)
            return dump(files)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            return mutate_json_bytes(data, random, self.names)

    def check(self, data: bytes) -> bool:
        """The tokenizer loads and works, or is refused with a UserError; so are the template and the configuration."""
        try:
            files = json.loads(data)
        except (ValueError, RecursionError):
            files = {"tokenizer.json": None}
        if not isinstance(files, dict):
            files = {"tokenizer.json": files}
        for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
            (self.folder / name).write_bytes(dump(files[name]) if name in files else data)
        config = files.get("config.json")
        accepted = [
            _reads(lambda: _use(Tokenizer.from_hf_folder(self.folder))),
            _reads(lambda: ChatTemplate.from_hf_folder(self.folder)),
            isinstance(config, dict) and _reads(lambda: config_from_hf(config)),
        ]
        return any(accepted)

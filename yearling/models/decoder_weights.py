"""Load weights into a decoder, and convert between our names and layouts of tensors and GGUF's.

Knows the mapping of names and llama.cpp's permutation of rotary dimensions; nothing of arithmetic. Every tensor of a file must
have a place in the decoder, and every parameter of the decoder a tensor: nothing is skipped silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from yearling.errors import BadInput, Unsupported, Untrusted
from yearling.models.decoder import Decoder
from yearling.models.decoder_config import DecoderConfig, config_from_gguf, config_from_hf
from yearling.models.gguf import read_gguf
from yearling.models.hf_folder import read_json_object
from yearling.models.llama_decoder import LlamaDecoder
from yearling.models.safetensors_files import read_safetensors
from yearling.models.sources import refuse_pickle

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

# GGUF's name of each part of a block, by our name.
_BLOCK_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_OUTER_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_OUR_BLOCK_NAMES = {gguf_name: name for name, gguf_name in _BLOCK_NAMES.items()}
_OUR_OUTER_NAMES = {gguf_name: name for name, gguf_name in _OUTER_NAMES.items()}
_ROPE_FACTORS = "rope_freqs.weight"


def open_decoder(path: Path, *, dtype: str = "float32") -> Decoder:
    """Load the network of a GGUF file, a safetensors file or a Hugging Face folder; see `torch_facade.load_decoder`."""
    if dtype not in DTYPES:
        raise BadInput(f"{dtype!r} is not a supported type for weights.", advice="Use float32 or bfloat16.", param="dtype")
    refuse_pickle(path.name)
    if path.is_file() and path.suffix != ".safetensors":
        return _from_gguf(path, DTYPES[dtype])
    folder = path if path.is_dir() else path.parent
    hf_config = read_json_object(folder / "config.json", missing_ok=True)
    if not hf_config:
        raise BadInput(f"The model folder {folder.name} has no config.json.", advice="Give a whole Hugging Face folder.")
    try:
        config = config_from_hf(hf_config)
    except Unsupported as reason:
        from yearling.models.transformers_decoder import open_transformers_decoder

        return open_transformers_decoder(folder, DTYPES[dtype], reason)
    return fill_decoder(config, read_safetensors(path), DTYPES[dtype])


def fill_decoder(config: DecoderConfig, tensors: Iterable[tuple[str, Tensor]], dtype: torch.dtype) -> LlamaDecoder:
    """A decoder with these parameters, in evaluation mode. Raises Untrusted if one is missing, unknown or of the wrong shape."""
    with torch.device("meta"):
        decoder = LlamaDecoder(config)
    expected_shapes = {name: parameter.shape for name, parameter in decoder.named_parameters()}
    parameters: dict[str, Tensor] = {}
    for name, tensor in tensors:
        if name.endswith("rotary_emb.inv_freq") or (name == "lm_head.weight" and config.tied_embeddings):
            continue  # derived from other values; older checkpoints store them too
        if name not in expected_shapes:
            raise Untrusted(
                f"The weights contain a tensor that the model does not have: {name}.", advice="Fetch the model again."
            )
        if tensor.shape != expected_shapes[name]:
            raise Untrusted(
                f"The tensor {name} has the shape {tuple(tensor.shape)} but {tuple(expected_shapes[name])} is expected."
            )
        parameters[name] = tensor.to(dtype)
    missing = sorted(expected_shapes.keys() - parameters.keys())
    if missing:
        raise Untrusted(f"The weights lack {len(missing)} tensors, such as {missing[0]}.", advice="Fetch the model again.")
    decoder.load_state_dict(parameters, assign=True, strict=False)  # the checks above are stricter, and know tied weights
    if config.tied_embeddings:
        decoder.tie_embeddings()
    return decoder.eval()


def to_gguf_name(name: str) -> str:
    """GGUF's name of one of our parameters. Raises ValueError if it has none."""
    stem, _, kind = name.rpartition(".")
    if stem in _OUTER_NAMES:
        return f"{_OUTER_NAMES[stem]}.{kind}"
    match = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", stem)
    if match is None or match[2] not in _BLOCK_NAMES:
        raise ValueError(f"no GGUF name for {name}")
    return f"blk.{match[1]}.{_BLOCK_NAMES[match[2]]}.{kind}"


def from_gguf_name(name: str) -> str | None:
    """Our name of a GGUF tensor; None if it has no place in a decoder."""
    stem, _, kind = name.rpartition(".")
    if stem in _OUR_OUTER_NAMES:
        return f"{_OUR_OUTER_NAMES[stem]}.{kind}"
    match = re.fullmatch(r"blk\.(\d+)\.(.+)", stem)
    if match is None or match[2] not in _OUR_BLOCK_NAMES:
        return None
    return f"model.layers.{match[1]}.{_OUR_BLOCK_NAMES[match[2]]}.{kind}"


def num_permuted_heads(config: DecoderConfig, name: str) -> int:
    """Number of heads of a parameter (or of its LoRA factor) that llama.cpp stores in its own rotary order; 0 if it does not.

    llama.cpp rotates neighbouring dimensions for `llama` files; for all others it rotates the two halves of a head, as we do.
    """
    if config.family not in ("llama", "mistral"):
        return 0
    return config.num_heads if ".q_proj." in name else config.num_kv_heads if ".k_proj." in name else 0


def to_interleaved_rotary(tensor: Tensor, heads: int) -> Tensor:
    """Reorder rows from halves (d, d + D/2) to neighbours (2d, 2d + 1), head by head: the order of `llama` GGUF files."""
    return tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, -1).transpose(1, 2).reshape(tensor.shape)


def to_half_split_rotary(tensor: Tensor, heads: int) -> Tensor:
    """The inverse of `to_interleaved_rotary`. Raises Untrusted unless the rows fill the heads."""
    if 0 in tensor.shape or not tensor.dim() or tensor.shape[0] % (2 * heads):
        raise Untrusted(f"A tensor of the shape {tuple(tensor.shape)} has no {heads} heads.", advice="Fetch the model again.")
    return tensor.reshape(heads, tensor.shape[0] // heads // 2, 2, -1).transpose(1, 2).reshape(tensor.shape)


def gguf_tensors(decoder: LlamaDecoder) -> Iterator[tuple[str, Tensor]]:
    """(GGUF name, float32 tensor) of every parameter in llama.cpp's layout, embeddings first."""
    config = decoder.config
    if config.rope_factors is not None:
        yield _ROPE_FACTORS, torch.tensor(config.rope_factors, dtype=torch.float32)
    for name, parameter in decoder.named_parameters():
        tensor = parameter.detach().float().cpu()
        heads = num_permuted_heads(config, name)
        yield to_gguf_name(name), to_interleaved_rotary(tensor, heads) if heads else tensor


def _from_gguf(path: Path, dtype: torch.dtype) -> Decoder:
    file = read_gguf(path)
    factors = file.read_tensor(_ROPE_FACTORS) if _ROPE_FACTORS in file.tensors else None
    config = config_from_gguf(file.metadata, {name: info.shape for name, info in file.tensors.items()}, factors)

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for name in file.tensors:
            parameter_name = from_gguf_name(name)
            if name == _ROPE_FACTORS:
                continue
            if parameter_name is None:
                raise Unsupported(f"{path.name} contains the tensor {name}, which has no place in a {config.family} decoder.")
            tensor = torch.from_numpy(file.read_tensor(name))
            heads = num_permuted_heads(config, parameter_name)
            yield parameter_name, to_half_split_rotary(tensor, heads) if heads else tensor

    return fill_decoder(config, tensors(), dtype)

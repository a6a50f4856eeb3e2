"""The shape of a Llama-family decoder, read from and written to the descriptions in model files.

Knows the two formats (a Hugging Face config.json, GGUF metadata) and refuses anything that would need other arithmetic than
that of `llama_decoder.py`: a model is loaded exactly or not at all. Holds no tensors and needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yearling.errors import Unsupported, Untrusted, malformed_as_untrusted

SUPPORTED_FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""`model_type` of config.json. GGUF calls Mistral `llama` too; SmolLM2 is a Llama."""


MAX_LAYERS = 1_000
MAX_WIDTH = 1 << 20
"""Largest width of a layer or head, and largest number of heads."""
MAX_TOKENS = 1 << 28
"""Largest vocabulary and context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderShape:
    """What all networks report. `family` is `model_type` of config.json, `hf_config` that file's content if there is one."""

    family: str
    vocab_size: int
    hidden_size: int
    num_layers: int
    context_tokens: int
    hf_config: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig(DecoderShape):
    """Sizes and switches of a Llama-family decoder.

    `rope_factors` divide the rotary frequencies one by one (Llama 3's scaling and linear scaling alike). `windows` holds, per
    layer, how many tokens back it sees, or None for all.
    """

    num_heads: int
    num_kv_heads: int
    head_dim: int
    ffn_size: int
    norm_eps: float
    rope_theta: float
    rope_factors: tuple[float, ...] | None = None
    windows: tuple[int | None, ...] = ()
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    tied_embeddings: bool = False

    def __post_init__(self) -> None:
        widths = (self.hidden_size, self.num_heads, self.num_kv_heads, self.head_dim, self.ffn_size)
        limits = {MAX_LAYERS: (self.num_layers,), MAX_WIDTH: widths, MAX_TOKENS: (self.vocab_size, self.context_tokens)}
        numbers = (self.norm_eps, self.rope_theta)
        is_possible = all(_is_size(size, most) for most, sizes in limits.items() for size in sizes)
        is_possible &= all(isinstance(number, int | float) and 0 < number < math.inf for number in numbers)
        if is_possible:
            is_possible = not (self.num_heads % self.num_kv_heads or self.head_dim % 2 or 0 < len(self.windows) < self.num_layers)
            is_possible &= self.rope_factors is None or len(self.rope_factors) == self.head_dim // 2
        if not is_possible:
            raise Untrusted("The model's configuration has impossible sizes.", advice="Fetch the model again.")

    def window(self, layer: int) -> int | None:
        """How many tokens back a layer sees; None for all."""
        return self.windows[layer] if self.windows else None

    @property
    def num_parameters(self) -> int:
        """Number of weights of the network; a tied embedding counts once."""
        query, key = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        attention = self.hidden_size * (2 * query + 2 * key) + self.qkv_bias * (query + 2 * key)
        attention += self.output_bias * self.hidden_size + self.qk_norm * 2 * self.head_dim
        mlp = 3 * self.hidden_size * self.ffn_size + self.mlp_bias * (2 * self.ffn_size + self.hidden_size)
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tied_embeddings else 2)
        return embeddings + self.num_layers * (attention + mlp + 2 * self.hidden_size) + self.hidden_size


def _is_size(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def _require_sizes(head_dim: object, num_layers: object) -> None:
    """The sizes of what is built before the configuration itself. Raises ValueError."""
    if not (_is_size(head_dim, MAX_WIDTH) and _is_size(num_layers, MAX_LAYERS)):
        raise ValueError("a size is missing or impossible")


@malformed_as_untrusted("The model's config.json")
def config_from_hf(config: Mapping[str, Any]) -> DecoderConfig:
    """From a config.json. Raises Unsupported for another family or a feature that we do not compute, Untrusted if fields are
    missing or wrong.
    """
    family = config.get("model_type", "")
    if not isinstance(family, str):
        raise Untrusted("The model's config.json does not name its architecture.", advice="Fetch the model again.")
    if family not in SUPPORTED_FAMILIES:
        raise Unsupported(f"The architecture {family!r} is not of the Llama family.")
    if config.get("hidden_act", "silu") != "silu":
        raise Unsupported(f"The activation {config['hidden_act']!r} is not supported.")
    if config.get("quantization_config"):
        raise Unsupported("The safetensors hold quantised weights.", advice="Use the unquantised model, or its GGUF file.")
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    head_dim = config.get("head_dim") or hidden // heads
    _require_sizes(head_dim, config["num_hidden_layers"])
    theta, factors = _hf_rope(config, head_dim)
    bias = bool(config.get("attention_bias", False))
    return DecoderConfig(
        family=family,
        vocab_size=config["vocab_size"],
        hidden_size=hidden,
        num_layers=config["num_hidden_layers"],
        num_heads=heads,
        num_kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=head_dim,
        ffn_size=config["intermediate_size"],
        context_tokens=config.get("max_position_embeddings", 2048),
        norm_eps=config.get("rms_norm_eps", 1e-6),
        rope_theta=theta,
        rope_factors=factors,
        windows=_hf_windows(config),
        qkv_bias=family == "qwen2" or bias,
        output_bias=family in ("llama", "qwen3") and bias,
        mlp_bias=bool(config.get("mlp_bias", False)),
        qk_norm=family == "qwen3",
        tied_embeddings=bool(config.get("tie_word_embeddings", False)),
        hf_config=dict(config),
    )


@malformed_as_untrusted("The metadata of the GGUF file")
def config_from_gguf(
    metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], rope_factors: Iterable[float] | None
) -> DecoderConfig:
    """From GGUF metadata, the shapes of the tensors by name, and the values of `rope_freqs.weight` (None without it).

    Raises Unsupported for another family or a feature that we do not compute, Untrusted if metadata is missing.
    """
    family = metadata.get("general.architecture", "")
    if family not in SUPPORTED_FAMILIES - {"mistral"}:
        raise Unsupported(
            f"GGUF files of the architecture {family!r} cannot be opened in torch.", advice="Serve it with llama.cpp."
        )

    if "token_embd.weight" not in shapes:
        raise Untrusted("The GGUF file has no token embeddings.", advice="Import a complete model.")

    def value(key: str, default: object = None) -> Any:
        result = metadata.get(f"{family}.{key}", default)
        if result is None:
            raise Untrusted(f"The GGUF file has no {family}.{key}.", advice="Fetch the model again.")
        return result

    if value("expert_count", 0):
        raise Unsupported("Mixtures of experts cannot be opened in torch.", advice="Serve it with llama.cpp.")
    heads, hidden = value("attention.head_count"), value("embedding_length")
    head_dim = value("attention.key_length", hidden // heads)
    _require_sizes(head_dim, value("block_count"))
    if value("rope.dimension_count", head_dim) != head_dim or value("attention.value_length", head_dim) != head_dim:
        raise Unsupported("Partially rotated heads cannot be opened in torch.", advice="Serve it with llama.cpp.")
    return DecoderConfig(
        family=family,
        vocab_size=shapes["token_embd.weight"][0],
        hidden_size=hidden,
        num_layers=value("block_count"),
        num_heads=heads,
        num_kv_heads=value("attention.head_count_kv", heads),
        head_dim=head_dim,
        ffn_size=value("feed_forward_length"),
        context_tokens=value("context_length"),
        norm_eps=value("attention.layer_norm_rms_epsilon"),
        rope_theta=value("rope.freq_base", 10000.0),
        rope_factors=_gguf_rope_factors(metadata, family, head_dim, rope_factors),
        qkv_bias="blk.0.attn_q.bias" in shapes,
        output_bias="blk.0.attn_output.bias" in shapes,
        mlp_bias="blk.0.ffn_gate.bias" in shapes,
        qk_norm="blk.0.attn_q_norm.weight" in shapes,
        tied_embeddings="output.weight" not in shapes,
    )


def config_to_hf(config: DecoderConfig) -> dict[str, object]:
    """A config.json for transformers. Raises Unsupported for rotary factors of which only the values are known."""
    if config.hf_config:
        return dict(config.hf_config)
    names = {
        "llama": "LlamaForCausalLM",
        "mistral": "MistralForCausalLM",
        "qwen2": "Qwen2ForCausalLM",
        "qwen3": "Qwen3ForCausalLM",
    }
    fields: dict[str, object] = {
        "architectures": [names[config.family]],
        "model_type": config.family,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.ffn_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": config.context_tokens,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": config.tied_embeddings,
        "attention_bias": config.output_bias,
        "mlp_bias": config.mlp_bias,
    }
    if config.rope_factors is not None:
        if len(set(config.rope_factors)) > 1:
            raise Unsupported(
                "The model scales its rotary frequencies one by one, which a config.json made from a GGUF file cannot express.",
                advice="Export to GGUF, or start from the model's Hugging Face folder.",
            )
        fields["rope_scaling"] = {"rope_type": "linear", "factor": config.rope_factors[0]}
    return fields


def config_to_gguf(config: DecoderConfig) -> tuple[str, dict[str, int | float]]:
    """(architecture, metadata). llama.cpp has no sliding window for these families, so a window limits the context instead.

    Raises Unsupported for a mixture of biases that GGUF cannot express.
    """
    architecture = "llama" if config.family == "mistral" else config.family
    if config.family == "llama" and config.qkv_bias and not config.output_bias:
        raise Unsupported("GGUF cannot express this mixture of biases.")
    windows = [window for window in config.windows if window is not None]
    values = {
        "context_length": min([config.context_tokens, *windows]),
        "embedding_length": config.hidden_size,
        "block_count": config.num_layers,
        "feed_forward_length": config.ffn_size,
        "rope.dimension_count": config.head_dim,
        "attention.head_count": config.num_heads,
        "attention.head_count_kv": config.num_kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": float(config.norm_eps),
        "rope.freq_base": float(config.rope_theta),
        "vocab_size": config.vocab_size,
    }
    return architecture, {f"{architecture}.{key}": value for key, value in values.items()}


def _hf_rope(config: Mapping[str, Any], head_dim: int) -> tuple[float, tuple[float, ...] | None]:
    """(theta, factors) from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (earlier versions)."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    theta = float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0)
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0)) not in (None, 1.0):
        raise Unsupported("Partially rotated heads are not supported.")
    if kind == "default":
        return theta, None
    if kind == "linear":
        return theta, (float(rope["factor"]),) * (head_dim // 2)
    if kind == "llama3":
        original = rope.get("original_max_position_embeddings") or config["max_position_embeddings"]
        return theta, _llama3_factors(
            theta, head_dim, rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"], original
        )
    raise Unsupported(f"Rotary scaling of the kind {kind!r} is not supported.")


def _llama3_factors(theta: float, head_dim: int, factor: float, low: float, high: float, original: int) -> tuple[float, ...]:
    """The divisor of each frequency in Llama 3.1 (meta-llama/llama-models, `apply_scaling`): 1 for waves much shorter than the
    original context, `factor` for longer ones, and a smooth transition between them.
    """
    factors = []
    for index in range(0, head_dim, 2):
        wavelength = 2 * math.pi * theta ** (index / head_dim)
        if wavelength < original / high:
            factors.append(1.0)
        elif wavelength > original / low:
            factors.append(float(factor))
        else:
            smooth = (original / wavelength - low) / (high - low)
            factors.append(1.0 / ((1 - smooth) / factor + smooth))
    return tuple(factors)


def _hf_windows(config: Mapping[str, Any]) -> tuple[int | None, ...]:
    window, layers = config.get("sliding_window"), int(config["num_hidden_layers"])
    if window is None or config.get("use_sliding_window") is False or config.get("model_type") == "llama":
        return ()
    if config.get("layer_types"):
        return tuple(int(window) if kind == "sliding_attention" else None for kind in config["layer_types"])
    if config["model_type"] == "mistral":
        return (int(window),) * layers
    if not config.get("use_sliding_window"):
        return ()
    return tuple(int(window) if layer >= config.get("max_window_layers", layers) else None for layer in range(layers))


def _gguf_rope_factors(
    metadata: Mapping[str, Any], family: str, head_dim: int, factors: Iterable[float] | None
) -> tuple[float, ...] | None:
    if factors is not None:
        return tuple(float(factor) for factor in factors)
    kind = metadata.get(f"{family}.rope.scaling.type", "none")
    if kind == "linear":
        return (float(metadata[f"{family}.rope.scaling.factor"]),) * (head_dim // 2)
    if kind != "none":
        raise Unsupported(f"Rotary scaling of the kind {kind!r} cannot be opened in torch.", advice="Serve it with llama.cpp.")
    return None

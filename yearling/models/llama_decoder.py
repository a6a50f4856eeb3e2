"""A Llama-family decoder: Llama (with Llama 3's rotary scaling), SmolLM2, Qwen2, Qwen2.5, Qwen3, Mistral.

Plain torch that follows the papers: pre-norm blocks of grouped-query attention with rotary positions and a gated MLP. Knows
neither files (`decoder_weights.py`) nor sampling nor losses. Parameter names are those of Hugging Face checkpoints.

Shapes: B sequences, T new tokens, K keys (old and new tokens), E model width, H query heads, G key/value heads, D head width, V
vocabulary, S cache slots, C cache capacity.

Norms and rotary angles are computed in float32 (norms in float64 for float64 weights) whatever the type of the weights.
Sources: 2302.13971 (Llama), 2104.09864 (rotary), 2305.13245 (grouped queries), 1910.07467 (RMSNorm), 2002.05202 (SwiGLU).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yearling.models.decoder import Cache, CacheRows, Decoder, additive_mask
from yearling.models.decoder_config import DecoderConfig


class KVCache(Cache):
    """Keys and values of S sequences. Positions beyond a slot's length are never attended to."""

    def __init__(
        self,
        config: DecoderConfig,
        *,
        num_slots: int,
        capacity_tokens: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(num_slots=num_slots, capacity_tokens=capacity_tokens)
        # One extra position receives what the padding of a ragged step writes; it is never read.
        shape = (config.num_layers, num_slots, config.num_kv_heads, capacity_tokens + 1, config.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)

    def copy(self, source: int, targets: Sequence[int]) -> None:
        """As `Cache.copy`."""
        length = self.lengths[source]
        for target in targets:
            self.keys[:, target, :, :length] = self.keys[:, source, :, :length]
            self.values[:, target, :, :length] = self.values[:, source, :, :length]
            self.lengths[target] = length

    def copy_from(self, slot: int, other: Cache, source: int) -> None:
        """As `Cache.copy_from`."""
        if not isinstance(other, KVCache):
            raise ValueError("the cache belongs to another kind of network")
        length = min(other.lengths[source], self.capacity_tokens)
        self.keys[:, slot, :, :length] = other.keys[:, source, :, :length]
        self.values[:, slot, :, :length] = other.values[:, source, :, :length]
        self.lengths[slot] = length


@dataclass(frozen=True, slots=True)
class _ForwardContext:
    """What every layer needs of one forward pass, computed once."""

    cos_BTD: Tensor
    sin_BTD: Tensor
    biases: dict[int | None, Tensor | None]  # additive mask (B, 1, T, K) by the layer's window; None: `is_causal` says all
    cache: KVCache | None
    cache_positions: tuple[Tensor, Tensor] | None  # (slot, position) of each new token in the cache, (B, 1) and (B, T)
    slots: slice | Tensor
    num_keys: int
    is_causal: bool  # keys are the new tokens themselves (no cache, or an empty one)


class RMSNorm(nn.Module):
    """x / rms(x) · weight, in float32 (1910.07467, equation 4)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """The normalised input, in its own type."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions (2305.13245)."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = config.num_heads, config.num_kv_heads, config.head_dim
        self.layer, self.window = layer, config.window(layer)
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, query, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.hidden_size, key, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.hidden_size, key, bias=config.qkv_bias)
        self.o_proj = nn.Linear(query, config.hidden_size, bias=config.output_bias)
        self.q_norm = RMSNorm(self.head_dim, config.norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(self.head_dim, config.norm_eps) if config.qk_norm else None

    def forward(self, x_BTE: Tensor, step: _ForwardContext) -> Tensor:
        """The attention output, (B, T, E)."""
        batch, tokens, _ = x_BTE.shape
        q = self.q_proj(x_BTE).view(batch, tokens, self.heads, self.head_dim)
        k = self.k_proj(x_BTE).view(batch, tokens, self.kv_heads, self.head_dim)
        v = self.v_proj(x_BTE).view(batch, tokens, self.kv_heads, self.head_dim)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        q = apply_rotary(q.transpose(1, 2), step.cos_BTD, step.sin_BTD)  # (B, H, T, D)
        k = apply_rotary(k.transpose(1, 2), step.cos_BTD, step.sin_BTD)  # (B, G, T, D)
        v = v.transpose(1, 2)
        if step.cache is not None:
            k, v = self._update_cache(k, v, step)
        mixed = grouped_query_attention(q, k, v, step.biases[self.window], is_causal=step.is_causal)  # (B, H, T, D)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, tokens, -1))
        return out

    def _update_cache(self, k: Tensor, v: Tensor, step: _ForwardContext) -> tuple[Tensor, Tensor]:
        """Write the new keys and values; returns all that the sequences hold, (B, G, K, D)."""
        if step.cache is None or step.cache_positions is None:
            raise RuntimeError("a step with a cache has no cache positions")
        keys, values = step.cache.keys[self.layer], step.cache.values[self.layer]
        slot, position = step.cache_positions
        keys[slot, :, position] = k.detach().transpose(1, 2)
        values[slot, :, position] = v.detach().transpose(1, 2)
        if step.is_causal:
            return k, v
        return keys[step.slots, :, : step.num_keys], values[step.slots, :, : step.num_keys]


class MLP(nn.Module):
    """The gated feed-forward network, SwiGLU (2002.05202)."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.ffn_size, bias=config.mlp_bias)
        self.up_proj = nn.Linear(config.hidden_size, config.ffn_size, bias=config.mlp_bias)
        self.down_proj = nn.Linear(config.ffn_size, config.hidden_size, bias=config.mlp_bias)

    def forward(self, x_BTE: Tensor) -> Tensor:
        """The output, (B, T, E)."""
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x_BTE)) * self.up_proj(x_BTE))
        return out


class DecoderBlock(nn.Module):
    """One pre-norm block: attention, then the MLP."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.norm_eps)
        self.mlp = MLP(config)

    def forward(self, x_BTE: Tensor, step: _ForwardContext) -> Tensor:
        """The hidden states after the block, (B, T, E)."""
        x_BTE = x_BTE + self.self_attn(self.input_layernorm(x_BTE), step)
        out: Tensor = x_BTE + self.mlp(self.post_attention_layernorm(x_BTE))
        return out


class DecoderTrunk(nn.Module):
    """Embeddings, blocks and the final norm, under the names of Hugging Face checkpoints."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderBlock(config, layer) for layer in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.norm_eps)


class LlamaDecoder(Decoder):
    """The network; see `Decoder` for its interface."""

    config: DecoderConfig

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.model = DecoderTrunk(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tied_embeddings:
            self.tie_embeddings()
        # Not a buffer: `.to(bfloat16)` must not round the frequencies.
        self._frequencies = rotary_frequencies(config)

    def tie_embeddings(self) -> None:
        """Make the output projection the embedding itself. Call it again after parameters were replaced."""
        self.lm_head.weight = self.model.embed_tokens.weight

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.model.embed_tokens.weight.dtype

    def new_cache(self, *, num_slots: int, capacity_tokens: int) -> KVCache:
        """An empty cache of this network's shape, type and device."""
        weight = self.model.embed_tokens.weight
        return KVCache(
            self.config, num_slots=num_slots, capacity_tokens=capacity_tokens, dtype=weight.dtype, device=weight.device
        )

    def hidden(
        self,
        ids_BT: Tensor,
        *,
        positions_BT: Tensor | None = None,
        cache: CacheRows | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """As `Decoder.hidden`."""
        step = self._prepare(ids_BT, positions_BT, cache, mask)
        x_BTE: Tensor = self.model.embed_tokens(ids_BT)
        for block in self.model.layers:
            x_BTE = block(x_BTE, step)
        if cache is not None:
            cache.advance(cache.new_tokens(*ids_BT.shape))
        out: Tensor = self.model.norm(x_BTE)
        return out

    def _prepare(
        self, ids_BT: Tensor, positions_BT: Tensor | None, rows: CacheRows | None, mask: Tensor | None
    ) -> _ForwardContext:
        if rows is not None:
            if positions_BT is not None or mask is not None:
                raise ValueError("positions and mask must not be given with a cache")
            return self._prepare_cached(ids_BT, rows)
        batch, tokens = ids_BT.shape
        order_T = torch.arange(tokens, device=ids_BT.device)
        positions = (order_T if positions_BT is None else positions_BT).expand(batch, tokens)
        biases: dict[int | None, Tensor | None] = {}
        for window in self._windows:
            if mask is None and (window is None or (positions_BT is None and tokens <= window)):
                biases[window] = None
                continue
            allowed = order_T[None] <= order_T[:, None] if mask is None else mask
            biases[window] = self._bias(allowed, positions, positions, window)
        cos, sin = self._rotary_cos_sin(positions)
        return _ForwardContext(cos, sin, biases, None, None, slice(None), tokens, True)

    def _prepare_cached(self, ids_BT: Tensor, rows: CacheRows) -> _ForwardContext:
        batch, tokens = ids_BT.shape
        rows.new_tokens(batch, tokens)
        if not isinstance(rows.cache, KVCache):
            raise ValueError("the cache belongs to another kind of network")
        device, capacity, longest = ids_BT.device, rows.cache.capacity_tokens, max(rows.lengths)
        positions = torch.tensor(rows.lengths, device=device)[:, None] + torch.arange(tokens, device=device)
        places = (torch.tensor(rows.slots, device=device)[:, None], positions.clamp(max=capacity))
        fresh = longest == 0
        num_keys = tokens if fresh else min(longest + tokens, capacity + 1)
        level = tokens == 1 and min(rows.lengths) == longest  # one new token each after pasts of equal length: all see everything
        keys = torch.arange(num_keys, device=device).expand(batch, num_keys)
        biases: dict[int | None, Tensor | None] = {}
        for window in self._windows:
            if (fresh or level) and (window is None or num_keys <= window):
                biases[window] = None
            else:
                biases[window] = self._bias(keys[:, None] <= positions[:, :, None], positions, keys, window)
        cos, sin = self._rotary_cos_sin(positions)
        return _ForwardContext(cos, sin, biases, rows.cache, places, _as_slice(rows.slots, device), num_keys, fresh)

    @property
    def _windows(self) -> set[int | None]:
        return {self.config.window(layer) for layer in range(self.config.num_layers)}

    def _bias(self, allowed: Tensor, positions_BT: Tensor, keys_BK: Tensor, window: int | None) -> Tensor:
        """The additive mask (B or 1, 1, T, K) of a boolean one, limited to the window."""
        if window is not None:
            allowed = allowed & (keys_BK[:, None] > positions_BT[:, :, None] - window)
        return additive_mask(allowed, self.dtype)

    def _rotary_cos_sin(self, positions_BT: Tensor) -> tuple[Tensor, Tensor]:
        """(cos, sin) of the angles, each (B, 1, T, D), in the network's type."""
        frequencies = self._frequencies.to(positions_BT.device)
        angles = positions_BT[:, None, :, None].float() * frequencies
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(self.dtype), angles.sin().to(self.dtype)


def rotary_frequencies(config: DecoderConfig) -> Tensor:
    """Radians per position of each pair of dimensions, (D / 2,), float32 (2104.09864, section 3.2.2)."""
    with torch.device("cpu"):
        exponents = torch.arange(0, config.head_dim, 2, dtype=torch.int64).float() / config.head_dim
        frequencies = 1.0 / (config.rope_theta**exponents)
        return frequencies if config.rope_factors is None else frequencies / torch.tensor(config.rope_factors)


def apply_rotary(x_BHTD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair (d, d + D/2) by its angle: Hugging Face's order of the rotary dimensions."""
    left, right = x_BHTD.chunk(2, dim=-1)
    return x_BHTD * cos + torch.cat((-right, left), dim=-1) * sin


def grouped_query_attention(q_BHTD: Tensor, k_BGKD: Tensor, v_BGKD: Tensor, bias: Tensor | None, *, is_causal: bool) -> Tensor:
    """Softmax attention with grouped queries, (B, H, T, D)."""
    batch, heads, tokens, width = q_BHTD.shape
    groups = k_BGKD.shape[1]
    if tokens == 1 and groups != heads:
        # The queries of a group share their keys: as rows of one query matrix they need no copies of them.
        grouped = q_BHTD.view(batch, groups, heads // groups, width)
        return F.scaled_dot_product_attention(grouped, k_BGKD, v_BGKD, attn_mask=bias).reshape(batch, heads, 1, width)
    causal = is_causal and bias is None
    return F.scaled_dot_product_attention(q_BHTD, k_BGKD, v_BGKD, attn_mask=bias, is_causal=causal, enable_gqa=groups != heads)


def _as_slice(slots: tuple[int, ...], device: torch.device) -> slice | Tensor:
    if slots == tuple(range(slots[0], slots[0] + len(slots))):
        return slice(slots[0], slots[0] + len(slots))
    return torch.tensor(slots, device=device)

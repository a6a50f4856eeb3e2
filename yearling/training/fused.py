"""The blocks of a Llama decoder with LoRA on a CPU, forward and backward written out by hand.

Autograd keeps every intermediate result, some 12,000 numbers per token and block of the default model, and reads and writes each
of them several times. Here a block keeps less than half of them, computes norms and products again, never forms a gradient of a
frozen weight, multiplies by queries, keys and values (and by gate and up) in one go, and attends node by node of the batch's
forest, so that nothing is masked out after it was computed. Same arithmetic as `models.network`, in another order: tests hold
values and gradients against it in float64.

Shapes: T tokens, E model width, H query heads, G key/value heads, D head width, F width of the MLP, R rank of the adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yearling.models import Decoder
from yearling.training.batch import Batch, Node

_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class FusedTrunk:
    """`hidden` equals the decoder's own for packed batches. The decoder stays whole and usable; its weights become views into the
    joined ones. Make one only where `fits` says so."""

    def __init__(self, decoder: Decoder) -> None:
        network: Any = decoder
        self._network = network
        config = network.config
        self._shape = _Shape(config.num_heads, config.num_kv_heads, config.head_dim, config.norm_eps)
        self._blocks = [_Block.of(block) for block in network.model.layers]
        self._frequencies = network._frequencies

    @staticmethod
    def fits(decoder: Decoder) -> bool:
        """Whether this is a Llama decoder on a CPU with an adapter on all linear layers and none of the rarer features."""
        blocks = getattr(getattr(decoder, "model", None), "layers", None)
        if blocks is None or next(decoder.parameters()).device.type != "cpu":
            return False
        config: Any = decoder.config
        if config.qk_norm or config.output_bias or config.mlp_bias or config.qkv_bias or any(config.windows):
            return False
        return all(hasattr(layer, "lora_a") for block in blocks for layer in _linears(block))

    @property
    def is_current(self) -> bool:
        """False once the decoder's weights were moved, merged or replaced."""
        layer = self._network.model.layers[0].self_attn.q_proj
        return hasattr(layer, "base") and layer.base.weight.data_ptr() == self._blocks[0].qkv.data_ptr()

    def hidden(self, batch: Batch, *, adapted: bool = True) -> Tensor:
        """Final hidden states (T, E); with `adapted` off, those of the base."""
        network, shape = self._network, self._shape
        x_TE: Tensor = network.model.embed_tokens(batch.ids_T)
        angles = batch.positions_T[:, None].float() * self._frequencies
        rotation = (angles.cos().to(x_TE.dtype)[:, None], angles.sin().to(x_TE.dtype)[:, None])  # (T, 1, D / 2)
        spans = _spans(batch.nodes, x_TE.dtype)
        for block in self._blocks:
            factors = block.factors if adapted else ()
            x_TE = _BlockFunction.apply(x_TE, block, shape, rotation, spans, *factors)  # type: ignore[no-untyped-call]
        out: Tensor = network.model.norm(x_TE)
        return out


@dataclass(frozen=True, slots=True)
class _Shape:
    heads: int
    kv_heads: int
    width: int
    eps: float

    @property
    def repeats(self) -> int:
        return self.heads // self.kv_heads


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """The frozen weights of a block, and its factors as (a, b) of `_LAYERS` in order."""

    norm1: Tensor
    norm2: Tensor
    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor
    scale: float
    factors: tuple[nn.Parameter, ...]

    @classmethod
    def of(cls, block: Any) -> _Block:
        layers = _linears(block)
        return cls(
            norm1=block.input_layernorm.weight.detach(),
            norm2=block.post_attention_layernorm.weight.detach(),
            qkv=_joined([layer.base for layer in layers[:3]]),
            out=layers[3].base.weight.detach(),
            gate_up=_joined([layer.base for layer in layers[4:6]]),
            down=layers[6].base.weight.detach(),
            scale=layers[0].scale,
            factors=tuple(factor for layer in layers for factor in (layer.lora_a, layer.lora_b)),
        )


@dataclass(frozen=True, slots=True)
class _Span:
    """One node's attention: its tokens look at `keys` (their ancestors' and their own) through `mask`, at a root causally."""

    own: slice
    keys: tuple[slice, ...]
    mask: Tensor | None


def _linears(block: Any) -> list[Any]:
    return [getattr(block.self_attn if name[0] in "qkvo" else block.mlp, name) for name in _LAYERS]


def _joined(layers: Sequence[nn.Linear]) -> Tensor:
    """One matrix of several; theirs become views of it, so that no weight is held twice."""
    first = layers[0].weight
    if all(layer.weight.untyped_storage().data_ptr() == first.untyped_storage().data_ptr() for layer in layers):
        rows = sum(layer.weight.shape[0] for layer in layers)
        return first.detach().as_strided((rows, first.shape[1]), first.stride(), first.storage_offset())
    joined = torch.cat([layer.weight.detach() for layer in layers])
    for layer, part in zip(layers, joined.split_with_sizes([layer.weight.shape[0] for layer in layers]), strict=True):
        layer.weight.data = part
    return joined


def _spans(nodes: Sequence[Node], dtype: torch.dtype) -> list[_Span]:
    found = []
    for node in nodes:
        keys, parent = [node.span], node.parent
        while parent >= 0:
            keys.insert(0, nodes[parent].span)
            parent = nodes[parent].parent
        mask = None
        if len(keys) > 1:
            mask = torch.zeros(node.length, node.position + node.length, dtype=dtype)
            mask[:, node.position :] = torch.full((node.length, node.length), -torch.inf, dtype=dtype).triu_(1)
        found.append(_Span(node.span, tuple(keys), mask))
    return found


class _BlockFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, block: _Block, shape: _Shape, rotation: Any, spans: list[_Span], *factors: Tensor) -> Tensor:
        ctx.block, ctx.shape, ctx.rotation, ctx.spans = block, shape, rotation, spans
        cast = [factor.to(x.dtype) for factor in factors]
        adapter = _Adapter(cast, block.scale) if cast else None
        n1, _ = _norm(x, block.norm1, shape.eps)
        qkv, low_qkv = _project(n1, block.qkv, adapter, (0, 1, 2))
        _rotate(qkv, shape, rotation, 1)
        mixed, lses = _attend(qkv, shape, spans)
        x2, low_o = _project(mixed, block.out, adapter, (3,))
        x2 += x
        n2, _ = _norm(x2, block.norm2, shape.eps)
        gate_up, low_gu = _project(n2, block.gate_up, adapter, (4, 5))
        half = gate_up.shape[1] // 2
        product = F.silu(gate_up[:, :half]).mul_(gate_up[:, half:])
        y, low_d = _project(product, block.down, adapter, (6,))
        y += x2
        ctx.num_lses = len(lses)
        if cast:
            ctx.save_for_backward(x, x2, qkv, mixed, gate_up, low_qkv, low_o, low_gu, low_d, *lses, *cast)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (dy,) = gradients
        block, shape = ctx.block, ctx.shape
        x, x2, qkv, mixed, gate_up, low_qkv, low_o, low_gu, low_d, *rest = ctx.saved_tensors
        lses, factors = rest[: ctx.num_lses], rest[ctx.num_lses :]
        adapter = _Adapter(factors, block.scale)
        slopes: list[Tensor | None] = [None] * len(factors)
        half = gate_up.shape[1] // 2
        gate, up = gate_up[:, :half], gate_up[:, half:]

        silu = F.silu(gate)
        d_product = _unproject(dy, block.down, adapter, (6,), silu * up, low_d, slopes)
        d_gate_up = torch.empty_like(gate_up)
        torch.mul(d_product, silu, out=d_gate_up[:, half:])
        d_gate_up[:, :half] = torch.ops.aten.silu_backward(d_product.mul_(up), gate)
        del silu, d_product
        n2, inverse = _norm(x2, block.norm2, shape.eps)
        d_n2 = _unproject(d_gate_up, block.gate_up, adapter, (4, 5), n2, low_gu, slopes)
        dx2 = _norm_backward(d_n2, x2, inverse, block.norm2).add_(dy)

        d_mixed = _unproject(dx2, block.out, adapter, (3,), mixed, low_o, slopes)
        d_qkv = _attend_backward(d_mixed, qkv, mixed, lses, shape, ctx.spans)
        _rotate(d_qkv, shape, ctx.rotation, -1)
        n1, inverse = _norm(x, block.norm1, shape.eps)
        d_n1 = _unproject(d_qkv, block.qkv, adapter, (0, 1, 2), n1, low_qkv, slopes, wanted=ctx.needs_input_grad[0])
        dx = None if d_n1 is None else _norm_backward(d_n1, x, inverse, block.norm1).add_(dx2)
        return dx, None, None, None, None, *slopes


class _Adapter:
    def __init__(self, factors: Sequence[Tensor], scale: float) -> None:
        self.a, self.b, self.scale = factors[::2], factors[1::2], scale

    def joined_a(self, layers: Sequence[int]) -> Tensor:
        return self.a[layers[0]] if len(layers) == 1 else torch.cat([self.a[layer] for layer in layers])


def _project(x: Tensor, weight: Tensor, adapter: _Adapter | None, layers: Sequence[int]) -> tuple[Tensor, Tensor]:
    """(x Wᵀ + scale · x Aᵀ Bᵀ for joined layers, x Aᵀ)."""
    out = x @ weight.T
    if adapter is None:
        return out, out
    low = x @ adapter.joined_a(layers).T
    rank, start = low.shape[1] // len(layers), 0
    for place, layer in enumerate(layers):
        b = adapter.b[layer]
        out[:, start : start + b.shape[0]].addmm_(low[:, place * rank : (place + 1) * rank], b.T, alpha=adapter.scale)
        start += b.shape[0]
    return out, low


def _unproject(
    dy: Tensor, weight: Tensor, adapter: _Adapter, layers: Sequence[int], x: Tensor, low: Tensor, slopes: list[Tensor | None],
    *, wanted: bool = True,
) -> Any:  # fmt: skip
    """The gradient for x (None unless wanted); those of the layers' factors go into `slopes`."""
    rank, start = low.shape[1] // len(layers), 0
    d_low = torch.empty_like(low)
    for place, layer in enumerate(layers):
        b = adapter.b[layer]
        part, columns = dy[:, start : start + b.shape[0]], slice(place * rank, (place + 1) * rank)
        torch.mul(part @ b, adapter.scale, out=d_low[:, columns])
        slopes[2 * layer + 1] = (part.T @ low[:, columns]).mul_(adapter.scale)
        start += b.shape[0]
    d_a = d_low.T @ x
    for place, layer in enumerate(layers):
        slopes[2 * layer] = d_a[place * rank : (place + 1) * rank]
    if not wanted:
        return None
    return (dy @ weight).addmm_(d_low, adapter.joined_a(layers))


def _norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(x / rms(x) · weight, 1 / rms(x)), the latter in float32 or wider."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    inverse = torch.linalg.vecdot(wide, wide).div_(x.shape[1]).add_(eps).rsqrt_()[:, None]
    return (wide * inverse).to(x.dtype).mul_(weight), inverse


def _norm_backward(dy: Tensor, x: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    """With n = x/rms: dx = (g − n · mean(g n)) / rms for g = dy · weight. Destroys `dy`."""
    wide = inverse.dtype
    scaled = dy.mul_(weight).to(wide)
    normal = x.to(wide) * inverse
    share = torch.linalg.vecdot(scaled, normal).div_(x.shape[1])[:, None]
    return scaled.sub_(normal.mul_(share)).mul_(inverse).to(x.dtype)


def _rotate(qkv: Tensor, shape: _Shape, rotation: tuple[Tensor, Tensor], sign: int) -> None:
    """Turn queries and keys in place by their angles, or back."""
    cos, sin = rotation
    turned = qkv[:, : (shape.heads + shape.kv_heads) * shape.width].view(qkv.shape[0], -1, shape.width)
    left, right = turned[..., : shape.width // 2], turned[..., shape.width // 2 :]
    kept = left.clone()
    left.mul_(cos).addcmul_(right, sin, value=-sign)
    right.mul_(cos).addcmul_(kept, sin, value=sign)


def _heads(rows: Tensor, shape: _Shape, first: int, count: int) -> Tensor:
    """Heads `first` to `first + count` of joined rows (L, …) as (count / G, G, L, D), without a copy: head h = g · repeats + r is
    row r of the batch, so that each group's keys serve all of its queries."""
    part = rows[:, first * shape.width : (first + count) * shape.width]
    return part.view(part.shape[0], shape.kv_heads, count // shape.kv_heads, shape.width).permute(2, 1, 0, 3)


def _keys_values(qkv: Tensor, shape: _Shape, span: _Span) -> tuple[Tensor, Tensor]:
    rows = qkv[span.keys[0]] if len(span.keys) == 1 else torch.cat([qkv[part, shape.heads * shape.width :] for part in span.keys])
    first = shape.heads if len(span.keys) == 1 else 0
    key = _heads(rows, shape, first, shape.kv_heads).expand(shape.repeats, -1, -1, -1)
    value = _heads(rows, shape, first + shape.kv_heads, shape.kv_heads).expand(shape.repeats, -1, -1, -1)
    return key, value


def _attend(qkv: Tensor, shape: _Shape, spans: Sequence[_Span]) -> tuple[Tensor, list[Tensor]]:
    """(what each token draws from those that it sees (T, H · D), the log of the softmax's denominator of each span)."""
    mixed, lses = qkv.new_empty(qkv.shape[0], shape.heads * shape.width), []
    for span in spans:
        query = _heads(qkv[span.own], shape, 0, shape.heads)
        key, value = _keys_values(qkv, shape, span)
        out, lse = _ATTENTION(query, key, value, 0.0, span.mask is None, attn_mask=span.mask)
        _heads(mixed[span.own], shape, 0, shape.heads).copy_(out)
        lses.append(lse)
    return mixed, lses


def _attend_backward(
    d_mixed: Tensor, qkv: Tensor, mixed: Tensor, lses: Sequence[Tensor], shape: _Shape, spans: Sequence[_Span]
) -> Tensor:
    d_qkv = torch.zeros_like(qkv)
    for span, lse in zip(spans, lses, strict=True):
        query = _heads(qkv[span.own], shape, 0, shape.heads)
        key, value = _keys_values(qkv, shape, span)
        out = _heads(mixed[span.own], shape, 0, shape.heads)
        slope = _heads(d_mixed[span.own], shape, 0, shape.heads)
        d_query, d_key, d_value = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            slope, query, key, value, out, lse, 0.0, span.mask is None, attn_mask=span.mask
        )
        _heads(d_qkv[span.own], shape, 0, shape.heads).copy_(d_query)
        start = 0
        for part in span.keys:
            stop = start + part.stop - part.start
            _heads(d_qkv[part], shape, shape.heads, shape.kv_heads)[0] += d_key[:, :, start:stop].sum(0)
            _heads(d_qkv[part], shape, shape.heads + shape.kv_heads, shape.kv_heads)[0] += d_value[:, :, start:stop].sum(0)
            start = stop
    return d_qkv

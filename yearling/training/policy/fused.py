"""The blocks of a Llama decoder with LoRA on a CPU, forward and backward written out by hand.

Autograd keeps every intermediate result, some 12,000 numbers per token and block of the default model, and reads and writes each
of them several times. Here a block keeps less than half of them, computes norms and attention weights again, never forms a
gradient of a frozen weight, and multiplies by queries, keys and values (and by gate and up) in one go, with the adapter's `a`
as further rows of the same matrix. Attention goes node by node of the batch's forest and a few queries at a time, so that
little is masked out after it was computed and long sequences need no more memory. Same arithmetic as `models.network`, in
another order: tests hold values and gradients against it in float64.

Shapes: T tokens, E model width, H query heads, G key/value heads, D head width, F width of the MLP, R rank of the adapter;
of several layers that are joined, I their input width, O the sum of their output widths, S the sum of their ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yearling.models import Decoder
from yearling.training.data.packing import PackedBatch, PrefixNode

_JOINED_LAYERS = (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",))
"""Those of a group read the same input and are joined."""

_MAX_QUERIES = 128
"""How many of a node's tokens attend at a time."""


class FusedTrunk:
    """`hidden` equals the decoder's own for packed batches. The decoder stays whole and usable; its weights become views into the
    joined ones. Make one only where `fits` says so."""

    def __init__(self, decoder: Decoder) -> None:
        network: Any = decoder
        self._network = network
        config = network.config
        self._shape = _AttentionShape(config.num_heads, config.num_kv_heads, config.head_dim, config.norm_eps)
        self._layer_slices = [_FrozenBlock.from_decoder_block(block) for block in network.model.layers]
        self._frequencies = network._frequencies

    @staticmethod
    def supports(decoder: Decoder) -> bool:
        """Whether this is a Llama decoder on a CPU with an adapter on all linear layers and none of the rarer features."""
        blocks = getattr(getattr(decoder, "model", None), "layers", None)
        if blocks is None or next(decoder.parameters()).device.type != "cpu":
            return False
        config: Any = decoder.config
        if config.qk_norm or config.output_bias or config.mlp_bias or config.qkv_bias or any(config.windows):
            return False
        return all(hasattr(layer, "lora_a") for block in blocks for group in _linear_groups(block) for layer in group)

    @property
    def is_current(self) -> bool:
        """False once the decoder's weights were moved, merged or replaced."""
        layer = self._network.model.layers[0].self_attn.q_proj
        return hasattr(layer, "base") and layer.base.weight.data_ptr() == self._layer_slices[0].qkv.weight_and_a.data_ptr()

    def hidden(self, batch: PackedBatch, *, adapted: bool = True) -> Tensor:
        """Final hidden states (T, E); with `adapted` off, those of the base."""
        network, shape = self._network, self._shape
        x_TE: Tensor = network.model.embed_tokens(batch.ids_T)
        angles = batch.positions_T[:, None].float() * self._frequencies
        rotation = (angles.cos().to(x_TE.dtype)[:, None], angles.sin().to(x_TE.dtype)[:, None])  # (T, 1, D / 2)
        spans = _query_spans(batch.nodes, x_TE.dtype)
        for block in self._layer_slices:
            factors = block.factors if adapted else ()
            x_TE = _BlockFunction.apply(x_TE, block, shape, rotation, spans, *factors)  # type: ignore[no-untyped-call]
        out: Tensor = network.model.norm(x_TE)
        return out


@dataclass(frozen=True, slots=True)
class _AttentionShape:
    num_heads: int
    num_kv_heads: int
    head_dim: int
    eps: float

    @property
    def repeats(self) -> int:
        return self.num_heads // self.num_kv_heads


class _JoinedLinears:
    """Layers that read the same input as one product: `rows` (O + S, I) are all frozen weights and below them all `a`; `columns`
    (O, S) holds each layer's scaled `b` on its diagonal block. The frozen layers become views of `rows`."""

    def __init__(self, layers: Sequence[Any]) -> None:
        weights = [layer.base.weight.detach() for layer in layers]
        self.factors = tuple(factor for layer in layers for factor in (layer.lora_a, layer.lora_b))
        self._scale, self._rank = layers[0].scale, layers[0].lora_a.shape[0]
        self._sizes = [weight.shape[0] for weight in weights]
        self.num_outputs = sum(self._sizes)
        self.weight_and_a = torch.cat([*weights, weights[0].new_zeros(len(layers) * self._rank, weights[0].shape[1])])
        self.scaled_b = self.weight_and_a.new_zeros(self.num_outputs, len(layers) * self._rank)
        for layer, part in zip(layers, self.weight_and_a[: self.num_outputs].split_with_sizes(self._sizes), strict=True):
            layer.base.weight.data = part

    def load_factors(self) -> None:
        """Take over the factors as they are now."""
        for number, (block, ranks) in enumerate(self._layer_slices()):
            self.weight_and_a[self.num_outputs + ranks.start : self.num_outputs + ranks.stop].copy_(
                self.factors[2 * number].detach()
            )
            torch.mul(self.factors[2 * number + 1].detach(), self._scale, out=self.scaled_b[block, ranks])

    def forward(self, x: Tensor, *, adapted: bool) -> Tensor:
        """(T, O + S), the first O columns the layers' outputs, the others x aᵀ; without the adapter (T, O)."""
        if not adapted:
            return x @ self.weight_and_a[: self.num_outputs].T
        out = x @ self.weight_and_a.T
        out[:, : self.num_outputs].addmm_(out[:, self.num_outputs :], self.scaled_b.T)
        return out

    def backward(
        self, grad_output: Tensor, x: Tensor, low_rank: Tensor, *, needs_input_grad: bool = True
    ) -> tuple[Tensor | None, list[Tensor]]:
        """(the gradient for x, unless unwanted, those of the factors). `slope` is (T, O + S) with the outputs' gradient in its
        first O columns; the others are written. `low` is x aᵀ."""
        outputs, d_low = grad_output[:, : self.num_outputs], grad_output[:, self.num_outputs :]
        torch.mm(outputs, self.scaled_b, out=d_low)
        d_a, d_b = d_low.T @ x, (outputs.T @ low_rank).mul_(self._scale)
        slopes = [one for block, ranks in self._layer_slices() for one in (d_a[ranks], d_b[block, ranks])]
        return (grad_output @ self.weight_and_a if needs_input_grad else None), slopes

    def new_output(self, num_tokens: int) -> Tensor:
        """An empty (T, O + S)."""
        return self.weight_and_a.new_empty(num_tokens, self.weight_and_a.shape[0])

    def _layer_slices(self) -> list[tuple[slice, slice]]:
        """Each layer's outputs and ranks."""
        found, start = [], 0
        for number, size in enumerate(self._sizes):
            found.append((slice(start, start + size), slice(number * self._rank, (number + 1) * self._rank)))
            start += size
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _FrozenBlock:
    """The frozen weights of a block; `factors` are (a, b) of `_LAYERS` in order."""

    attention_norm: Tensor
    mlp_norm: Tensor
    qkv: _JoinedLinears
    out: _JoinedLinears
    gate_up: _JoinedLinears
    down: _JoinedLinears
    factors: tuple[nn.Parameter, ...]

    @classmethod
    def from_decoder_block(cls, block: Any) -> _FrozenBlock:
        qkv, out, gate_up, down = (_JoinedLinears(layers) for layers in _linear_groups(block))
        factors = tuple(factor for one in (qkv, out, gate_up, down) for factor in one.factors)
        norms = block.input_layernorm.weight.detach(), block.post_attention_layernorm.weight.detach()
        return cls(*norms, qkv, out, gate_up, down, factors)

    def load_factors(self) -> None:
        for joined in (self.qkv, self.out, self.gate_up, self.down):
            joined.load_factors()


@dataclass(frozen=True, slots=True)
class _QuerySpan:
    """Some tokens of a node, or all of neighbouring leaves, which look at `keys`: their ancestors, what stands before them in the
    node, and causally themselves, the last of the keys."""

    queries: slice
    keys: tuple[slice, ...]
    causal_mask: Tensor
    """−∞ where one of them would look at a later one, or at one of another node, (L, L)."""

    @property
    def length(self) -> int:
        return self.causal_mask.shape[0]


def _linear_groups(block: Any) -> list[list[Any]]:
    return [[getattr(block.self_attn if name[0] in "qkvo" else block.mlp, name) for name in group] for group in _JOINED_LAYERS]


def _query_spans(nodes: Sequence[PrefixNode], dtype: torch.dtype) -> list[_QuerySpan]:
    """Long nodes in parts; neighbouring leaves of one parent together while they are short, each seeing only itself."""
    found = []
    causal = torch.full((_MAX_QUERIES, _MAX_QUERIES), -torch.inf, dtype=dtype).triu_(1)
    for siblings in _node_groups(nodes):
        first = nodes[siblings.start]
        ancestors: list[slice] = []
        parent = first.parent
        while parent >= 0:
            ancestors.insert(0, nodes[parent].token_slice)
            parent = nodes[parent].parent
        if len(siblings) > 1:
            lengths = torch.tensor([nodes[number].length for number in siblings])
            owner_L = torch.repeat_interleave(torch.arange(len(siblings)), lengths)
            length = owner_L.shape[0]
            own = slice(first.start, first.start + length)
            later = causal[:length, :length].masked_fill(owner_L[:, None] != owner_L[None], -torch.inf)
            found.append(_QuerySpan(own, (*ancestors, own), later))
            continue
        parts = -(-first.length // _MAX_QUERIES)
        for part in range(parts):
            start, stop = (first.start + first.length * place // parts for place in (part, part + 1))
            length = stop - start
            found.append(_QuerySpan(slice(start, stop), (*ancestors, slice(first.start, stop)), causal[:length, :length]))
    return found


def _node_groups(nodes: Sequence[PrefixNode]) -> list[range]:
    """Which nodes attend in one go, as runs of their numbers."""
    parents = {node.parent for node in nodes}
    found: list[range] = []
    room = 0
    for number, node in enumerate(nodes):
        joins = number not in parents and node.length <= room and node.parent == nodes[number - 1].parent
        if joins:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
            room = 0 if number in parents else _MAX_QUERIES
        room -= node.length
    return found


class _BlockFunction(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, block: _FrozenBlock, shape: _AttentionShape, rotation: Any, spans: list[_QuerySpan], *factors: Tensor
    ) -> Tensor:
        ctx.block, ctx.shape, ctx.rotation, ctx.spans = block, shape, rotation, spans
        adapted, model_width = bool(factors), x.shape[1]
        if adapted:
            block.load_factors()
        n1, _ = _rms_norm(x, block.attention_norm, shape.eps)
        qkv = block.qkv.forward(n1, adapted=adapted)
        _apply_rotary(qkv, shape, rotation, 1)
        mixed = _attention(qkv, shape, spans)
        out = block.out.forward(mixed, adapted=adapted)
        x2 = out[:, :model_width].add_(x)
        n2, _ = _rms_norm(x2, block.mlp_norm, shape.eps)
        gate_up = block.gate_up.forward(n2, adapted=adapted)
        gate, up = _gate_and_up(gate_up, block)
        down = block.down.forward(F.silu(gate).mul_(up), adapted=adapted)
        y = down[:, :model_width].add_(x2)
        if adapted:
            # The factors are kept to be told, should they change before the backward pass.
            ctx.save_for_backward(x, qkv, mixed, out, gate_up, down[:, model_width:], *factors)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (dy,) = gradients
        block, shape = ctx.block, ctx.shape
        x, qkv, mixed, out, gate_up, low_down, *_ = ctx.saved_tensors
        tokens, model_width = x.shape
        x2 = out[:, :model_width]
        gate, up = _gate_and_up(gate_up, block)

        silu = F.silu(gate)
        slope = block.down.new_output(tokens)
        slope[:, :model_width] = dy
        d_product, for_down = block.down.backward(slope, silu * up, low_down)
        d_gate_up = block.gate_up.new_output(tokens)
        d_gate, d_up = _gate_and_up(d_gate_up, block)
        torch.mul(d_product, silu, out=d_up)
        torch.ops.aten.silu_backward.grad_input(d_product.mul_(up), gate, grad_input=d_gate)
        del silu, d_product
        n2, inverse = _rms_norm(x2, block.mlp_norm, shape.eps)
        d_n2, for_gate_up = block.gate_up.backward(d_gate_up, n2, gate_up[:, block.gate_up.num_outputs :])
        del d_gate_up, d_gate, d_up
        slope = block.out.new_output(tokens)
        dx2 = torch.add(_rms_norm_backward(d_n2, x2, inverse, block.mlp_norm), dy, out=slope[:, :model_width])

        d_mixed, for_out = block.out.backward(slope, mixed, out[:, model_width:])
        d_qkv = _attention_backward(d_mixed, qkv, block.qkv.new_output(tokens), shape, ctx.spans)
        _apply_rotary(d_qkv, shape, ctx.rotation, -1)
        n1, inverse = _rms_norm(x, block.attention_norm, shape.eps)
        low_qkv = qkv[:, block.qkv.num_outputs :]
        d_n1, for_qkv = block.qkv.backward(d_qkv, n1, low_qkv, needs_input_grad=ctx.needs_input_grad[0])
        dx = None if d_n1 is None else _rms_norm_backward(d_n1, x, inverse, block.attention_norm).add_(dx2)
        slopes = [*for_qkv, *for_out, *for_gate_up, *for_down]
        return dx, None, None, None, None, *(one.to(factor.dtype) for one, factor in zip(slopes, block.factors, strict=True))


def _gate_and_up(gate_up: Tensor, block: _FrozenBlock) -> tuple[Tensor, Tensor]:
    half = block.gate_up.num_outputs // 2
    return gate_up[:, :half], gate_up[:, half : 2 * half]


def _rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(x / rms(x) · weight, 1 / rms(x)), the latter in float32 or wider."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    inverse = torch.linalg.vecdot(wide, wide).div_(x.shape[1]).add_(eps).rsqrt_()[:, None]
    return (wide * inverse).to(x.dtype).mul_(weight), inverse


def _rms_norm_backward(dy: Tensor, x: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    """With n = x/rms: dx = (g − n · mean(g n)) / rms for g = dy · weight. Destroys `dy`."""
    wide = inverse.dtype
    scaled = dy.mul_(weight).to(wide)
    normal = x.to(wide) * inverse
    share = torch.linalg.vecdot(scaled, normal).div_(x.shape[1])[:, None]
    return scaled.sub_(normal.mul_(share)).mul_(inverse).to(x.dtype)


def _apply_rotary(qkv: Tensor, shape: _AttentionShape, rotation: tuple[Tensor, Tensor], sign: int) -> None:
    """Turn queries and keys in place by their angles, or back."""
    cos, sin = rotation
    turned = qkv[:, : (shape.num_heads + shape.num_kv_heads) * shape.head_dim].view(qkv.shape[0], -1, shape.head_dim)
    left, right = turned[..., : shape.head_dim // 2], turned[..., shape.head_dim // 2 :]
    kept = left.clone()
    left.mul_(cos).addcmul_(right, sin, value=-sign)
    right.mul_(cos).addcmul_(kept, sin, value=sign)


def _view_heads(rows: Tensor, shape: _AttentionShape, first: int, count: int) -> Tensor:
    """Heads `first` to `first + count` of joined rows (L, …) as (count / G, G, L, D), without a copy: head h = g · repeats + r is
    row r of the batch, so that each group's keys serve all of its queries."""
    part = rows[:, first * shape.head_dim : (first + count) * shape.head_dim]
    return part.view(part.shape[0], shape.num_kv_heads, count // shape.num_kv_heads, shape.head_dim).permute(2, 1, 0, 3)


def _scaled_queries(rows: Tensor, shape: _AttentionShape, scale: float) -> Tensor:
    """The heads of joined rows times `scale`, (G, repeats · L, D): the queries that meet the same keys are one matrix."""
    heads = _view_heads(rows, shape, 0, shape.num_heads).transpose(0, 1)  # (G, repeats, L, D)
    out = torch.mul(heads, scale, out=heads.new_empty(heads.shape))
    return out.view(shape.num_kv_heads, -1, shape.head_dim)


def _keys_values(qkv: Tensor, shape: _AttentionShape, span: _QuerySpan) -> tuple[Tensor, Tensor]:
    """Both (G, K, D)."""
    start, stop = shape.num_heads * shape.head_dim, (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim
    rows = [qkv[part, start:stop] for part in span.keys]
    joined = rows[0] if len(rows) == 1 else torch.cat(rows)
    return _view_heads(joined, shape, 0, shape.num_kv_heads)[0], _view_heads(
        joined, shape, shape.num_kv_heads, shape.num_kv_heads
    )[0]


def _attention_weights(query: Tensor, key: Tensor, shape: _AttentionShape, span: _QuerySpan) -> Tensor:
    """How much each query draws from each key, (G, repeats · L, K)."""
    scores = query @ key.transpose(1, 2)
    scores.view(shape.num_kv_heads, shape.repeats, span.length, -1)[..., -span.length :].add_(span.causal_mask)
    return scores.softmax(-1)


def _attention(qkv: Tensor, shape: _AttentionShape, spans: Sequence[_QuerySpan]) -> Tensor:
    """What each token draws from those that it sees, (T, H · D)."""
    mixed = qkv.new_empty(qkv.shape[0], shape.num_heads * shape.head_dim)
    for span in spans:
        query = _scaled_queries(qkv[span.queries], shape, shape.head_dim**-0.5)
        key, value = _keys_values(qkv, shape, span)
        drawn = _attention_weights(query, key, shape, span) @ value
        target = _view_heads(mixed[span.queries], shape, 0, shape.num_heads).transpose(0, 1)
        target.copy_(drawn.view(target.shape))
    return mixed


def _attention_backward(
    d_mixed: Tensor, qkv: Tensor, d_qkv: Tensor, shape: _AttentionShape, spans: Sequence[_QuerySpan]
) -> Tensor:
    """Fills and gives back `d_qkv`, (T, at least all heads)."""
    scale, first = shape.head_dim**-0.5, shape.num_heads
    d_qkv[:, first * shape.head_dim : (first + 2 * shape.num_kv_heads) * shape.head_dim] = 0
    for span in spans:
        query = _scaled_queries(qkv[span.queries], shape, scale)
        key, value = _keys_values(qkv, shape, span)
        weights = _attention_weights(query, key, shape, span)
        slope = _scaled_queries(d_mixed[span.queries], shape, 1.0)
        d_value = weights.transpose(1, 2) @ slope
        # ∂ softmax: w · (s − Σ w s).
        d_scores = torch.ops.aten._softmax_backward_data(slope @ value.transpose(1, 2), weights, -1, weights.dtype)
        d_query, d_key = d_scores @ key, d_scores.transpose(1, 2) @ query
        target = _view_heads(d_qkv[span.queries], shape, 0, shape.num_heads).transpose(0, 1)
        torch.mul(d_query.view(target.shape), scale, out=target)
        start = 0
        for part in span.keys:
            stop = start + part.stop - part.start
            _view_heads(d_qkv[part], shape, first, shape.num_kv_heads)[0] += d_key[:, start:stop]
            _view_heads(d_qkv[part], shape, first + shape.num_kv_heads, shape.num_kv_heads)[0] += d_value[:, start:stop]
            start = stop
    return d_qkv

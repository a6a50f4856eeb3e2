"""Fused forward and backward passes of a Llama decoder with LoRA on a CPU, written by hand instead of by autograd.

Autograd keeps every intermediate result, some 12,000 numbers per token and block of the default model, and reads and writes each
of them several times. Here a block keeps less than half of them and recomputes norms and attention weights. It never forms the
gradient of a frozen weight. Queries, keys and values (and gate and up) are one matrix product, with the adapter's `a` as further
rows of the same matrix. Attention runs node by node of the batch's prefix tree and a limited number of queries at a time, so
little is computed only to be masked, and long sequences need no more memory. The arithmetic is that of the decoder in another
order: tests compare values and gradients in float64.

Shapes: T tokens, E model width, H query heads, G key/value heads, D head width, F width of the MLP, R rank of the adapter, L
queries and K keys of a span. For joined layers: I input width, O sum of the output widths, S sum of the ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from yearling.models import Decoder
from yearling.training.data.packing import PackedBatch, PrefixNode

_JOINED_LAYERS = (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",))
"""Layers of one group read the same input and are joined into one product."""

_MAX_QUERIES = 128
"""Maximum queries of a node that attend at a time."""


class FusedTrunk:
    """Computes the blocks of a decoder for packed batches; `hidden` equals the decoder's own result.

    The decoder stays usable: its weights become views into the joined ones. Create one only if `supports` returns True."""

    def __init__(self, decoder: Decoder) -> None:
        network: Any = decoder
        self._network = network
        config = network.config
        self._shape = _AttentionShape(config.num_heads, config.num_kv_heads, config.head_dim, config.norm_eps)
        self._blocks = [_FrozenBlock.from_decoder_block(block) for block in network.model.layers]
        self._frequencies = network._frequencies

    @staticmethod
    def supports(decoder: Decoder) -> bool:
        """Whether the decoder is a Llama decoder on a CPU without rarer features, whose adapter is on all linear layers from some
        block upwards.
        """
        blocks = getattr(getattr(decoder, "model", None), "layers", None)
        if blocks is None or next(decoder.parameters()).device.type != "cpu":
            return False
        config: Any = decoder.config
        if config.qk_norm or config.output_bias or config.mlp_bias or config.qkv_bias or any(config.windows):
            return False
        adapted = [[hasattr(layer, "lora_a") for group in _linear_groups(block) for layer in group] for block in blocks]
        first = next((index for index, layers in enumerate(adapted) if any(layers)), len(adapted))
        return first < len(adapted) and all(all(layers) for layers in adapted[first:])

    @property
    def is_current(self) -> bool:
        """False once the decoder's weights have been moved, merged or replaced."""
        layer = self._network.model.layers[-1].self_attn.q_proj
        return hasattr(layer, "base") and layer.base.weight.data_ptr() == self._blocks[-1].qkv.weight_and_a.data_ptr()

    def hidden(self, batch: PackedBatch, *, adapted: bool = True) -> Tensor:
        """Final hidden states, (T, E). With `adapted` False, those of the base model."""
        network, shape = self._network, self._shape
        x_TE: Tensor = network.model.embed_tokens(batch.ids_T)
        angles = batch.positions_T[:, None].float() * self._frequencies
        rotation = (angles.cos().to(x_TE.dtype)[:, None], angles.sin().to(x_TE.dtype)[:, None])  # (T, 1, D / 2)
        spans = _query_spans(batch.nodes, x_TE.dtype)
        for block in self._blocks:
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
    """Linear layers that read the same input, as one product.

    `weight_and_a` (O + S, I) stacks all frozen weights and, below them, all `a`. `scaled_b` (O, S) holds each layer's scaled `b`
    as a diagonal block. The frozen weights of the layers become views of `weight_and_a`. Layers below the adapter have rank 0."""

    def __init__(self, layers: Sequence[Any]) -> None:
        bases = [getattr(layer, "base", layer) for layer in layers]
        weights = [base.weight.detach() for base in bases]
        adapted = [layer for layer in layers if hasattr(layer, "lora_a")]
        self.factors = tuple(factor for layer in adapted for factor in (layer.lora_a, layer.lora_b))
        self._scale: float = adapted[0].scale if adapted else 1.0
        self._rank: int = adapted[0].lora_a.shape[0] if adapted else 0
        self._sizes = [weight.shape[0] for weight in weights]
        self.num_outputs = sum(self._sizes)
        self.weight_and_a = torch.cat([*weights, weights[0].new_zeros(len(layers) * self._rank, weights[0].shape[1])])
        self.scaled_b = self.weight_and_a.new_zeros(self.num_outputs, len(layers) * self._rank)
        for base, rows in zip(bases, self.weight_and_a[: self.num_outputs].split_with_sizes(self._sizes), strict=True):
            base.weight.data = rows

    def load_factors(self) -> None:
        """Copy the current values of the adapter's factors."""
        for index, (outputs, ranks) in enumerate(self._layer_slices()):
            a_rows = slice(self.num_outputs + ranks.start, self.num_outputs + ranks.stop)
            self.weight_and_a[a_rows].copy_(self.factors[2 * index].detach())
            torch.mul(self.factors[2 * index + 1].detach(), self._scale, out=self.scaled_b[outputs, ranks])

    def forward(self, x: Tensor, *, adapted: bool) -> Tensor:
        """(T, O + S): the layers' outputs in the first O columns, x aᵀ in the others. Without the adapter (T, O)."""
        if not adapted:
            return x @ self.weight_and_a[: self.num_outputs].T
        out = x @ self.weight_and_a.T
        out[:, : self.num_outputs].addmm_(out[:, self.num_outputs :], self.scaled_b.T)
        return out

    @overload
    def backward(
        self, grad_output: Tensor, x: Tensor, low_rank: Tensor, *, needs_input_grad: Literal[True] = True
    ) -> tuple[Tensor, list[Tensor]]: ...

    @overload
    def backward(
        self, grad_output: Tensor, x: Tensor, low_rank: Tensor, *, needs_input_grad: bool
    ) -> tuple[Tensor | None, list[Tensor]]: ...

    def backward(
        self, grad_output: Tensor, x: Tensor, low_rank: Tensor, *, needs_input_grad: bool = True
    ) -> tuple[Tensor | None, list[Tensor]]:
        """(gradient of x, or None if not needed; gradients of the factors).

        `grad_output` is (T, O + S): the gradient of the outputs in the first O columns; the other columns are overwritten.
        `low_rank` is x aᵀ, (T, S)."""
        grad_outputs, grad_low_rank = grad_output[:, : self.num_outputs], grad_output[:, self.num_outputs :]
        torch.mm(grad_outputs, self.scaled_b, out=grad_low_rank)
        grad_a, grad_b = grad_low_rank.T @ x, (grad_outputs.T @ low_rank).mul_(self._scale)
        grad_factors = [grad for outputs, ranks in self._layer_slices() for grad in (grad_a[ranks], grad_b[outputs, ranks])]
        return (grad_output @ self.weight_and_a if needs_input_grad else None), grad_factors

    def new_output(self, num_tokens: int) -> Tensor:
        """An uninitialised (T, O + S) tensor."""
        return self.weight_and_a.new_empty(num_tokens, self.weight_and_a.shape[0])

    def _layer_slices(self) -> list[tuple[slice, slice]]:
        """(outputs, ranks) of each layer."""
        slices, start = [], 0
        for index, size in enumerate(self._sizes):
            slices.append((slice(start, start + size), slice(index * self._rank, (index + 1) * self._rank)))
            start += size
        return slices


@dataclass(frozen=True, slots=True, eq=False)
class _FrozenBlock:
    """The frozen weights of a block. `factors` are (a, b) of the layers in the order of `_JOINED_LAYERS`."""

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
        factors = tuple(factor for joined in (qkv, out, gate_up, down) for factor in joined.factors)
        norms = block.input_layernorm.weight.detach(), block.post_attention_layernorm.weight.detach()
        return cls(*norms, qkv, out, gate_up, down, factors)

    def load_factors(self) -> None:
        """Copy the current values of the adapter's factors."""
        for joined in (self.qkv, self.out, self.gate_up, self.down):
            joined.load_factors()


@dataclass(frozen=True, slots=True)
class _QuerySpan:
    """Queries that attend together: some tokens of a node, or all tokens of neighbouring leaves.

    `keys` are their ancestors and the tokens before them in the node, and last the queries themselves."""

    queries: slice
    keys: tuple[slice, ...]
    causal_mask: Tensor
    """−∞ where a query must not see a later token or one of another node, else 0, (L, L)."""

    @property
    def length(self) -> int:
        return self.causal_mask.shape[0]


def _linear_groups(block: Any) -> list[list[Any]]:
    return [[getattr(block.self_attn if name[0] in "qkvo" else block.mlp, name) for name in group] for group in _JOINED_LAYERS]


def _query_spans(nodes: Sequence[PrefixNode], dtype: torch.dtype) -> list[_QuerySpan]:
    """Splits the nodes into spans: long nodes in parts, and short neighbouring leaves of one parent together."""
    spans = []
    causal = torch.full((_MAX_QUERIES, _MAX_QUERIES), -torch.inf, dtype=dtype).triu_(1)
    for siblings in _node_groups(nodes):
        first = nodes[siblings.start]
        ancestors: list[slice] = []
        parent = first.parent
        while parent >= 0:
            ancestors.insert(0, nodes[parent].token_slice)
            parent = nodes[parent].parent
        if len(siblings) > 1:
            lengths = torch.tensor([nodes[index].length for index in siblings])
            owner_L = torch.repeat_interleave(torch.arange(len(siblings)), lengths)
            length = owner_L.shape[0]
            queries = slice(first.start, first.start + length)
            mask = causal[:length, :length].masked_fill(owner_L[:, None] != owner_L[None], -torch.inf)
            spans.append(_QuerySpan(queries, (*ancestors, queries), mask))
            continue
        num_parts = -(-first.length // _MAX_QUERIES)
        for part in range(num_parts):
            start, stop = (first.start + first.length * boundary // num_parts for boundary in (part, part + 1))
            length = stop - start
            spans.append(_QuerySpan(slice(start, stop), (*ancestors, slice(first.start, stop)), causal[:length, :length]))
    return spans


def _node_groups(nodes: Sequence[PrefixNode]) -> list[range]:
    """Runs of node indices that attend together: a single node, or short neighbouring leaves of one parent."""
    parents = {node.parent for node in nodes}
    groups: list[range] = []
    free_queries = 0
    for index, node in enumerate(nodes):
        joins = index not in parents and node.length <= free_queries and node.parent == nodes[index - 1].parent
        if joins:
            groups[-1] = range(groups[-1].start, index + 1)
        else:
            groups.append(range(index, index + 1))
            free_queries = 0 if index in parents else _MAX_QUERIES
        free_queries -= node.length
    return groups


class _BlockContext(FunctionCtx):
    """What the forward pass of a block leaves for the backward pass."""

    block: _FrozenBlock
    shape: _AttentionShape
    rotation: tuple[Tensor, Tensor]
    spans: list[_QuerySpan]
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]


class _BlockFunction(torch.autograd.Function):
    """One block as an autograd function of its input and the adapter's factors."""

    @staticmethod
    def forward(
        ctx: _BlockContext,
        x: Tensor,
        block: _FrozenBlock,
        shape: _AttentionShape,
        rotation: tuple[Tensor, Tensor],
        spans: list[_QuerySpan],
        *factors: Tensor,
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
            # The factors are saved so that autograd notices if they change before the backward pass.
            ctx.save_for_backward(x, qkv, mixed, out, gate_up, down[:, model_width:], *factors)
        return y

    @staticmethod
    def backward(ctx: _BlockContext, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (dy,) = gradients
        block, shape = ctx.block, ctx.shape
        x, qkv, mixed, out, gate_up, low_down, *_ = ctx.saved_tensors
        num_tokens, model_width = x.shape
        x2 = out[:, :model_width]
        gate, up = _gate_and_up(gate_up, block)

        silu = F.silu(gate)
        d_down = block.down.new_output(num_tokens)
        d_down[:, :model_width] = dy
        d_product, d_down_factors = block.down.backward(d_down, silu * up, low_down)
        d_gate_up = block.gate_up.new_output(num_tokens)
        d_gate, d_up = _gate_and_up(d_gate_up, block)
        torch.mul(d_product, silu, out=d_up)
        torch.ops.aten.silu_backward.grad_input(d_product.mul_(up), gate, grad_input=d_gate)
        del silu, d_product
        n2, inverse = _rms_norm(x2, block.mlp_norm, shape.eps)
        low_gate_up = gate_up[:, block.gate_up.num_outputs :]
        d_n2, d_gate_up_factors = block.gate_up.backward(d_gate_up, n2, low_gate_up)
        del d_gate_up, d_gate, d_up
        d_out = block.out.new_output(num_tokens)
        dx2 = torch.add(_rms_norm_backward(d_n2, x2, inverse, block.mlp_norm), dy, out=d_out[:, :model_width])

        d_mixed, d_out_factors = block.out.backward(d_out, mixed, out[:, model_width:])
        d_qkv = _attention_backward(d_mixed, qkv, block.qkv.new_output(num_tokens), shape, ctx.spans)
        _apply_rotary(d_qkv, shape, ctx.rotation, -1)
        n1, inverse = _rms_norm(x, block.attention_norm, shape.eps)
        low_qkv = qkv[:, block.qkv.num_outputs :]
        d_n1, d_qkv_factors = block.qkv.backward(d_qkv, n1, low_qkv, needs_input_grad=ctx.needs_input_grad[0])
        dx = None if d_n1 is None else _rms_norm_backward(d_n1, x, inverse, block.attention_norm).add_(dx2)
        grads = [*d_qkv_factors, *d_out_factors, *d_gate_up_factors, *d_down_factors]
        return dx, None, None, None, None, *(grad.to(factor.dtype) for grad, factor in zip(grads, block.factors, strict=True))


def _gate_and_up(gate_up: Tensor, block: _FrozenBlock) -> tuple[Tensor, Tensor]:
    half = block.gate_up.num_outputs // 2
    return gate_up[:, :half], gate_up[:, half : 2 * half]


def _rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(x / rms(x) · weight, 1 / rms(x)). The second is in float32 or wider, (T, 1)."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    inverse = torch.linalg.vecdot(wide, wide).div_(x.shape[1]).add_(eps).rsqrt_()[:, None]
    return (wide * inverse).to(x.dtype).mul_(weight), inverse


def _rms_norm_backward(dy: Tensor, x: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    """The gradient of x. With n = x/rms: dx = (g − n · mean(g n)) / rms for g = dy · weight. Overwrites `dy`."""
    wide_dtype = inverse.dtype
    scaled = dy.mul_(weight).to(wide_dtype)
    normal = x.to(wide_dtype) * inverse
    mean = torch.linalg.vecdot(scaled, normal).div_(x.shape[1])[:, None]
    return scaled.sub_(normal.mul_(mean)).mul_(inverse).to(x.dtype)


def _apply_rotary(qkv: Tensor, shape: _AttentionShape, rotation: tuple[Tensor, Tensor], sign: int) -> None:
    """Rotate queries and keys in place by their angles; `sign` −1 rotates them back."""
    cos, sin = rotation
    rotated = qkv[:, : (shape.num_heads + shape.num_kv_heads) * shape.head_dim].view(qkv.shape[0], -1, shape.head_dim)
    left, right = rotated[..., : shape.head_dim // 2], rotated[..., shape.head_dim // 2 :]
    old_left = left.clone()
    left.mul_(cos).addcmul_(right, sin, value=-sign)
    right.mul_(cos).addcmul_(old_left, sin, value=sign)


def _view_heads(rows: Tensor, shape: _AttentionShape, first: int, count: int) -> Tensor:
    """Heads `first` to `first + count` of joined rows (L, …) as a view (count / G, G, L, D).

    Head h = g · repeats + r is row r of the batch dimension, so the keys of each group serve all of its queries."""
    columns = rows[:, first * shape.head_dim : (first + count) * shape.head_dim]
    return columns.view(columns.shape[0], shape.num_kv_heads, count // shape.num_kv_heads, shape.head_dim).permute(2, 1, 0, 3)


def _scaled_queries(rows: Tensor, shape: _AttentionShape, scale: float) -> Tensor:
    """The query heads of joined rows times `scale`, (G, repeats · L, D): queries that meet the same keys form one matrix."""
    heads = _view_heads(rows, shape, 0, shape.num_heads).transpose(0, 1)  # (G, repeats, L, D)
    out = torch.mul(heads, scale, out=heads.new_empty(heads.shape))
    return out.view(shape.num_kv_heads, -1, shape.head_dim)


def _keys_values(qkv: Tensor, shape: _AttentionShape, span: _QuerySpan) -> tuple[Tensor, Tensor]:
    """(keys, values) of a span, each (G, K, D)."""
    num_heads, num_kv_heads = shape.num_heads, shape.num_kv_heads
    start, stop = num_heads * shape.head_dim, (num_heads + 2 * num_kv_heads) * shape.head_dim
    rows = [qkv[tokens, start:stop] for tokens in span.keys]
    joined = rows[0] if len(rows) == 1 else torch.cat(rows)
    keys = _view_heads(joined, shape, 0, num_kv_heads)[0]
    return keys, _view_heads(joined, shape, num_kv_heads, num_kv_heads)[0]


def _attention_weights(query: Tensor, key: Tensor, shape: _AttentionShape, span: _QuerySpan) -> Tensor:
    """The softmax of queries over keys, (G, repeats · L, K)."""
    scores = query @ key.transpose(1, 2)
    scores.view(shape.num_kv_heads, shape.repeats, span.length, -1)[..., -span.length :].add_(span.causal_mask)
    return scores.softmax(-1)


def _attention(qkv: Tensor, shape: _AttentionShape, spans: Sequence[_QuerySpan]) -> Tensor:
    """The attention output of each token, (T, H · D)."""
    mixed = qkv.new_empty(qkv.shape[0], shape.num_heads * shape.head_dim)
    for span in spans:
        query = _scaled_queries(qkv[span.queries], shape, shape.head_dim**-0.5)
        key, value = _keys_values(qkv, shape, span)
        output = _attention_weights(query, key, shape, span) @ value
        target = _view_heads(mixed[span.queries], shape, 0, shape.num_heads).transpose(0, 1)
        target.copy_(output.view(target.shape))
    return mixed


def _attention_backward(
    d_mixed: Tensor, qkv: Tensor, d_qkv: Tensor, shape: _AttentionShape, spans: Sequence[_QuerySpan]
) -> Tensor:
    """Write the gradient of queries, keys and values into `d_qkv`, (T, at least all heads), and return it."""
    scale, first = shape.head_dim**-0.5, shape.num_heads
    d_qkv[:, first * shape.head_dim : (first + 2 * shape.num_kv_heads) * shape.head_dim] = 0
    for span in spans:
        query = _scaled_queries(qkv[span.queries], shape, scale)
        key, value = _keys_values(qkv, shape, span)
        weights = _attention_weights(query, key, shape, span)
        d_output = _scaled_queries(d_mixed[span.queries], shape, 1.0)
        d_value = weights.transpose(1, 2) @ d_output
        # The gradient of softmax is w · (s − Σ w s).
        d_scores = torch.ops.aten._softmax_backward_data(d_output @ value.transpose(1, 2), weights, -1, weights.dtype)
        d_query, d_key = d_scores @ key, d_scores.transpose(1, 2) @ query
        target = _view_heads(d_qkv[span.queries], shape, 0, shape.num_heads).transpose(0, 1)
        torch.mul(d_query.view(target.shape), scale, out=target)
        start = 0
        for tokens in span.keys:
            stop = start + tokens.stop - tokens.start
            _view_heads(d_qkv[tokens], shape, first, shape.num_kv_heads)[0] += d_key[:, start:stop]
            _view_heads(d_qkv[tokens], shape, first + shape.num_kv_heads, shape.num_kv_heads)[0] += d_value[:, start:stop]
            start = stop
    return d_qkv

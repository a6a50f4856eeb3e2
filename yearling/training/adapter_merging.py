"""Merges adapters that learnt different things on the same base into one: average, TIES (2306.01708) or DARE (2311.03099).

An adapter changes the weights of a layer by ΔW = scale · b a. All methods merge these changes, not the factors: a mean of factors
would mix every `b` with every `a`. The average of changes is again a product of factors, exactly, with the sum of the ranks. TIES
and DARE look at single weights, so their result has full rank; the best approximation of the wanted rank is kept (Eckart and
Young 1936). Pure functions: nothing is read, written or trained, and nothing is known of what the adapters learnt.

Departs from the papers in the approximation, and in that DARE is followed by the average.

Shapes: R rank, I input width, O output width of a layer; ΔW is (O, I).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from yearling.errors import BadInput, Untrusted
from yearling.models import Adapter


def merge_adapters(
    adapters: Sequence[Adapter],
    *,
    method: str = "average",
    weights: Sequence[float] = (),
    density: float = 0.2,
    drop: float = 0.5,
    rank: int = 0,
    seed: int = 0,
) -> Adapter:
    """One adapter from several on the same base.

    `method` is `average`, `ties` or `dare`. `weights` are the shares of the adapters, equal ones if empty; they need not add up
    to 1. `density` is the share of a change's largest weights that TIES keeps, `drop` the probability with which DARE drops a
    weight. `rank` 0 is the sum of the ranks. Raises Untrusted if the adapters have different bases, BadInput for a single
    adapter, an unknown method or a setting out of range.
    """
    shares = list(weights) or [1 / len(adapters)] * len(adapters) if adapters else []
    if len(adapters) < 2 or len(shares) != len(adapters):
        raise BadInput("A merge needs at least two adapters, and one weight for each.", param="adapters")
    if not 0 < density <= 1 or not 0 <= drop < 1 or rank < 0:
        raise BadInput("A merge needs a density in (0, 1], a drop in [0, 1) and a rank of at least 1.", param="density")
    if len({adapter.base_sha256 for adapter in adapters}) > 1:
        raise Untrusted("The adapters were made for different weights.", advice="Merge adapters on one base.", param="adapters")
    total_rank = sum(adapter.rank for adapter in adapters)
    kept_rank = min(rank or total_rank, total_rank)
    generator = torch.Generator().manual_seed(seed)
    factors = {}
    for name in dict.fromkeys(name for adapter in adapters for name in adapter.factors):
        pairs = [(adapter, share) for adapter, share in zip(adapters, shares, strict=True) if name in adapter.factors]
        if method == "average" and kept_rank == total_rank:
            a, b = join_factors([(*adapter.factors[name], adapter.scale * share) for adapter, share in pairs], kept_rank)
        else:
            combine = _combiner(method, density, drop, generator)
            merged = combine([layer_change(adapter, name) for adapter, _ in pairs], [share for _, share in pairs])
            a, b = factorise(merged, kept_rank)
        factors[name] = (a, b)
    first = adapters[0]
    return Adapter(factors, kept_rank, float(kept_rank), first.base_sha256, first.base_source_sha256)


def layer_change(adapter: Adapter, name: str) -> Tensor:
    """ΔW of one layer, (O, I), in float32 or wider."""
    a, b = adapter.factors[name]
    wide = torch.promote_types(a.dtype, torch.float32)
    return (b.detach().to(wide) @ a.detach().to(wide)) * adapter.scale


def join_factors(parts: Sequence[tuple[Tensor, Tensor, float]], rank: int) -> tuple[Tensor, Tensor]:
    """(a (rank, I), b (O, rank)) with b a = Σ factor · b_i a_i for the parts (a_i, b_i, factor). Missing rows are zero."""
    a = torch.cat([part[0].detach().float() for part in parts])
    b = torch.cat([part[1].detach().float() * part[2] for part in parts], dim=1)
    missing = rank - a.shape[0]
    return torch.cat([a, a.new_zeros(missing, a.shape[1])]), torch.cat([b, b.new_zeros(b.shape[0], missing)], dim=1)


def average_changes(changes: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Σ share · ΔW."""
    return torch.stack([change * share for change, share in zip(changes, shares, strict=True)]).sum(0)


def ties_changes(changes: Sequence[Tensor], shares: Sequence[float], *, density: float) -> Tensor:
    """TIES: trim each change to its largest weights, elect a sign for each weight, and average those that have it.

    The elected sign is that of the sum of the trimmed changes times their shares. A weight's average is over the changes that
    keep it with that sign, each with its share, and is scaled by the sum of all shares: adapters that leave a weight alone do not
    shrink it.
    """
    trimmed = torch.stack([_trim(change, density) for change in changes])  # (adapters, O, I)
    share_A = torch.tensor(shares, dtype=trimmed.dtype, device=trimmed.device).view(-1, 1, 1)
    sign = (trimmed * share_A).sum(0).sign()
    agrees = (trimmed.sign() == sign) & (trimmed != 0)
    weight = (agrees * share_A).sum(0)
    mean = (trimmed * agrees * share_A).sum(0) / torch.where(weight == 0, torch.ones_like(weight), weight)
    return mean * float(sum(shares))


def dare_changes(changes: Sequence[Tensor], shares: Sequence[float], *, drop: float, generator: torch.Generator) -> Tensor:
    """DARE: drop each weight of each change with probability `drop`, scale the others by 1 / (1 − drop), and average."""
    kept = [torch.rand(change.shape, generator=generator) >= drop for change in changes]
    rescaled = [change * mask.to(change) / (1 - drop) for change, mask in zip(changes, kept, strict=True)]
    return average_changes(rescaled, shares)


def factorise(change: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(a (rank, I), b (O, rank)) whose product is the closest of that rank to the change in the Frobenius norm."""
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    kept = min(rank, len(values))
    root = values[:kept].sqrt()
    return join_factors([(right[:kept] * root[:, None], left[:, :kept] * root, 1.0)], rank)


def _combiner(
    method: str, density: float, drop: float, generator: torch.Generator
) -> Callable[[Sequence[Tensor], Sequence[float]], Tensor]:
    match method:
        case "average":
            return average_changes
        case "ties":
            return lambda changes, shares: ties_changes(changes, shares, density=density)
        case "dare":
            return lambda changes, shares: dare_changes(changes, shares, drop=drop, generator=generator)
    raise BadInput(f"There is no way to merge called {method!r}.", advice="Use average, ties or dare.", param="method")


def _trim(change: Tensor, density: float) -> Tensor:
    """The change with all but its largest weights set to 0; of equal ones, those that come first are kept."""
    count = max(1, round(density * change.numel()))
    order = change.abs().flatten().argsort(descending=True, stable=True)[:count]
    trimmed = torch.zeros_like(change).flatten()
    trimmed[order] = change.flatten()[order]
    return trimmed.view_as(change)

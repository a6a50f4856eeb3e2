"""Merges published adapters of one model into a new published adapter, and takes over adapters that came from elsewhere.

The results have no run: their lineage is that of the adapters that they were made from, which the caller names (`merged_from`).
`adapter_merging.py` has the arithmetic, and needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yearling.errors import BadInput, Untrusted
from yearling.models import PublishedAdapter, load_adapter, load_decoder
from yearling.records import MergeSource
from yearling.training.setup import ArtefactStores


def publish_merged_adapter(
    stores: ArtefactStores,
    model_name: str,
    adapters: Sequence[str],
    *,
    method: str = "average",
    weights: Sequence[float] = (),
    density: float = 0.2,
    drop: float = 0.5,
    rank: int = 0,
    seed: int = 0,
    merged_from: tuple[MergeSource, ...] = (),
) -> PublishedAdapter:
    """Publish one adapter from several on the same local model; see `merge_adapters` for the settings and what it raises.

    `adapters` are hashes or served names. Raises NotFound for an unknown model or adapter, Untrusted for a changed one or one of
    other weights, BadInput if one is a reader or torch is not installed, StorageFailed if the disk fails.
    """
    model = stores.library.get(model_name)
    published = [stores.adapters.verify(stores.adapters.get(name).sha256) for name in adapters]
    for each in published:
        if each.fits(model) != "same":
            raise Untrusted(f"The adapter {each.sha256[:12]} was made for other weights than {model.name}.", param="adapters")
        if each.purpose != "model":
            raise BadInput(f"The adapter {each.sha256[:12]} is a reader, which holds no knowledge.", param="adapters")
    decoder = load_decoder(model.weights)
    from yearling.training.adapter_merging import merge_adapters

    loaded = [load_adapter(each.weights, decoder, base_sha256=model.sha256) for each in published]
    merged = merge_adapters(loaded, method=method, weights=weights, density=density, drop=drop, rank=rank, seed=seed)
    return stores.adapters.publish(merged, decoder, model, merged_from=merged_from)


def import_adapter(
    stores: ArtefactStores, model_name: str, path: Path, *, merged_from: tuple[MergeSource, ...] = ()
) -> PublishedAdapter:
    """Publish the adapter in a GGUF file or a PEFT folder for a local model. The same adapter gets the same hash everywhere.

    Raises NotFound for an unknown model, Untrusted for a damaged file or an adapter of other weights, BadInput if torch is not
    installed, StorageFailed if the disk fails.
    """
    model = stores.library.get(model_name)
    decoder = load_decoder(model.weights)
    adapter = load_adapter(path, decoder, base_sha256=model.sha256)
    return stores.adapters.publish(adapter, decoder, model, merged_from=merged_from)

"""Merging adapters: each method by its definition, worked by hand where that is possible."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.models.artefacts import llama_folder
from yearling.errors import BadInput, Untrusted
from yearling.models import Adapter, load_adapter, load_decoder, new_adapter
from yearling.training import ArtefactStores, publish_merged_adapter
from yearling.training.adapter_merging import (
    dare_changes,
    factorise,
    layer_change,
    merge_adapters,
    ties_changes,
)

LAYER, OTHER = "model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"


def adapter(
    seed: int, *, rank: int = 2, alpha: float = 4.0, base: str = "ab" * 32, layers: tuple[str, ...] = (LAYER,)
) -> Adapter:
    generator = torch.Generator().manual_seed(seed)
    factors = {name: (torch.randn(rank, 5, generator=generator), torch.randn(7, rank, generator=generator)) for name in layers}
    return Adapter(factors, rank, alpha, base)


def change(merged: Adapter, name: str = LAYER) -> Tensor:
    return layer_change(merged, name)


def test_average_of_changes_is_exact_and_not_that_of_factors() -> None:
    first, second = adapter(1), adapter(2, rank=3, alpha=1.5)
    merged = merge_adapters([first, second])
    torch.testing.assert_close(change(merged), (change(first) + change(second)) / 2)
    assert merged.rank == 5
    weighted = merge_adapters([first, second], weights=(1.0, 0.5))
    torch.testing.assert_close(change(weighted), change(first) + change(second) / 2)


def test_layers_that_only_one_adapter_has_are_kept() -> None:
    first, second = adapter(1, layers=(LAYER, OTHER)), adapter(2)
    merged = merge_adapters([first, second])
    torch.testing.assert_close(change(merged, OTHER), change(first, OTHER) / 2)
    assert {a.shape[0] for a, _ in merged.factors.values()} == {merged.rank}


def test_ties_worked_by_hand() -> None:
    first = torch.tensor([[4.0, -1.0, 2.0, 0.5]])
    second = torch.tensor([[-1.0, -3.0, 6.0, 0.4]])
    # The largest two of each: [4, 0, 2, 0] and [0, -3, 6, 0]. Signs of the sums: +, -, +. Means of those that agree.
    torch.testing.assert_close(ties_changes([first, second], [0.5, 0.5], density=0.5), torch.tensor([[4.0, -3.0, 4.0, 0.0]]))
    # All kept: the signs of 3, -4, 8 and .9 are +, -, +, +; the first weight of the second one disagrees.
    torch.testing.assert_close(ties_changes([first, second], [0.5, 0.5], density=1.0), torch.tensor([[4.0, -2.0, 4.0, 0.45]]))
    # A heavier second one turns the first sign.
    assert float(ties_changes([first, second], [0.1, 0.9], density=1.0)[0, 0]) == pytest.approx(-1.0)


def test_dare_drops_and_rescales() -> None:
    ones = torch.ones(200, 300)
    merged = dare_changes([ones], [1.0], drop=0.75, generator=torch.Generator().manual_seed(1))
    assert set(torch.unique(merged).tolist()) == {0.0, 4.0}
    assert float(merged.mean()) == pytest.approx(1.0, abs=0.03)
    torch.testing.assert_close(dare_changes([ones, ones], [0.5, 0.5], drop=0.0, generator=torch.Generator()), ones)
    both = dare_changes([ones, ones], [0.5, 0.5], drop=0.5, generator=torch.Generator().manual_seed(1))
    assert set(torch.unique(both).tolist()) == {0.0, 1.0, 2.0}, "each change has a mask of its own"


def test_factors_are_the_best_of_their_rank() -> None:
    matrix = torch.randn(7, 5, generator=torch.Generator().manual_seed(3))
    a, b = factorise(matrix, 5)
    torch.testing.assert_close(b @ a, matrix)
    values = torch.linalg.svdvals(matrix)
    a, b = factorise(matrix, 2)
    assert float((matrix - b @ a).norm()) == pytest.approx(float(values[2:].norm()), rel=1e-4)
    a, b = factorise(matrix, 9)
    assert (a.shape, b.shape) == ((9, 5), (7, 9))
    torch.testing.assert_close(b @ a, matrix)


@pytest.mark.parametrize("method", ["average", "ties", "dare"])
def test_merging_an_adapter_with_itself_gives_it_back(method: str) -> None:
    one = adapter(1)
    merged = merge_adapters([one, one], method=method, density=1.0, drop=0.0)
    torch.testing.assert_close(change(merged), change(one), rtol=1e-4, atol=1e-4)


def test_a_merge_is_repeatable_and_depends_on_its_seed() -> None:
    adapters = [adapter(1), adapter(2)]
    changes = [change(merge_adapters(adapters, method="dare", seed=seed)) for seed in (1, 1, 2)]
    assert torch.equal(changes[0], changes[1])
    assert not torch.allclose(changes[0], changes[2])


def test_impossible_merges_are_refused() -> None:
    with pytest.raises(BadInput, match="at least two"):
        merge_adapters([adapter(1)])
    with pytest.raises(BadInput, match="at least two"):
        merge_adapters([])
    with pytest.raises(Untrusted, match="different weights"):
        merge_adapters([adapter(1), adapter(2, base="cd" * 32)])
    for settings in ({"density": 0.0}, {"drop": 1.0}, {"weights": (1.0,)}, {"rank": -1}):
        with pytest.raises(BadInput):
            merge_adapters([adapter(1), adapter(2)], **settings)
    with pytest.raises(BadInput, match="called 'sum'"):
        merge_adapters([adapter(1), adapter(2)], method="sum")


@pytest.mark.slow
def test_published_adapters_are_merged_into_a_published_one(tmp_path: Path) -> None:
    stores = ArtefactStores.from_data_dir(tmp_path / "data")
    model = stores.library.import_path(llama_folder(tmp_path / "tiny"))
    decoder = load_decoder(model.weights)
    published = []
    for seed in (1, 2):
        made = new_adapter(decoder, rank=2, alpha=2.0, base_sha256=model.sha256, seed=seed)
        for _, b in made.factors.values():
            b.normal_(generator=torch.Generator().manual_seed(seed))
        published.append(stores.adapters.publish(made, decoder, model))
    merged = publish_merged_adapter(stores, "tiny", [each.sha256 for each in published])
    assert (merged.purpose, merged.rank, merged.fits(model)) == ("model", 4, "same")
    first, second, result = (load_adapter(each.weights, decoder, base_sha256=model.sha256) for each in (*published, merged))
    for name in result.factors:
        torch.testing.assert_close(change(result, name), (change(first, name) + change(second, name)) / 2)

    made = new_adapter(decoder, rank=2, alpha=2.0, base_sha256=model.sha256, seed=3)
    reader = stores.adapters.publish(made, decoder, model, purpose="reader")
    with pytest.raises(BadInput, match="is a reader"):
        publish_merged_adapter(stores, "tiny", [published[0].sha256, reader.sha256])

"""Traces the training runs behind a model, through adapters, merged models and base models.

Knows models and adapters only by the few fields that say where they come from, so that it needs neither files nor torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from yearling.errors import NotFound, Untrusted
from yearling.records import MergeSource
from yearling.store import TrainingRunStore

if TYPE_CHECKING:
    from yearling.evals import TrainingHistory

_PUBLISHED_SOURCES = ("pypi:", "hf:", "https:")


class InstalledWeights(Protocol):
    """The weights of an installed model: their hash, and the `source` that says what they were made from."""

    @property
    def sha256(self) -> str: ...

    @property
    def source(self) -> str: ...


class TrainedAdapter(Protocol):
    """An adapter: its hash, and the run and step that it comes from (`run` is empty if it came from elsewhere or was merged)."""

    @property
    def sha256(self) -> str: ...

    @property
    def run(self) -> str: ...

    @property
    def step(self) -> int: ...

    @property
    def merged_from(self) -> Sequence[MergeSource]: ...


def find_training_history(
    model: InstalledWeights,
    adapter: TrainedAdapter | None,
    installed: Iterable[InstalledWeights],
    adapter_of: Callable[[str], TrainedAdapter],
    runs: TrainingRunStore,
) -> TrainingHistory:
    """The training runs behind a model, those that it continues included.

    `installed` are the known models; `adapter_of` returns an adapter by name or hash and may raise NotFound or Untrusted. The
    history is incomplete if some weights or adapters are unknown.
    """
    from yearling.evals import TrainingHistory

    by_hash = {candidate.sha256: candidate for candidate in installed}
    steps: dict[str, int] = {}
    unknown: list[str] = []
    merged: set[str] = set()

    def trace_weights(sha256: str) -> None:
        if (local := by_hash.get(sha256)) is None:
            unknown.append(sha256)
            return
        kind, _, rest = local.source.partition(":")
        if kind == "merge":
            base, _, merged = rest.partition("+")
            trace_weights(base)
            trace_adapter(merged)
        elif kind == "run":
            run_id, _, step = rest.partition("+")[0].rpartition("@")
            trace_run(run_id, int(step))
        elif not local.source.startswith(_PUBLISHED_SOURCES):
            unknown.append(sha256)

    def trace_adapter(name: str) -> None:
        try:
            published = adapter_of(name)
        except (NotFound, Untrusted):
            unknown.append(name)
            return
        if published.run:
            trace_run(published.run, published.step)
        elif published.merged_from and published.sha256 not in merged:
            merged.add(published.sha256)
            for source in published.merged_from:
                if source.adapter:
                    trace_adapter(source.adapter)
        elif not published.merged_from:
            unknown.append(name)

    def trace_run(run_id: str, step: int) -> None:
        if run_id in steps:
            steps[run_id] = max(step, steps[run_id])
            return
        steps[run_id] = step
        try:
            run = runs.get(run_id)
        except (NotFound, Untrusted):
            return  # whoever reads the run looks it up again and reports the error
        trace_weights(run.base_sha256)
        if earlier_adapter := run.facts.get("setup", {}).get("adapter"):
            trace_adapter(earlier_adapter)

    trace_weights(model.sha256)
    if adapter is not None:
        trace_adapter(adapter.sha256)
    return TrainingHistory(steps, is_complete=not unknown)

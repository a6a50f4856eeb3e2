"""From a run to what serves: its adapter under its own hash, or a model of its own with all weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yearling.errors import Unsupported
from yearling.models import Layout, LocalModel, Progress, PublishedAdapter, install_decoder, merge_into_library
from yearling.training.checkpoints import load_state
from yearling.training.run import RunFolder
from yearling.training.setup import ArtefactStores, base_model, build_policy, read_setup

if TYPE_CHECKING:
    from yearling.training.policy.policy import Policy


def export_adapter(run: RunFolder, stores: ArtefactStores, *, checkpoint: str = "best") -> PublishedAdapter:
    """Publish the adapter of a checkpoint (`best`, `last` or a step), for servers to pick up at once.

    Raises NotFound, Untrusted for a damaged checkpoint, Unsupported for a run that trained all weights or a reward model."""
    if run.facts["method"] == "reward":
        raise Unsupported("A reward model judges answers and writes none: there is nothing to serve.")
    model = base_model(run, stores)
    step, policy = _load_trained_policy(run, model, stores, checkpoint)
    published = stores.adapters.publish(policy.adapter(), policy.decoder, model, run=run.id, step=step)
    run.log(f"Published the adapter of step {step} as {published.sha256}.")
    return published


def export_model(
    run: RunFolder,
    stores: ArtefactStores,
    *,
    checkpoint: str = "best",
    name: str = "",
    layout: Layout = "q8_0",
    progress: Progress | None = None,
) -> LocalModel:
    """Install what a run trained as a model of its own: an adapter is published, merged and laid out anew; all weights are laid
    out anew. Raises as `export_adapter`, and Conflict for a taken name."""
    model = base_model(run, stores)
    if not read_setup(run).full:
        adapter = export_adapter(run, stores, checkpoint=checkpoint)
        return merge_into_library(stores.library, model, adapter, name=name, layout=layout, progress=progress)
    step, policy = _load_trained_policy(run, model, stores, checkpoint)
    source = f"run:{run.id}@{step}+{model.sha256}"
    name = name or f"{model.name}-{run.id[-12:]}"
    made = install_decoder(stores.library, policy.decoder, model, name=name, source=source, layout=layout, progress=progress)
    run.log(f"Installed the weights of step {step} as {made.name} ({made.sha256}).")
    return made


def _load_trained_policy(run: RunFolder, model: LocalModel, stores: ArtefactStores, checkpoint_name: str) -> tuple[int, Policy]:
    found = run.checkpoints.choose(checkpoint_name)
    state = load_state(found)
    policy = build_policy(run, model, stores)
    policy.load_state_dict(state["policy"])
    return found.step, policy

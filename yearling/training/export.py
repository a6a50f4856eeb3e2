"""Publishes what a run trained, so that it can be served: its adapter, or a complete model.

An adapter is published under the hash of its content. Servers pick it up at once; none needs to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yearling.errors import Unsupported
from yearling.models import AdapterPurpose, Layout, LocalModel, Progress, PublishedAdapter, install_decoder, merge_into_library
from yearling.training.checkpoints import load_state
from yearling.training.run import RunFolder
from yearling.training.setup import READER_METHOD, ArtefactStores, base_model, build_policy, read_setup

if TYPE_CHECKING:
    from yearling.training.policy.policy import Policy


def export_adapter(run: RunFolder, stores: ArtefactStores, *, checkpoint: str = "best") -> PublishedAdapter:
    """Publish the adapter of a checkpoint (`best`, `last` or a step number).

    Raises NotFound if the checkpoint or the base model is missing, Untrusted if the checkpoint is damaged, and Unsupported if the
    run trained all weights or a reward model."""
    if run.facts["method"] == "reward":
        raise Unsupported("A reward model scores answers and generates none, so it cannot be served.")
    model = base_model(run, stores)
    step, policy = _load_trained_policy(run, model, stores, checkpoint)
    purpose: AdapterPurpose = "reader" if run.facts["method"] == READER_METHOD else "model"
    published = stores.adapters.publish(policy.adapter(), policy.decoder, model, run=run.id, step=step, purpose=purpose)
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
    """Install what a run trained as a model of its own, with its weights stored in `layout`.

    An adapter is published and merged into its base; a run that trained all weights is installed directly. Raises what
    `export_adapter` raises, and Conflict if the name is taken."""
    model = base_model(run, stores)
    if not read_setup(run).full:
        adapter = export_adapter(run, stores, checkpoint=checkpoint)
        return merge_into_library(stores.library, model, adapter, name=name, layout=layout, progress=progress)
    step, policy = _load_trained_policy(run, model, stores, checkpoint)
    source = f"run:{run.id}@{step}+{model.sha256}"
    name = name or f"{model.name}-{run.id[-12:]}"
    installed = install_decoder(stores.library, policy.decoder, model, name=name, source=source, layout=layout, progress=progress)
    run.log(f"Installed the weights of step {step} as {installed.name} ({installed.sha256}).")
    return installed


def _load_trained_policy(run: RunFolder, model: LocalModel, stores: ArtefactStores, checkpoint_name: str) -> tuple[int, Policy]:
    """(step, policy with the weights of that checkpoint)."""
    checkpoint = run.checkpoints.choose(checkpoint_name)
    state = load_state(checkpoint)
    policy = build_policy(run, model, stores)
    policy.load_state_dict(state["policy"])
    return checkpoint.step, policy

"""Trains and publishes the reader of a local model, in one call that can be repeated after any interruption.

A reader is an ordinary run of the method `reader`: its folder stands among the others, `yearling train resume` continues it, and
the same seed gives the same bits. What is published here is used by running servers from the next correction on.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict

from yearling.clock import new_id
from yearling.config import Settings
from yearling.errors import BadInput, NotFound, Unsupported, UserError, install_advice
from yearling.models import LocalModel, PublishedAdapter
from yearling.training.device import choose_device, choose_dtype
from yearling.training.export import export_adapter
from yearling.training.loop import TrainingProgress, TrainOptions, train
from yearling.training.run import RunFolder, list_runs
from yearling.training.setup import READER_METHOD, ArtefactStores, RunSetup, build_method

READER_RANK = 8
BARE_SHARE = 0.4
"""The share of the blocks, from below, that a reader leaves as they are: it then costs less to train and to serve."""


def train_reader(
    settings: Settings,
    model_name: str,
    *,
    seed: int = 0,
    report: Callable[[float, str], None] = lambda fraction, text: None,
    check_cancelled: Callable[[], None] = lambda: None,
    computing: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> PublishedAdapter:
    """Train the reader of a local model and publish it. An interrupted training with the same seed is resumed.

    `report` gets the share that is done, 0 to 1, and a sentence; `check_cancelled` raises to stop, and is asked after each step;
    `computing` is that of `train`.
    Raises Unsupported for remote and adapted models and for networks that take no adapters, NotFound for an unknown model,
    BadInput if torch is not installed, Conflict if another process trains this reader, StorageFailed if the disk fails, and what
    `check_cancelled` raises.
    """
    # Threads that spin while they wait take three times the processor time beside a server. torch reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if importlib.util.find_spec("torch") is None:
        raise BadInput("Training needs torch, which is not installed.", advice=install_advice("train"))
    stores = ArtefactStores.from_data_dir(settings.data_dir)
    model = _local_model(settings, stores, model_name)
    run = _find_unfinished_run(settings, stores, model, seed) or _create_run(settings, model, seed)
    report(0.0, f"Preparing the reader of {model.name}.")
    check_cancelled()
    try:
        method = build_method(run, stores)
    except UserError as error:
        run.write_status("failed", step=run.read_status()["step"], message=str(error))
        raise
    cancelled: list[BaseException] = []

    def on_progress(progress: TrainingProgress) -> None:
        report(progress.step / progress.total_steps, f"Step {progress.step} of {progress.total_steps}.")
        try:
            check_cancelled()
        except BaseException as error:  # the run stops in order after this step, and raises it then
            cancelled.append(error)
            run.request_stop()

    outcome = train(method, run, on_progress=on_progress, computing=computing)
    if cancelled:
        raise cancelled[0]
    if outcome.state != "finished":
        raise BadInput(
            f"The training of the reader was stopped at step {outcome.step}.", advice="Start it again: it goes on from there."
        )
    return export_adapter(run, stores, checkpoint="last")


def _local_model(settings: Settings, stores: ArtefactStores, name: str) -> LocalModel:
    """The model to train a reader for. Raises Unsupported and NotFound as `train_reader`."""
    base, plus, _ = name.rpartition("+")
    if plus and base in stores.library.names():
        raise Unsupported(
            f"{name} is an adapter on a model, and a model answers with one adapter at a time.",
            advice=f"Train the reader of {base}.",
            param="model",
        )
    try:
        model = stores.library.get(name)
    except NotFound:
        if not settings.all_endpoints:
            raise
        endpoints = ", ".join(endpoint.name for endpoint in settings.all_endpoints)
        raise Unsupported(
            f"{name} is not installed on this machine, and a reader changes weights, which only local models have here.",
            advice=f"Models of an endpoint ({endpoints}) read corrections without one.",
            param="model",
        ) from None
    if model.kind != "chat":
        raise Unsupported(f"{name} is no chat model.", advice="Train the reader of a chat model.", param="model")
    return model


def _create_run(settings: Settings, model: LocalModel, seed: int) -> RunFolder:
    from yearling.training.reader.method import ReaderConfig

    config = ReaderConfig(seed=seed)
    device = choose_device("auto")
    setup = RunSetup(
        model=model.name,
        rank=READER_RANK,
        bare_share=BARE_SHARE,
        device=device,
        dtype=choose_dtype("auto", device),
    )
    return RunFolder.create(
        settings.runs_dir / new_id(),
        config.to_dict(),
        method=READER_METHOD,
        seed=seed,
        total_steps=config.steps,
        model={"name": model.name, "sha256": model.sha256, "source_sha256": model.source_sha256},
        setup=asdict(setup),
        options=asdict(TrainOptions(validate_every=config.steps, checkpoint_s=20.0)),
        threads=settings.threads,
        device=device,
    )


def _find_unfinished_run(settings: Settings, stores: ArtefactStores, model: LocalModel, seed: int) -> RunFolder | None:
    """The newest run of this reader, if its adapter is not published yet and it was made with the present settings."""
    from yearling.training.reader.method import ReaderConfig

    published = {adapter.run for adapter in stores.adapters.list()}
    config = ReaderConfig(seed=seed).to_dict()
    for run in reversed(list_runs(settings.runs_dir)):
        facts = run.facts
        if facts["method"] == READER_METHOD and facts["model"]["sha256"] == model.sha256 and facts["config"] == config:
            usable = run.id not in published and run.read_status()["state"] != "failed"
            return run if usable else None
    return None

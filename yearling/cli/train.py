"""`yearling train`: start, show, stop, resume and export training runs.

The options of `yearling train METHOD` come from the method's settings dataclass, see `dataclass_options.py`.
"""

from __future__ import annotations

import functools
import inspect
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.dataclass_options import options_of_dataclass, plain_settings
from yearling.cli.model import LayoutChoice
from yearling.cli.options import AS_JSON, DATA_DIR, DEVICE, MODEL
from yearling.cli.progress import progress_bar, status_line, training_progress_bar
from yearling.config import Settings, load_settings
from yearling.errors import UserError

if TYPE_CHECKING:
    from yearling import records
    from yearling.store import TrainingRunStore
    from yearling.training import ArtefactStores, RunFolder, TrainingOutcome

RUN = typer.Argument(help="Id of the run, a unique part of it, or `latest`.")
PROCESSES = typer.Option(
    1, "--processes", min=1, help="Number of processes that share the model (FSDP2), one per GPU; for sft, dpo and kto only."
)
CHECKPOINT = typer.Option("best", "--checkpoint", help="Checkpoint to export: `best`, `last`, or the number of a step.")


class MethodCommand(TyperCommand):
    """`yearling train METHOD`. Its options come from the settings of the method, which are imported on first use: all other
    commands work without torch."""

    @functools.cached_property
    def _typer_command(self) -> Any:
        app = typer.Typer(add_completion=False)
        app.command()(_make_method_function(self.name or ""))
        return typer.main.get_command(app)

    def get_params(self, ctx: Any) -> Any:
        """The options of the method."""
        return self._typer_command.get_params(ctx)

    def invoke(self, ctx: Any) -> Any:
        """Create and run a training run."""
        return self._typer_command.invoke(ctx)


class TrainGroup(TyperGroup):
    """The training methods, then the commands for runs. The methods are listed on first use: importing `training` takes time."""

    @property
    def commands(self) -> MutableMapping[str, Any]:
        """All commands by name."""
        return {**self._method_commands, **self._run_commands}

    @commands.setter
    def commands(self, value: MutableMapping[str, Any]) -> None:
        self._run_commands = value

    @functools.cached_property
    def _method_commands(self) -> dict[str, MethodCommand]:
        from yearling.training import METHOD_TABLE

        return {name: MethodCommand(name, help=entry.summary) for name, entry in METHOD_TABLE.items()}


app = typer.Typer(cls=TrainGroup, help="Train models on lesson sets and on tasks with graders.", no_args_is_help=True)


def _make_method_function(method: str) -> Callable[..., None]:
    """A function with one parameter for every option of a method, from which Typer makes the command."""
    from yearling.training import config_class

    setting_parameters = options_of_dataclass(config_class(method))
    common_parameters = [
        parameter
        for name, parameter in inspect.signature(_create_and_run).parameters.items()
        if name not in ("method", "settings")
    ]

    def command(**options: Any) -> None:
        settings = {parameter.name: options.pop(parameter.name) for parameter in setting_parameters}
        _create_and_run(method, plain_settings(settings), **options)

    parameters = [*common_parameters, *setting_parameters]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _create_and_run(
    method: str,
    settings: dict[str, object],
    model: str | None = MODEL,
    lessons: str = typer.Option(
        "", "--lessons", help="Lesson set to train on: a version, the beginning of a hash, or `latest`; default: none."
    ),
    earlier: list[str] = typer.Option(
        [], "--earlier", help="Earlier lesson set to replay, named like --lessons; can be given several times."
    ),
    environment: list[str] = typer.Option(
        [], "--environment", "-e", help="Environment that supplies tasks: NAME or NAME,setting=value,...; can be repeated."
    ),
    rank: int = typer.Option(16, "--rank", help="Rank of the LoRA adapter on every linear layer, 1 or more."),
    alpha: float = typer.Option(0.0, "--alpha", help="Scale of the adapter, which counts alpha/rank times; 0 is twice the rank."),
    full: bool = typer.Option(False, "--full", help="Train all weights instead of an adapter."),
    adapter: str = typer.Option(
        "", "--adapter", help="Published adapter to continue from: its served name or its hash; default: none."
    ),
    device: str = DEVICE,
    dtype: str = typer.Option(
        "auto", "--dtype", help="Number format of the frozen weights: float32, bfloat16, or auto for what the device is fast in."
    ),
    validate_every: int = typer.Option(
        0, "--validate-every", help="Steps between validations; 0 validates every twentieth of the run."
    ),
    checkpoint_s: float = typer.Option(120.0, "--checkpoint-s", help="Most seconds between two checkpoints."),
    threads: int = typer.Option(0, "--threads", help="Number of CPU threads; 0 uses the setting `threads`."),
    processes: int = PROCESSES,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    from yearling.clock import new_id
    from yearling.training import ArtefactStores, RunSetup, TrainOptions, choose_device, choose_dtype, create_run

    config = load_settings(data_dir=data_dir)
    stores = ArtefactStores.from_data_dir(config.data_dir)
    setup = RunSetup(
        model=model or config.model,
        rank=rank,
        alpha=alpha,
        full=full,
        adapter=stores.adapters.get(adapter).sha256 if adapter else "",
        device=choose_device(device),
        dtype=choose_dtype(dtype, choose_device(device)),
        lessons=_lesson_hash(config, lessons),
        earlier=tuple(_lesson_hash(config, name) for name in earlier),
        environments=tuple(environment),
    )
    options = TrainOptions(validate_every=validate_every, checkpoint_s=checkpoint_s)
    run = create_run(
        config.runs_dir / new_id(),
        method,
        settings,
        setup,
        stores,
        options=asdict(options),
        command=["yearling", *sys.argv[1:]],
        threads=threads or config.threads,
    )
    _run_training(run, stores, as_json, processes)


@app.command("reader")
def reader(
    model: str | None = MODEL,
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of all random numbers: the same seed gives the same reader."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Train the reader of a model: an adapter that is active beside a correction, and reads the answer from it.

    One reader serves all corrections of a model, present and future. Running servers use it at once. After an interruption, the
    same command goes on where it stopped."""
    from yearling.training import train_reader

    settings = load_settings(data_dir=data_dir)
    name = model or settings.model
    with status_line(f"Training the reader of {name}") as show_status:
        published = train_reader(
            settings, name, seed=seed, report=lambda share, text: show_status(f"Reader of {name}: {share:.0%} done. {text}")
        )
    if as_json:
        print_json(published.describe())
    else:
        out.print(f"{name} has the reader {published.sha256[:12]}.", highlight=False, soft_wrap=True)


@app.command("list")
def list_runs(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List the training runs, the newest first."""
    runs = _run_store(data_dir).list()
    if as_json:
        print_json([_run_dict(run) for run in runs])
        return
    rows = [
        (
            run.id[-12:],
            run.method,
            run.model,
            run.state,
            f"{run.step}/{run.total_steps}",
            _format_number(run.best_score),
            _format_started(run),
        )
        for run in runs
    ]
    print_table(("Run", "Method", "Model", "State", "Step>", "Best score>", "Created (UTC)"), rows)


@app.command("show")
def show(
    run: str = RUN,
    steps: int = typer.Option(10, "--steps", min=0, help="Number of last steps whose metrics are shown."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show a run: its state, setup, settings, code and machine, and the metrics of its last steps."""
    runs = _run_store(data_dir)
    record = runs.get(_find_run(data_dir, run).id)
    lines = runs.read_metrics(record.id)
    if as_json:
        print_json(_run_dict(record) | {"facts": record.facts, "metrics": lines[-steps:] if steps else []})
        return
    fact_names = ("setup", "config", "code", "packages", "machine", "command")
    facts = _run_dict(record) | {name: record.facts[name] for name in fact_names}
    width = max(len(name) for name in facts)
    for name, value in facts.items():  # never wrapped, so that hashes and commands can be copied
        typer.echo(f"{name.replace('_', ' '):<{width}}  {_format_value(value)}")
    if lines and steps:
        names = [name for name in dict.fromkeys(name for line in lines[-steps:] for name in line) if name != "time_utc"]
        print_table(
            [f"{name}>" for name in names], [[_format_number(line.get(name)) for name in names] for line in lines[-steps:]]
        )


@app.command("stop")
def stop(run: str = RUN, data_dir: Path | None = DATA_DIR) -> None:
    """Stop a run after its current step, in whichever process it runs. It can be resumed."""
    record = _run_store(data_dir).request_stop(_find_run(data_dir, run).id)
    err.print(f"{record.id} will stop after about step {record.step + 1}.", highlight=False)


@app.command("resume")
def resume(run: str = RUN, processes: int = PROCESSES, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Resume a run from its last checkpoint. The result is the same as without the interruption."""
    from yearling.training import ArtefactStores

    stores = ArtefactStores.from_data_dir(load_settings(data_dir=data_dir).data_dir)
    _run_training(_find_run(data_dir, run), stores, as_json, processes)


@app.command("export")
def export(
    run: str = RUN,
    checkpoint: str = CHECKPOINT,
    merge: bool = typer.Option(False, "--merge", help="Install a merged model instead of publishing an adapter."),
    name: str = typer.Option("", "--name", "-n", help="Name of the merged model; default: derived from the base and the run."),
    layout: LayoutChoice = typer.Option(LayoutChoice.Q8_0, "--layout", help="How to store the merged weights."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Publish the weights that a run trained, and print the name under which running servers serve them at once."""
    from yearling.training import ArtefactStores, export_adapter, export_model

    run_folder = _find_run(data_dir, run)
    stores = ArtefactStores.from_data_dir(load_settings(data_dir=data_dir).data_dir)
    if merge:
        with progress_bar() as progress:
            model = export_model(run_folder, stores, checkpoint=checkpoint, name=name, layout=layout.value, progress=progress)
        print_json(model.describe()) if as_json else out.print(model.name, highlight=False, soft_wrap=True)
        return
    adapter = export_adapter(run_folder, stores, checkpoint=checkpoint)
    served_name = adapter.served_name(adapter.base)
    if as_json:
        print_json(adapter.describe() | {"served": served_name})
    else:
        out.print(served_name, highlight=False, soft_wrap=True)


def _run_training(run: RunFolder, stores: ArtefactStores, as_json: bool, processes: int) -> None:
    """Build the method, train with a progress bar on stderr, and publish the result.

    Of several processes that `torchrun` started, only the main one prints and writes."""
    from yearling.training import (
        build_method,
        is_main_process,
        prepare_for_processes,
        process_group,
        run_for_this_process,
        train,
        world_size,
    )

    if processes > 1 and world_size() == 1:
        prepare_for_processes(run, stores)
        raise typer.Exit(_start_processes(run, processes, as_json))
    if is_main_process():
        err.print(f"Run {run.id}, in {run.folder}", highlight=False, soft_wrap=True)
    process_run = run_for_this_process(run)
    with _stop_on_signal(run), process_group(run.facts["setup"].get("device", "cpu")):
        try:
            method = build_method(process_run, stores)
        except UserError as error:
            process_run.write_status("failed", step=run.read_status()["step"], message=str(error))
            raise
        bar = training_progress_bar(method.total_steps) if is_main_process() else nullcontext(lambda progress: None)
        with bar as report_progress:
            outcome = train(method, process_run, on_progress=report_progress)
    if is_main_process():
        served_name = _publish(run, stores) if outcome.state == "finished" else ""
        _print_outcome(run, outcome, served_name, as_json)


def _start_processes(run: RunFolder, num_processes: int, as_json: bool) -> int:
    """Run the training in several processes under `torchrun`. Returns its exit status."""
    from yearling.training import local_node, torchrun_arguments

    return subprocess.call([sys.executable, *torchrun_arguments(run.folder, local_node(num_processes), as_json=as_json)])


def _publish(run: RunFolder, stores: ArtefactStores) -> str:
    """Publish the best adapter of a run and return its served name; empty for reward models and fully trained models."""
    from yearling.training import export_adapter

    if run.facts["method"] == "reward" or run.facts["setup"]["full"]:
        return ""
    adapter = export_adapter(run, stores)
    return adapter.served_name(adapter.base)


def _print_outcome(run: RunFolder, outcome: TrainingOutcome, served_name: str, as_json: bool) -> None:
    if as_json:
        print_json({"id": run.id, "folder": str(run.folder), "served": served_name or None} | asdict(outcome))
        return
    best = "" if outcome.best_score is None else f", best at step {outcome.best_step} ({outcome.best_score:.4g})"
    out.print(f"{outcome.state.capitalize()} at step {outcome.step}{best}.", highlight=False)
    if outcome.state == "stopped":
        err.print(f"Resume it with: yearling train resume {run.id}", highlight=False, soft_wrap=True)
    elif served_name:
        out.print(f"It is served as {served_name}", highlight=False, soft_wrap=True)
    elif run.facts["setup"]["full"]:
        err.print(f"Install it as a model with: yearling train export {run.id} --merge", highlight=False, soft_wrap=True)


@contextmanager
def _stop_on_signal(run: RunFolder) -> Iterator[None]:
    """Stop the run after its step at the first Ctrl-C (or SIGTERM), and at once at the second."""

    def handle_signal(number: int, frame: object) -> None:
        if run.stop_requested():
            raise KeyboardInterrupt
        run.request_stop()
        err.print("Stopping after this step. Press Ctrl-C again to stop now.")

    previous_handlers = {number: signal.signal(number, handle_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


def _lesson_hash(settings: Settings, name: str) -> str:
    """The hash of the lesson set with this name; empty for an empty name. Raises NotFound."""
    from yearling.store import Store
    from yearling.tasks import open_lesson_set

    if not name:
        return ""
    with Store.open(settings) as store:
        return open_lesson_set(store, None if name == "latest" else name).hash


def _run_store(data_dir: Path | None) -> TrainingRunStore:
    from yearling.store import TrainingRunStore

    return TrainingRunStore(load_settings(data_dir=data_dir).runs_dir)


def _find_run(data_dir: Path | None, name: str) -> RunFolder:
    from yearling.training import find_run

    return find_run(load_settings(data_dir=data_dir).runs_dir, name)


def _run_dict(run: records.Run) -> dict[str, object]:
    return {field.name: getattr(run, field.name) for field in fields(run) if field.name != "facts"}


def _format_number(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _format_started(run: records.Run) -> str:
    return f"{run.created_utc:%Y-%m-%d %H:%M}"


def _format_value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_format_value(item)}" for name, item in value.items() if item not in ("", None))
    return " ".join(map(str, value)) if isinstance(value, list) else str(value if value is not None else "")

"""`yearling train`: start, watch, stop, resume and export training runs."""

from __future__ import annotations

import functools
import inspect
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.dataclass_options import options_of_dataclass, plain_settings
from yearling.cli.model import LayoutChoice, progress_bar
from yearling.config import Settings, load_settings
from yearling.errors import UserError

if TYPE_CHECKING:
    from yearling import records
    from yearling.training import ArtefactStores, RunFolder, TrainingOutcome, TrainingProgress

AS_JSON = typer.Option(False, "--json", help="Print JSON.")
DATA_DIR = typer.Option(None, "--data-dir", help="Where the data lives.")
RUN = typer.Argument(help="The run's id, the part of it that tells it apart, or `latest`.")
PROCESSES = typer.Option(
    1, "--processes", min=1, help="So many processes share the model (FSDP2): one for each GPU. SFT, DPO and KTO can."
)
CHECKPOINT = typer.Option("best", "--checkpoint", help="`best`, `last`, or the number of a step.")


class MethodCommand(TyperCommand):
    """`yearling train METHOD`. Its options come from the method's own configuration, which is imported when they are wanted: the
    command line of everything else does without torch."""

    @functools.cached_property
    def _typer_command(self) -> Any:
        app = typer.Typer(add_completion=False)
        app.command()(_make_method_function(self.name or ""))
        return typer.main.get_command(app)

    def get_params(self, ctx: Any) -> Any:
        return self._typer_command.get_params(ctx)

    def invoke(self, ctx: Any) -> Any:
        return self._typer_command.invoke(ctx)


class TrainGroup(TyperGroup):
    """The training methods first, then the commands for runs.

    `yearling.training` lists the methods. It is imported when the commands are first needed: `yearling --help` stays fast."""

    @property
    def commands(self) -> Any:
        return self._all_commands

    @commands.setter
    def commands(self, commands: Any) -> None:
        self._run_commands = commands

    @functools.cached_property
    def _all_commands(self) -> dict[str, Any]:
        from yearling.training import METHODS

        methods = {name: MethodCommand(name, help=method_help(name)) for name in METHODS}
        return {**methods, **self._run_commands}


app = typer.Typer(cls=TrainGroup, help="Train models on what people said, and on tasks with graders.", no_args_is_help=True)


def method_help(method: str) -> str:
    return {
        "sft": "Imitate good answers: supervised fine-tuning on demonstrations.",
        "dpo": "Prefer what both sides prefer: preference optimisation on pairs, weighted by their consensus.",
        "kto": "Learn from single thumbs, up and down.",
        "reward": "Train a reward model on pairs.",
        "grpo": "Learn by trying tasks that are graded, each answer judged by its group.",
        "ppo": "Learn by trying tasks that are graded, with a value head, for long or multi-turn tasks.",
        "rejection": "Imitate one's own solutions: try tasks, keep what the grader passes, fine-tune on it.",
    }[method]


def _make_method_function(method: str) -> Callable[..., None]:
    """A function with one parameter for every option of a method, for Typer to read."""
    from yearling.training import config_class

    options = options_of_dataclass(config_class(method))
    common = inspect.signature(_create_and_run)
    kept = [parameter for name, parameter in common.parameters.items() if name not in ("method", "settings")]

    def command(**given: Any) -> None:
        settings = {name: given.pop(name) for name in [one.name for one in options]}
        _create_and_run(method, plain_settings(settings), **given)

    parameters = [*kept, *options]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _create_and_run(
    method: str,
    settings: dict[str, Any],
    model: str = typer.Option("", "--model", help="The model to train; by default the one that answers."),
    lessons: str = typer.Option("", "--lessons", help="A lesson set: its version, the beginning of its hash, or `latest`."),
    earlier: list[str] = typer.Option([], "--earlier", help="An earlier set to replay from. Can be given several times."),
    environment: list[str] = typer.Option(
        [], "--environment", "-e", help="A source of tasks: NAME or NAME,setting=value,... Can be given several times."
    ),
    rank: int = typer.Option(16, "--rank", help="Of the adapter, which is on every linear layer."),
    alpha: float = typer.Option(0.0, "--alpha", help="The adapter counts alpha/rank-fold; 0 is twice the rank."),
    full: bool = typer.Option(False, "--full", help="Train all weights instead of an adapter."),
    adapter: str = typer.Option("", "--adapter", help="Go on from a published adapter."),
    device: str = typer.Option("auto", "--device", help="auto, cpu or cuda: one GPU where there is one."),
    dtype: str = typer.Option("auto", "--dtype", help="Of the frozen weights: float32, bfloat16, or what the device is fast in."),
    validate_every: int = typer.Option(0, "--validate-every", help="Steps between validations; 0 is a twentieth of the run."),
    checkpoint_s: float = typer.Option(120.0, "--checkpoint-s", help="Save at least this often, in seconds."),
    threads: int = typer.Option(0, "--threads", help="0 is one per physical core."),
    processes: int = PROCESSES,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    from yearling.clock import new_id
    from yearling.training import ArtefactStores, RunSetup, TrainOptions, choose_device, choose_dtype, create_run

    chosen = load_settings(data_dir=data_dir)
    places = ArtefactStores.from_data_dir(chosen.data_dir)
    setup = RunSetup(
        model=model or chosen.model,
        rank=rank,
        alpha=alpha,
        full=full,
        adapter=places.adapters.get(adapter).sha256 if adapter else "",
        device=choose_device(device),
        dtype=choose_dtype(dtype, choose_device(device)),
        lessons=_lesson_hash(chosen, lessons),
        earlier=tuple(_lesson_hash(chosen, one) for one in earlier),
        environments=tuple(environment),
    )
    options = TrainOptions(validate_every=validate_every, checkpoint_s=checkpoint_s)
    run = create_run(
        chosen.runs_dir / new_id(),
        method,
        settings,
        setup,
        places,
        options=asdict(options),
        command=["yearling", *sys.argv[1:]],
        threads=threads or chosen.threads,
    )
    _run_training(run, places, as_json, processes)


@app.command("list")
def list_runs(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List the runs, newest first."""
    runs = _run_store(data_dir).list()
    if as_json:
        print_json([_run_dict(run) for run in runs])
        return
    rows = [
        (
            run.id,
            run.method,
            run.model,
            run.state,
            f"{run.step}/{run.total_steps}",
            _format_number(run.best_score),
            _format_started(run),
        )
        for run in runs
    ]
    print_table(("Run", "Method", "Model", "State", "Step>", "Best>", "Started"), rows)


@app.command("show")
def show(
    run: str = RUN,
    steps: int = typer.Option(10, "--steps", min=0, help="Show so many of the last steps."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show everything that a run says of itself, and its last figures."""
    runs = _run_store(data_dir)
    found = runs.get(_find_run(data_dir, run).id)
    lines = runs.read_metrics(found.id)
    if as_json:
        print_json(_run_dict(found) | {"facts": found.facts, "metrics": lines[-steps:] if steps else []})
        return
    told = _run_dict(found) | {name: found.facts[name] for name in ("setup", "config", "code", "packages", "machine", "command")}
    width = max(len(name) for name in told)
    for name, value in told.items():  # never folded: hashes and commands are there to be copied
        typer.echo(f"{name.replace('_', ' '):<{width}}  {_format_value(value)}")
    if lines and steps:
        names = [name for name in dict.fromkeys(name for line in lines[-steps:] for name in line) if name != "time_utc"]
        print_table(
            [f"{name}>" for name in names], [[_format_number(line.get(name)) for name in names] for line in lines[-steps:]]
        )


@app.command("stop")
def stop(run: str = RUN, data_dir: Path | None = DATA_DIR) -> None:
    """Ask a run to stop after the step that it makes now, wherever it runs. It can be resumed."""
    found = _run_store(data_dir).request_stop(_find_run(data_dir, run).id)
    err.print(f"{found.id} will stop after step {found.step + 1} or so.", highlight=False)


@app.command("resume")
def resume(run: str = RUN, processes: int = PROCESSES, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Go on with a run where its last checkpoint is. It ends as if it had never been disturbed."""
    from yearling.training import ArtefactStores

    places = ArtefactStores.from_data_dir(load_settings(data_dir=data_dir).data_dir)
    _run_training(_find_run(data_dir, run), places, as_json, processes)


@app.command("export")
def export(
    run: str = RUN,
    checkpoint: str = CHECKPOINT,
    merge: bool = typer.Option(False, "--merge", help="Make a model of its own instead of an adapter beside the base."),
    name: str = typer.Option("", "--name", "-n", help="What to call the merged model."),
    layout: LayoutChoice = typer.Option(LayoutChoice.Q8_0, "--layout", help="How to store the merged weights."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Publish what a run trained: running servers pick it up at once under the name that is printed."""
    from yearling.training import ArtefactStores, export_adapter, export_model

    found = _find_run(data_dir, run)
    places = ArtefactStores.from_data_dir(load_settings(data_dir=data_dir).data_dir)
    if merge:
        with progress_bar() as progress:
            made = export_model(found, places, checkpoint=checkpoint, name=name, layout=layout.value, progress=progress)
        print_json(made.describe()) if as_json else out.print(made.name, highlight=False, soft_wrap=True)
        return
    adapter = export_adapter(found, places, checkpoint=checkpoint)
    served = adapter.served_name(adapter.base)
    print_json(adapter.describe() | {"served": served}) if as_json else out.print(served, highlight=False, soft_wrap=True)


def _run_training(run: RunFolder, places: ArtefactStores, as_json: bool, processes: int) -> None:
    """Build the method and run it, with a bar on stderr; at the end what it trained is published.

    Of several processes that `torchrun` started, only the first one speaks and writes."""
    from yearling.training import build_method, is_main_process, process_group, run_for_this_process, train, world_size

    if processes > 1 and world_size() == 1:
        raise typer.Exit(_start_processes(run, processes, as_json))
    if is_main_process():
        err.print(f"Run {run.id}, in {run.folder}", highlight=False, soft_wrap=True)
    own = run_for_this_process(run)
    with _stop_on_signal(run), process_group(run.facts["setup"].get("device", "cpu")):
        try:
            method = build_method(own, places)
        except UserError as error:
            own.write_status("failed", step=run.read_status()["step"], message=str(error))
            raise
        with _progress_bar(method.total_steps) if is_main_process() else nullcontext(lambda progress: None) as report:
            outcome = train(method, own, on_progress=report)
    if is_main_process():
        served = _publish(run, places) if outcome.state == "finished" else ""
        _print_outcome(run, outcome, served, as_json)


def _start_processes(run: RunFolder, num_processes: int, as_json: bool) -> int:
    """The run again, in so many processes under `torchrun`; its exit status."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(num_processes)]
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    command = ["-m", "yearling", "train", "resume", run.id, "--data-dir", str(run.folder.parents[1])]
    return subprocess.call([*torchrun, *meeting, *command, *(["--json"] if as_json else [])])


def _publish(run: RunFolder, places: ArtefactStores) -> str:
    """The name under which the run's best adapter answers from now on; empty for what cannot be served beside its base."""
    from yearling.training import export_adapter

    if run.facts["method"] == "reward" or run.facts["setup"]["full"]:
        return ""
    adapter = export_adapter(run, places)
    return adapter.served_name(adapter.base)


def _print_outcome(run: RunFolder, outcome: TrainingOutcome, served: str, as_json: bool) -> None:
    if as_json:
        print_json({"id": run.id, "folder": str(run.folder), "served": served or None} | asdict(outcome))
        return
    best = "" if outcome.best_score is None else f", best at step {outcome.best_step} ({outcome.best_score:.4g})"
    out.print(f"{outcome.state.capitalize()} at step {outcome.step}{best}.", highlight=False)
    if outcome.state == "stopped":
        err.print(f"Go on with: yearling train resume {run.id}", highlight=False, soft_wrap=True)
    elif served:
        out.print(f"It answers as {served}", highlight=False, soft_wrap=True)
    elif run.facts["setup"]["full"]:
        err.print(f"Make a model of it with: yearling train export {run.id} --merge", highlight=False, soft_wrap=True)


@contextmanager
def _stop_on_signal(run: RunFolder) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) asks the run to stop after its step; a second one ends it there and then."""

    def asked(number: int, frame: object) -> None:
        if run.stop_requested():
            raise KeyboardInterrupt
        run.request_stop()
        err.print("Stopping after this step; once more to stop now.")

    before = {one: signal.signal(one, asked) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[TrainingProgress], None]]:
    """A listener that draws a bar with the remaining time; in a log file, a line every twentieth of the run."""
    if not err.is_terminal:

        def say(progress: TrainingProgress) -> None:
            if progress.step % max(1, total // 20) == 0 or progress.step == total:
                figures = _format_metrics(progress)
                err.print(f"step {progress.step}/{total}, {progress.remaining_s:.0f} s left, {figures}", highlight=False)

        yield say
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"), TextColumn("{task.fields[figures]}"))
    with Progress(*columns, console=err, transient=True) as bars:
        task = bars.add_task("", total=total, left="", figures="")

        def draw(progress: Any) -> None:
            left = f"{_format_duration(progress.remaining_s)} left"
            bars.update(task, completed=progress.step, left=left, figures=_format_metrics(progress))

        yield draw


def _format_metrics(progress: TrainingProgress) -> str:
    shown = ("loss", "reward", "pass_rate", "kl", "accuracy", "score")
    return ", ".join(f"{name.replace('_', ' ')} {progress.metrics[name]:.4g}" for name in shown if name in progress.metrics)


def _lesson_hash(settings: Settings, name: str) -> str:
    from yearling.store import Store
    from yearling.tasks import open_lesson_set

    if not name:
        return ""
    with Store.open(settings) as store:
        return open_lesson_set(store, None if name == "latest" else name).hash


def _run_store(data_dir: Path | None) -> Any:
    from yearling.store import TrainingRunStore

    return TrainingRunStore(load_settings(data_dir=data_dir).runs_dir)


def _find_run(data_dir: Path | None, name: str) -> RunFolder:
    from yearling.training import find_run

    return find_run(load_settings(data_dir=data_dir).runs_dir, name)


def _run_dict(run: records.Run) -> dict[str, Any]:
    return {field.name: getattr(run, field.name) for field in fields(run) if field.name != "facts"}


def _format_number(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _format_started(run: records.Run) -> str:
    return f"{run.created_utc:%Y-%m-%d %H:%M}"


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _format_value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_format_value(item)}" for name, item in value.items() if item not in ("", None))
    return " ".join(map(str, value)) if isinstance(value, list) else str(value if value is not None else "")

"""`yearling lessons environments`: the task environments that a model can train and be tested on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import out, print_json, print_table
from yearling.cli.options import AS_JSON
from yearling.errors import BadInput

if TYPE_CHECKING:
    from yearling.tasks import EnvironmentInfo


def environments(
    name: str | None = typer.Argument(
        None, help="Name of an environment, such as instructions or reasoning_gym:chain_sum; without it, all are listed."
    ),
    settings: str = typer.Option("{}", "--settings", help="Settings of the environment as a JSON object."),
    number: int = typer.Option(0, "--number", min=0, help="Number of the training task to show, from 0."),
    as_json: bool = AS_JSON,
) -> None:
    """List the environments, or show one: its settings, its kinds of task, and one task with the data for its check."""
    from yearling.tasks import describe_environments, open_environment, train_seed

    known = describe_environments()
    if name is None:
        if as_json:
            print_json([_environment_dict(info) for info in known])
            return
        rows = [(info.name, "several" if info.is_multi_turn else "one", len(info.kinds) or "", info.summary) for info in known]
        print_table(("Environment", "Turns", "Kinds>", "What it asks for"), rows)
        return
    environment = open_environment(name, **_parse_settings(settings))
    task = environment.task(train_seed(number))
    (info,) = (info for info in known if info.name == name.partition(":")[0])
    if as_json:
        print_json(_environment_dict(info) | {"task": {"key": task.key, "messages": task.messages, "check": task.data}})
        return
    out.print(f"{info.name}: {info.summary}", markup=False, highlight=False, soft_wrap=True)
    print_table(("Setting", "Default>"), [(key, json.dumps(value)) for key, value in info.settings.items()])
    if info.kinds:
        out.print(f"Kinds: {', '.join(info.kinds)}.", markup=False, highlight=False, soft_wrap=True)
        out.print(f"Held out for exams: {', '.join(info.heldout_kinds)}.", markup=False, highlight=False, soft_wrap=True)
    for message in task.messages:
        out.print(f"\n{message['role']}: {message['content']}", markup=False, highlight=False, soft_wrap=True)
    out.print(f"\ncheck: {json.dumps(task.data, ensure_ascii=False)}", markup=False, highlight=False, soft_wrap=True)


def _parse_settings(text: str) -> dict[str, object]:
    try:
        settings = json.loads(text)
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise BadInput(
            "--settings must be a JSON object.", advice="""For example: --settings '{"level": 2}'.""", param="settings"
        )
    return settings


def _environment_dict(info: EnvironmentInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "summary": info.summary,
        "settings": info.settings,
        "turns": info.is_multi_turn,
        "kinds": list(info.kinds),
        "held_out": list(info.heldout_kinds),
    }

"""`yearling lessons environments`: the exercises that a model can train on and be examined on."""

from __future__ import annotations

import json
from typing import Any

import typer

from yearling.cli.console import out, print_json, print_table
from yearling.errors import BadInput


def environments(
    name: str | None = typer.Argument(None, help="An environment, such as instructions or reasoning_gym:chain_sum; else all."),
    settings: str = typer.Option("{}", "--settings", help="Its settings, as a JSON object."),
    number: int = typer.Option(0, "--number", min=0, help="Show this training task of it."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List the environments; of one of them, show settings, kinds of task, and a task with what it is checked against."""
    from yearling.tasks import describe_environments, open_environment, train_seed

    known = describe_environments()
    if name is None:
        if as_json:
            print_json([_environment_dict(info) for info in known])
            return
        rows = [(info.name, "several" if info.is_multi_turn else "one", len(info.kinds) or "", info.summary) for info in known]
        print_table(("Environment", "Turns", "Kinds>", "What it asks"), rows)
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
        out.print(f"For exams only: {', '.join(info.heldout_kinds)}.", markup=False, highlight=False, soft_wrap=True)
    for message in task.messages:
        out.print(f"\n{message['role']}: {message['content']}", markup=False, highlight=False, soft_wrap=True)
    out.print(f"\nchecked against: {json.dumps(task.data, ensure_ascii=False)}", markup=False, highlight=False, soft_wrap=True)


def _parse_settings(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadInput("--settings must be a JSON object.", advice="""Write for example '{"level": 2}'.""", param="settings")
    return found


def _environment_dict(info: Any) -> dict[str, Any]:
    return {
        "name": info.name,
        "summary": info.summary,
        "settings": info.settings,
        "turns": info.is_multi_turn,
        "kinds": list(info.kinds),
        "held_out": list(info.heldout_kinds),
    }

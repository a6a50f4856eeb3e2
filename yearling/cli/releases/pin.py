"""`yearling release pin`: a person keeps the champion while others try its challenger."""

from __future__ import annotations

from pathlib import Path

import typer

from yearling.cli.console import out, print_json
from yearling.cli.options import AS_JSON, DATA_DIR
from yearling.config import load_settings


def pin(
    person: str | None = typer.Option(None, "--person", help="Name of the person; default: the owner."),
    off: bool = typer.Option(False, "--off", help="Take part in canaries again."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Keep a person on the champion: they never get a challenger. The page has the same as "Always use the released model"."""
    from yearling.chat import change_personal_settings
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        named = store.people.owner() if person is None else store.people.get_by_name(person)
        settings = change_personal_settings(store, named.id, {"pin_champion": not off})
    if as_json:
        print_json({"person": named.name, "pin_champion": settings.pin_champion})
        return
    does = "always gets the champion" if settings.pin_champion else "may get the challenger of a canary"
    out.print(f"{named.name} {does}.", markup=False, highlight=False)

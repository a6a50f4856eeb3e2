"""`yearling correct`: give the right answer to a question."""

from __future__ import annotations

from pathlib import Path

import typer

from yearling.cli.console import err, out, print_json
from yearling.cli.corrections.common import ACTING_PERSON, NEXT_MESSAGE, TEAM, correction_dict, describe_state, open_log
from yearling.cli.options import AS_JSON, DATA_DIR


def correct(
    question: str = typer.Argument(help="The question that is answered wrongly."),
    answer: str = typer.Argument(help="Its right answer."),
    team: bool = TEAM,
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Give the right answer to a question. It holds from the next message on, also on a running server."""
    from yearling.feedback import add_correction, name_mentions

    with open_log(data_dir, acting_person) as (log, person_id):
        added = add_correction(log, person_id, question, answer, scope="team" if team else "me", origin="command")
        names = name_mentions(log, [question, answer]) if team else []
    correction = added.correction
    if as_json:
        print_json(
            {
                "correction": correction_dict(correction),
                "new": added.is_new,
                "replaced": added.replaced.answer if added.replaced else None,
                "names": names,
            }
        )
        return
    if not added.is_new:
        out.print("This correction exists already.", highlight=False)
    elif added.replaced:
        out.print(f"It replaces your earlier answer: {added.replaced.answer}", highlight=False, markup=False, soft_wrap=True)
    out.print(f"{correction.id}: {describe_state(correction)}.", highlight=False, soft_wrap=True)
    if names:
        listed = ", ".join(names)
        out.print(f"Others see these names in it: {listed}. Reword it to take them out.", highlight=False, soft_wrap=True)
    if correction.state != "declined":
        out.print(NEXT_MESSAGE, highlight=False)
        _hint_at_embedding_model(data_dir)


def _hint_at_embedding_model(data_dir: Path | None) -> None:
    """Say how a question in other words finds the correction, if the embedding model is missing."""
    from yearling.config import load_settings
    from yearling.models import ModelLibrary

    settings = load_settings(data_dir=data_dir)
    name = settings.embedding_model
    if name and all(model.name != name for model in ModelLibrary(settings.models_dir).list()):
        err.print(
            f"So far only for the same words. For other words too: yearling model pull {name}", highlight=False, soft_wrap=True
        )

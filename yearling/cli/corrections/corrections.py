"""`yearling corrections`: list, reword, switch, delete, import and export corrections."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import out, print_json, print_table
from yearling.cli.corrections.common import (
    ACTING_PERSON,
    NEXT_MESSAGE,
    TEAM,
    correction_dict,
    describe_state,
    open_log,
    short_state,
)
from yearling.cli.options import AS_JSON, DATA_DIR, YES
from yearling.cli.output_file import write_lines
from yearling.errors import BadInput

if TYPE_CHECKING:
    from yearling.store import Correction, CorrectionScope

app = typer.Typer(help="Questions with their right answers, which the assistant follows at once.", no_args_is_help=True)

CORRECTION = typer.Argument(help="Id of the correction, as `yearling corrections list` prints it.")


@app.command("list")
def list_corrections(
    team: bool = typer.Option(False, "--team", help="List what people proposed to the team instead of your own corrections."),
    search: str = typer.Option("", "--search", help="List only corrections with these words."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """List corrections, newest first."""
    with open_log(data_dir, acting_person) as (log, person_id):
        store = log.store.corrections
        found = store.list_team(search=search) if team else store.list(person_id, search=search)
    if as_json:
        own = [correction_dict(entry) for entry in found]
        # The author of a proposal stays unknown, as on the page.
        print_json([{**entry, "person_id": None} if entry["person_id"] != person_id else entry for entry in own])
        return
    if not found:
        out.print('There are none yet. Give one: yearling correct "question" "answer"', highlight=False, markup=False)
        return
    print_table(
        ["Id", "Question", "Answer", "State", "Since"],
        [(entry.id, entry.question, entry.answer, short_state(entry), f"{entry.created_utc:%Y-%m-%d}") for entry in found],
    )


@app.command("edit")
def edit(
    correction: str = CORRECTION,
    question: str | None = typer.Option(None, "--question", help="New question."),
    answer: str | None = typer.Option(None, "--answer", help="New answer."),
    for_team: bool | None = typer.Option(None, "--team/--me", help="Propose it to the team, or take it back for yourself."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Reword a correction, propose it to the team or take it back. The earlier wording stays in its history."""
    from yearling.feedback import change_correction
    from yearling.store import UNCHANGED

    if question is None and answer is None and for_team is None:
        raise BadInput("Nothing to change.", advice="Give --question, --answer, --team or --me.")
    with open_log(data_dir, acting_person) as (log, person_id):
        changed = change_correction(
            log,
            person_id,
            correction,
            question=UNCHANGED if question is None else question,
            answer=UNCHANGED if answer is None else answer,
            scope=UNCHANGED if for_team is None else "team" if for_team else "me",
        )
    _print_changed(changed, as_json)


def _add_switch(name: str, *, active: bool, description: str) -> None:
    @app.command(name, help=description)
    def switch(
        correction: str = CORRECTION,
        acting_person: str | None = ACTING_PERSON,
        data_dir: Path | None = DATA_DIR,
        as_json: bool = AS_JSON,
    ) -> None:
        from yearling.feedback import change_correction

        with open_log(data_dir, acting_person) as (log, person_id):
            changed = change_correction(log, person_id, correction, active=active)
        _print_changed(changed, as_json)


_add_switch(
    "off",
    active=False,
    description="Switch a correction off: the assistant answers as it did before, until you switch it on again.",
)
_add_switch("on", active=True, description="Switch a correction on again.")


@app.command("confirm")
def confirm(
    correction: str = CORRECTION,
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Confirm a suggested reminder or lesson, which is used from then on."""
    from yearling.feedback import confirm_correction

    with open_log(data_dir, acting_person) as (log, person_id):
        confirmed = confirm_correction(log, person_id, correction)
    _print_changed(confirmed, as_json)


@app.command("delete")
def delete(
    correction: str = CORRECTION,
    yes: bool = YES,
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Delete a correction with its history, and retract the judgement that it is."""
    from yearling.feedback import delete_correction

    with open_log(data_dir, acting_person) as (log, person_id):
        entry = log.store.corrections.get(correction, person_id=person_id)
        if not yes:
            typer.confirm(f"Delete the correction of {entry.question!r}?", abort=True, err=True)
        delete_correction(log, person_id, entry.id)
    out.print("Deleted.", highlight=False)


@app.command("history")
def history(
    correction: str = CORRECTION,
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """List the earlier wordings of a correction, newest first."""
    with open_log(data_dir, acting_person) as (log, person_id):
        wordings = log.store.corrections.history(correction, person_id=person_id)
    if as_json:
        print_json([asdict(wording) for wording in wordings])
        return
    if not wordings:
        out.print("It has not been changed.", highlight=False)
        return
    rows = [(f"{wording.replaced_utc:%Y-%m-%d %H:%M}", wording.question, wording.answer) for wording in wordings]
    print_table(["Until", "Question", "Answer"], rows)


@app.command("import")
def import_file(
    path: Path = typer.Argument(
        help="CSV file with the columns question and answer, or Markdown file with questions as headings."
    ),
    team: bool = TEAM,
    preview: bool = typer.Option(False, "--preview", help="Show what the file contains, and store nothing."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Read questions and answers from a file, up to 2 MB and 2,000 questions. Importing it again changes nothing."""
    from yearling.chat import MAX_FAQ_BYTES, parse_faq_file
    from yearling.feedback import add_corrections, preview_corrections

    with path.open("rb") as file:
        entries = parse_faq_file(file.read(MAX_FAQ_BYTES + 1), path.name)
    pairs = [(entry.question, entry.answer) for entry in entries]
    scope: CorrectionScope = "team" if team else "me"
    with open_log(data_dir, acting_person) as (log, person_id):
        previews = preview_corrections(log, person_id, pairs, scope=scope)
        if not preview:
            add_corrections(log, person_id, pairs, scope=scope, source=path.name)
    statuses = [each.status for each in previews]
    num_new = statuses.count("new") + statuses.count("replaces")
    if as_json:
        rows = [{**asdict(entry), **asdict(each)} for entry, each in zip(entries, previews, strict=True)]
        print_json({"preview": preview, "scope": scope, "new": num_new, "known": len(rows) - num_new, "entries": rows})
        return
    if preview:
        table = [(entry.line, entry.question, entry.answer, each.status) for entry, each in zip(entries, previews, strict=True)]
        print_table(["Line>", "Question", "Answer", ""], table)
    replaced = statuses.count("replaces")
    verb = "would be" if preview else "are"
    out.print(
        f"{num_new} {verb} new, {replaced} of them in place of an earlier answer; {len(pairs) - num_new} known.", highlight=False
    )
    if not preview and num_new:
        out.print(NEXT_MESSAGE, highlight=False)


@app.command("export")
def export_file(
    path: Path | None = typer.Argument(None, help="CSV file to write; default: standard output."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Write your corrections as a CSV file, which `import` can read."""
    from yearling.chat import faq_csv

    with open_log(data_dir, acting_person) as (log, person_id):
        found = [entry for entry in log.store.corrections.list(person_id) if entry.kind == "correction"]
    write_lines(path, [faq_csv([(entry.question, entry.answer) for entry in reversed(found)])])
    if path is not None:
        out.print(f"Wrote {len(found)} corrections to {path}", highlight=False, soft_wrap=True)


def _print_changed(correction: Correction, as_json: bool) -> None:
    if as_json:
        print_json(correction_dict(correction))
        return
    out.print(f"{correction.question}\n{correction.answer}", highlight=False, markup=False, soft_wrap=True)
    out.print(f"Now {describe_state(correction)}.", highlight=False)

"""`yearling conversations`: a person's history, in and out of files, listed, found, deleted.

Works on the data folder, whether a server runs or not, by the functions that the API calls.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, format_size, print_json, print_table
from yearling.clock import now_utc
from yearling.config import load_settings
from yearling.errors import Conflict, NotFound

if TYPE_CHECKING:
    from yearling.feedback import FeedbackLog
    from yearling.store import HistoryEntry

app = typer.Typer(help="Conversations of a person: import, export, list, search, delete.", no_args_is_help=True)

AS_JSON = typer.Option(False, "--json", help="Print JSON.")
DATA_DIR = typer.Option(None, "--data-dir", help="Where the data lives.")
PERSON = typer.Option(None, "--person", help="Whose, by name; by default the owner's.")
LIMIT = typer.Option(50, "--limit", "-n", min=1, max=10_000, help="How many at most.")
_PAGE_SIZE = 200
_CHUNK_BYTES = 1 << 20


@app.command("import")
def import_conversations(
    path: Path = typer.Argument(
        help="Zip or JSON that ChatGPT, Claude, LibreChat, llama.cpp or Open WebUI exported, or a Yearling's zip."
    ),
    person: str | None = PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Take in the export of a chat program or of a Yearling.

    The same file again changes nothing; a newer one adds what is new.
    """
    from yearling.api import import_personal_data, import_report_json

    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    with _open_feedback_log(data_dir, person) as (log, person_id), path.open("rb") as file, err.status("Reading"):
        report = import_report_json(import_personal_data(log, person_id, file))
    if as_json:
        print_json(report)
        return
    counts = {name: count for name, count in report.items() if isinstance(count, int)}
    print_table(("Taken in", "Number>"), counts.items())
    if report["left_out"]:
        print_table(("Left out", "Because", "Number>"), [tuple(one.values()) for one in report["left_out"]])


@app.command("export")
def export_conversations(
    to: Path | None = typer.Option(None, "--out", "-o", help="The zip to write; by default yearling-DATE.zip here."),
    person: str | None = PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Write everything that is a person's to a zip: conversations, files, judgements, memories, folders, links, settings."""
    from yearling.api import export_personal_data
    from yearling.cli.output_file import write_lines

    path = to or Path(f"yearling-{now_utc():%Y-%m-%d}.zip")
    if path.exists():
        raise Conflict(f"{path} exists.", advice="Choose another name with --out.")
    with _open_feedback_log(data_dir, person) as (log, person_id), tempfile.TemporaryFile() as file, err.status("Writing"):
        counts = export_personal_data(log, person_id, file)
        written = write_lines(path, _read_chunks(file))
    if as_json:
        print_json({"path": str(path), **counts, **written})
        return
    print_table(("Written", "Number>"), counts.items())
    err.print(f"{format_size(path.stat().st_size)} in {path}", highlight=False, soft_wrap=True)


@app.command("list")
def list_conversations(
    folder: str | None = typer.Option(None, "--folder", help="Only those in the folder of this name."),
    limit: int = LIMIT,
    person: str | None = PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """List conversations, newest activity first."""
    _print_conversations(data_dir, person, "", limit, folder, as_json)


@app.command("search")
def search(
    text: str = typer.Argument(help="Words that all occur in a message or in the title; Chinese too."),
    limit: int = LIMIT,
    person: str | None = PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Find conversations by their words, with a piece of the newest message that has them."""
    _print_conversations(data_dir, person, text, limit, None, as_json)


@app.command("delete")
def delete(
    conversations: list[str] = typer.Argument(help="Ids of conversations, as `list` and `search` show them."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    person: str | None = PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Delete conversations with all that is kept of them: answers, files, what was remembered, one's own edits and notes."""
    from yearling.api import delete_conversation

    deleted: list[dict[str, Any]] = []
    with _open_feedback_log(data_dir, person) as (log, person_id):
        titles = [log.store.conversations.get(one, person_id=person_id).title or one for one in conversations]
        if not yes and not typer.confirm(f"Delete {', '.join(titles)}?", err=True):
            raise typer.Abort
        for one in conversations:
            deleted.append({"id": one, **delete_conversation(log, person_id, one).counts})
    if as_json:
        print_json(deleted)
        return
    err.print(f"{len(deleted)} conversations with {sum(one['messages'] for one in deleted)} messages are deleted.")


def _print_conversations(
    data_dir: Path | None, person: str | None, query: str, limit: int, folder: str | None, as_json: bool
) -> None:
    with _open_feedback_log(data_dir, person) as (log, person_id):
        folders = {one.id: one.name for one in log.store.folders.list(person_id)}
        within = next((key for key, name in folders.items() if name == folder), None)
        if folder is not None and within is None:
            raise NotFound(f"There is no folder {folder!r}.", advice=f"Folders: {', '.join(sorted(folders.values())) or 'none'}.")
        found: list[HistoryEntry] = []
        after = None
        while len(found) < limit:
            page = log.store.history.list_page(
                person_id, query=query, folder_id=within, cursor=after, limit=min(_PAGE_SIZE, limit - len(found))
            )
            found += page.entries
            after = page.next_cursor
            if after is None:
                break
    rows = [_conversation_dict(entry, folders) for entry in found]
    if as_json:
        print_json(rows)
        return
    last = "Found" if query else "Folder"
    cells = [
        (
            row["id"],
            row["title"],
            row["messages"],
            row["updated_utc"][:16].replace("T", " "),
            row["snippet" if query else "folder"],
        )
        for row in rows
    ]
    print_table(("Id", "Title", "Messages>", "Last (UTC)", last), cells)
    if after is not None:
        err.print(f"There are more than {limit}: ask for them with --limit.")


def _conversation_dict(entry: HistoryEntry, folders: dict[str, str]) -> dict[str, Any]:
    one = entry.conversation
    return {
        "id": one.id,
        "title": one.title,
        "folder": folders.get(one.folder_id or "", ""),
        "origin": one.origin,
        "messages": entry.num_messages,
        "updated_utc": (one.updated_utc or one.created_utc).isoformat(),
        "message": entry.message_id,
        "snippet": entry.snippet or "",
    }


@contextmanager
def _open_feedback_log(data_dir: Path | None, person: str | None) -> Iterator[tuple[FeedbackLog, str]]:
    """The open store with its log of feedback, and the person whose data it is about."""
    from yearling.feedback import FeedbackLog
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        who = store.people.get_by_name(person) if person else store.people.owner()
        yield FeedbackLog(store), who.id


def _read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk

"""`yearling conversations`: import, export, list, search and delete the conversations of a person.

Works on the data folder, whether a server runs or not, through the functions that the API uses.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypedDict

import typer

from yearling.cli.console import err, format_size, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR, YES
from yearling.cli.output_file import write_lines
from yearling.clock import now_utc
from yearling.config import load_settings
from yearling.errors import Conflict, NotFound

if TYPE_CHECKING:
    from yearling.feedback import FeedbackLog
    from yearling.store import HistoryEntry

app = typer.Typer(help="Import, export, list, search and delete conversations.", no_args_is_help=True)

PERSON = typer.Option(None, "--person", help="Name of the person whose conversations to use; default: the owner.")
LIMIT = typer.Option(50, "--limit", "-n", min=1, max=10_000, help="Number of conversations to show at most.")
_PAGE_SIZE = 200
_CHUNK_BYTES = 1 << 20


@app.command("import")
def import_conversations(
    path: Path = typer.Argument(
        help="A zip or JSON that ChatGPT, Claude, LibreChat, llama.cpp or Open WebUI exported, or a zip from Yearling."
    ),
    person: str | None = PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Import conversations from another chat program or another Yearling.

    Importing a file twice changes nothing; a newer export adds what is new. One import of a person runs at a time, and two in
    all, those of a running server included.
    """
    from yearling.api import import_personal_data, import_report_json
    from yearling.store import ImportLocks

    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    with _open_feedback_log(data_dir, person) as (log, person_id), path.open("rb") as file, err.status("Reading") as status:
        locks = ImportLocks(log.store.settings.data_dir)
        with locks.reserve(person_id), locks.slot(on_wait=lambda: status.update("Waiting until another import has ended")):
            status.update("Reading")
            report = import_report_json(import_personal_data(log, person_id, file))
    if as_json:
        print_json(report)
        return
    counts = {name: count for name, count in report.items() if isinstance(count, int)}
    print_table(("Imported", "Number>"), counts.items())
    if report["left_out"]:
        print_table(("Not imported", "Reason", "Number>"), [tuple(entry.values()) for entry in report["left_out"]])


@app.command("export")
def export_conversations(
    to: Path | None = typer.Option(
        None, "--out", "-o", help="Zip file to write; default: yearling-DATE.zip in the current folder."
    ),
    person: str | None = PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Export everything of a person to a zip: chats, files, judgements, memories, corrections, folders, share links, settings."""
    from yearling.api import export_personal_data

    path = to or Path(f"yearling-{now_utc():%Y-%m-%d}.zip")
    if path.exists():
        raise Conflict(f"{path} exists.", advice="Choose another name with --out.")
    with _open_feedback_log(data_dir, person) as (log, person_id), tempfile.TemporaryFile() as file, err.status("Writing"):
        counts = export_personal_data(log, person_id, file)
        written = write_lines(path, _read_chunks(file))
    if as_json:
        print_json({"path": str(path), **counts, **written})
        return
    print_table(("Exported", "Number>"), counts.items())
    err.print(f"Wrote {path} ({format_size(path.stat().st_size)}).", highlight=False, soft_wrap=True)


@app.command("list")
def list_conversations(
    folder: str | None = typer.Option(None, "--folder", help="Name of a folder; only its conversations are listed."),
    limit: int = LIMIT,
    person: str | None = PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """List conversations, the most recently used first."""
    _print_conversations(data_dir, person, "", limit, folder, as_json)


@app.command("search")
def search(
    text: str = typer.Argument(help="Words to search for; all of them must occur in a message or the title."),
    limit: int = LIMIT,
    person: str | None = PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Search conversations, and show an excerpt of the newest message that matches."""
    _print_conversations(data_dir, person, text, limit, None, as_json)


@app.command("delete")
def delete(
    conversations: list[str] = typer.Argument(help="Ids of conversations, as `list` and `search` print them."),
    yes: bool = YES,
    person: str | None = PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Delete conversations and everything that belongs to them: answers, files, memories, the person's edits and notes."""
    from yearling.api import delete_conversation

    deleted: list[dict[str, str | int]] = []
    num_messages = 0
    with _open_feedback_log(data_dir, person) as (log, person_id):
        titles = [log.store.conversations.get(id_, person_id=person_id).title or id_ for id_ in conversations]
        if not yes and not typer.confirm(f"Delete {', '.join(titles)}?", err=True):
            raise typer.Abort
        for id_ in conversations:
            counts = delete_conversation(log, person_id, id_).counts
            deleted.append({"id": id_, **counts})
            num_messages += counts["messages"]
    if as_json:
        print_json(deleted)
        return
    err.print(f"Deleted {len(deleted)} conversations with {num_messages} messages.")


def _print_conversations(
    data_dir: Path | None, person: str | None, query: str, limit: int, folder: str | None, as_json: bool
) -> None:
    with _open_feedback_log(data_dir, person) as (log, person_id):
        folders = {record.id: record.name for record in log.store.folders.list(person_id)}
        folder_id = next((key for key, name in folders.items() if name == folder), None)
        if folder is not None and folder_id is None:
            raise NotFound(f"There is no folder {folder!r}.", advice=f"Folders: {', '.join(sorted(folders.values())) or 'none'}.")
        entries: list[HistoryEntry] = []
        cursor = None
        while len(entries) < limit:
            page = log.store.history.list_page(
                person_id, query=query, folder_id=folder_id, cursor=cursor, limit=min(_PAGE_SIZE, limit - len(entries))
            )
            entries += page.entries
            cursor = page.next_cursor
            if cursor is None:
                break
    rows = [_conversation_dict(entry, folders) for entry in entries]
    if as_json:
        print_json(rows)
        return
    last_column = "Excerpt" if query else "Folder"
    cells = [
        (
            row["id"],
            row["title"],
            row["messages"],
            row["updated_utc"][:16].replace("T", " "),
            row["snippet"] if query else row["folder"],
        )
        for row in rows
    ]
    print_table(("Id", "Title", "Messages>", "Last used (UTC)", last_column), cells)
    if cursor is not None:
        err.print(f"There are more than {limit} conversations; use --limit to see them.")


class _ConversationRow(TypedDict):
    id: str
    title: str
    folder: str
    origin: str
    messages: int
    updated_utc: str
    message: str | None
    snippet: str


def _conversation_dict(entry: HistoryEntry, folders: dict[str, str]) -> _ConversationRow:
    conversation = entry.conversation
    return {
        "id": conversation.id,
        "title": conversation.title,
        "folder": folders.get(conversation.folder_id or "", ""),
        "origin": conversation.origin,
        "messages": entry.num_messages,
        "updated_utc": (conversation.updated_utc or conversation.created_utc).isoformat(),
        "message": entry.message_id,
        "snippet": entry.snippet or "",
    }


@contextmanager
def _open_feedback_log(data_dir: Path | None, person: str | None) -> Iterator[tuple[FeedbackLog, str]]:
    """The feedback log of the open store, and the id of the person with this name, by default the owner. Raises NotFound."""
    from yearling.feedback import FeedbackLog
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        record = store.people.get_by_name(person) if person else store.people.owner()
        yield FeedbackLog(store), record.id


def _read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk

"""`yearling documents`: add files that people here can search, list, search, show and remove them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, format_count, format_size, out, print_error, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR, YES
from yearling.cli.people import acting_person_id
from yearling.cli.progress import pull_with_status, status_line
from yearling.config import Settings, load_settings
from yearling.errors import BadInput, Conflict, NotFound, Untrusted, UserError
from yearling.files.locks import LockHeldError

if TYPE_CHECKING:
    from yearling.retrieval import DocumentIndex, Hit, IndexedDocument
    from yearling.store import Document, DocumentPlace, DocumentVersion, Location, Store

app = typer.Typer(help="Files that people here can search.", no_args_is_help=True)

ACTING_PERSON = typer.Option(None, "--as", help="Name or id of the person whose documents these are; default: the owner.")
FOLDER = typer.Option(None, "--folder", help="Folder of conversations that they are for; default: everybody here.")
ONLY_FOLDER = typer.Option(None, "--folder", help="List only documents of this folder; default: all that the person may see.")
ALSO_FOLDER = typer.Option(None, "--folder", help="Folder whose documents are searched as well as everybody's.")
DOCUMENT = typer.Argument(help="Id of a document as `yearling documents list` prints it, or its name.")

_LOCK_TIMEOUT_S = 600.0
_NO_MEANING = "They are found by their words. The embedding model, which finds them by meaning, is not installed: {}"


@app.command("add")
def add(
    paths: list[Path] = typer.Argument(help="Files, or folders whose files are added, those of their folders included."),
    folder: str | None = FOLDER,
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Add files: PDF, Word, PowerPoint, Excel, EPUB, web pages, text, tables, subtitles and source code.

    A file under a known name is a new version of that document. What was read before an interruption is kept: `yearling documents
    index` goes on. The embedding model of the settings is downloaded first if it is missing, to find passages by meaning.
    """
    files = _list_files(paths)
    with _open_store(data_dir, acting_person) as (settings, store, person_id):
        place = _place(store, person_id, folder)
        added = [store.documents.add(person_id, name, path, place=place) for name, path in files]
        _index(settings, store)
        documents = [store.documents.get(each.document.id, person_id=person_id) for each in added]
    if as_json:
        rows = zip(documents, added, strict=True)
        print_json([{**asdict(document), "is_duplicate": each.is_duplicate} for document, each in rows])
    else:
        for document, each in zip(documents, added, strict=True):
            _print_added(document, is_duplicate=each.is_duplicate, is_new_version=each.is_new_version)
    if any(document.version.state == "failed" for document in documents):
        raise typer.Exit(1)


@app.command("index")
def index(data_dir: Path | None = DATA_DIR) -> None:
    """Read documents that wait, and compute what search by meaning needs. Goes on after an interruption.

    The embedding model of the settings is downloaded first if it is missing.
    """
    with _open_store(data_dir, None) as (settings, store, _):
        done = _index(settings, store)
    for each in done:
        if each.version.state == "failed":
            err.print(f"{each.name}: {each.version.reason}", highlight=False, markup=False)
    out.print("Nothing waited." if not done else f"{len(done)} read.", highlight=False)


@app.command("list")
def list_documents(
    folder: str | None = ONLY_FOLDER,
    search: str = typer.Option("", "--search", help="List only documents whose names contain this."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """List documents, newest first."""
    with _open_store(data_dir, acting_person) as (_, store, person_id):
        place = None if folder is None else _place(store, person_id, folder)
        found = store.documents.list(person_id, place=place, search=search)
    if as_json:
        print_json([asdict(document) for document in found])
        return
    if not found:
        out.print("There are none yet. Add one: yearling documents add FILE", highlight=False, markup=False)
        return
    print_table(
        ["Id", "Name", "For", "State"],
        [
            (
                document.id,
                document.name,
                document.scope,
                _state(document.version),
            )
            for document in found
        ],
    )


@app.command("search")
def search(
    query: str = typer.Argument(help="Question, or words."),
    folder: str | None = ALSO_FOLDER,
    limit: int = typer.Option(5, "--limit", min=1, max=100, help="Maximum number of passages."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Find the passages that match a question best, by words and by meaning."""
    from yearling.store import SearchScope

    async def find() -> Any:
        async with _open_index(settings, store) as index:
            return await index.search(query, scope=scope, limit=limit)

    with _open_store(data_dir, acting_person) as (settings, store, person_id):
        place = _place(store, person_id, folder)
        scope = SearchScope(person_id=person_id, folder_id=place.folder_id)
        result = asyncio.run(find())
        pages = _pages_of(store, result.hits, person_id)
    if as_json:
        hits = [{**asdict(hit), "page": page} for hit, page in zip(result.hits, pages, strict=True)]
        print_json({**asdict(result), "hits": hits})
        return
    if not result.hits:
        out.print("Nothing matches.", highlight=False)
    for hit, page in zip(result.hits, pages, strict=True):
        where = f", page {page}" if page else ""
        out.print(f"{hit.title}{where}  ({hit.document_id})", style="bold", highlight=False, markup=False)
        out.print(" ".join(hit.text.split()), highlight=False, markup=False)
        out.print()
    if result.is_in_documents is False:
        out.print(f"The answer is probably not in these documents (score {result.score:.2f}).", highlight=False)


@app.command("show")
def show(
    document: str = DOCUMENT,
    text: bool = typer.Option(False, "--text", help="Print the text that was read, and nothing else."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show a document: its versions, what was read and what was not."""
    with _open_store(data_dir, acting_person) as (_, store, person_id):
        found = _find(store, document, person_id)
        if text:
            out.print(
                store.documents.read_text(found.id, person_id=person_id).text, highlight=False, markup=False, soft_wrap=True
            )
            return
        versions = store.documents.list_versions(found.id, person_id=person_id)
    if as_json:
        print_json({**asdict(found), "versions": [asdict(version) for version in versions]})
        return
    out.print(f"{found.name} ({found.id})", style="bold", highlight=False, markup=False)
    out.print(found.version.media_type, highlight=False, markup=False)
    print_table(
        ["Added", "Size>", "Characters>", "Pages>", "State", "Sentences that changed"],
        [
            (
                f"{version.created_utc:%Y-%m-%d %H:%M}",
                format_size(version.size_bytes),
                f"{version.num_chars:,}",
                version.num_pages or "",
                _state(version),
                f"{version.changes.num_added} new, {version.changes.num_removed} gone" if version.changes else "",
            )
            for version in versions
        ],
    )
    _print_notes(found.version)


@app.command("remove")
def remove(
    documents: list[str] = typer.Argument(help="Ids of documents as `yearling documents list` prints them, or their names."),
    acting_person: str | None = ACTING_PERSON,
    yes: bool = YES,
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Remove documents with all versions, texts and what search knows of them."""
    with _open_store(data_dir, acting_person) as (_, store, person_id):
        found = [_find(store, document, person_id) for document in documents]
        if not yes:
            names = ", ".join(repr(document.name) for document in found)
            typer.confirm(f"Remove {names}?", abort=True, err=True)
        for document in found:
            store.documents.delete(document.id, person_id=person_id)
    out.print("Removed.", highlight=False)


@contextmanager
def _open_store(data_dir: Path | None, acting_person: str | None) -> Iterator[tuple[Settings, Store, str]]:
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store:
        yield settings, store, acting_person_id(store, acting_person)


@asynccontextmanager
async def _open_index(settings: Settings, store: Store) -> AsyncGenerator[DocumentIndex, None]:
    """The index, with the embedding model if it is installed."""
    from yearling.cli.assistant_runtime import open_pool
    from yearling.retrieval import DocumentIndex

    pool = open_pool(settings, store)
    try:
        yield DocumentIndex(store, await pool.get_embedder() if pool.has_embedder() else None)
    finally:
        await pool.close()


def _index(settings: Settings, store: Store) -> list[IndexedDocument]:
    """Read what waits, then compute the vectors that are missing. An embedding model that is not installed is pulled first."""
    from yearling.retrieval import DocumentReader

    done: list[IndexedDocument] = []

    async def run() -> None:
        with status_line("Reading documents ...") as say:

            def on_document(document: IndexedDocument) -> None:
                done.append(document)
                say(f"Reading documents: {len(done)} read, the last {document.name}")

            async with _open_index(settings, store) as index:
                reader = DocumentReader(settings, store, index)
                try:
                    await reader.read_waiting(on_document=on_document, lock_timeout_s=_LOCK_TIMEOUT_S)
                except LockHeldError:
                    raise Conflict("Another process still reads documents.", advice="It reads these too: wait for it.") from None
                left = total = await index.count_missing()
                while left:
                    say(f"Learning what passages are about: {total - left} of {total}")
                    if not await index.embed_missing(max_passages=64):
                        break
                    left = await index.count_missing()

    problem = _pull_embedder(settings)
    asyncio.run(run())
    if problem:
        err.print(_NO_MEANING.format(problem), highlight=False, markup=False)
    return done


def _pull_embedder(settings: Settings) -> str:
    """Install the embedding model unless it is there or unwanted. Returns why that failed."""
    from yearling.models import ModelLibrary

    library = ModelLibrary(settings.models_dir)
    if not settings.embedding_model or settings.embedding_model in library.names():
        return ""
    try:
        pull_with_status(library, settings.embedding_model)
    except UserError as error:
        return str(error)
    return ""


def _list_files(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """The files with their names: that of a file in a folder has the path below the folder. Raises NotFound, BadInput."""
    files: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_dir():
            below = sorted(each for each in path.rglob("*") if each.is_file())
            files += [
                (each.relative_to(path).as_posix(), each)
                for each in below
                if not any(part.startswith(".") for part in each.relative_to(path).parts)
            ]
        elif path.is_file():
            files.append((path.name, path))
        else:
            raise NotFound(f"There is no file {path}.")
    if not files:
        raise BadInput("There are no files in these folders.")
    return files


def _place(store: Store, person_id: str, folder: str | None) -> DocumentPlace:
    from yearling.store import DocumentPlace

    if folder is None:
        return DocumentPlace()
    for each in store.folders.list(person_id):
        if folder in (each.name, each.id):
            return DocumentPlace(folder_id=each.id)
    raise NotFound(f"There is no folder {folder!r}.", advice="Folders are made on the page, beside the conversations.")


def _find(store: Store, name_or_id: str, person_id: str) -> Document:
    """A document by its id or its name. Raises NotFound, and BadInput if several have the name."""
    named = [document for document in store.documents.list(person_id) if document.name == name_or_id]
    if len(named) > 1:
        raise BadInput(f"{len(named)} documents have this name.", advice="Give the id of one: yearling documents list")
    return named[0] if named else store.documents.get(name_or_id, person_id=person_id)


def _pages_of(store: Store, hits: Sequence[Hit], person_id: str) -> list[int | None]:
    """The page of each passage; None without pages, and for a text that was deleted since it was found."""
    from yearling.store import locations_of

    locations: dict[str, Sequence[Location]] = {}
    for hit in hits:
        if hit.text_sha256 not in locations:
            with suppress(NotFound, Untrusted):
                text = store.documents.read_text(hit.document_id, hit.text_sha256, person_id=person_id)
                locations[hit.text_sha256] = text.locations
    return [
        next((location.page for location in locations_of(hit.span, locations.get(hit.text_sha256, ()))), None) for hit in hits
    ]


def _state(version: DocumentVersion) -> str:
    return "not readable" if version.state == "failed" else version.state


def _print_added(document: Document, *, is_duplicate: bool, is_new_version: bool) -> None:
    version = document.version
    if is_duplicate:
        out.print(f"{document.name}: this content is there already.", highlight=False, markup=False)
        return
    if version.state == "failed":
        print_error(BadInput(f"{document.name}: {version.reason}"))
        return
    pages = f"{format_count(version.num_pages, 'page')}, " if version.num_pages else ""
    new = "new version, " if is_new_version else ""
    out.print(f"{document.name}: {new}{pages}{format_count(version.num_passages, 'passage')}", highlight=False, markup=False)
    if version.changes is not None:
        changes = f"{version.changes.num_added} new, {version.changes.num_removed} gone"
        out.print(f"  Sentences that changed: {changes}", highlight=False, markup=False)
    _print_notes(version)


def _print_notes(version: DocumentVersion) -> None:
    for note in (*version.warnings, *([version.reason] if version.reason else [])):
        out.print(f"  {note}", highlight=False, markup=False)

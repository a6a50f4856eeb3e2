"""The child process that reads one document. `document_parser.py` starts it; it imports no room of Yearling but this one.

    python -P worker.py MEMORY_LIMIT_BYTES CPU_LIMIT_S MAX_FILE_BYTES < DOCUMENT

The environment holds the name and the media type, since other users of the machine can read arguments. The reply on standard
output is the length of a JSON text in 8 bytes, the most significant first, and the JSON text, in UTF-8. That is either `{"text",
"title", "media_type", "num_pages", "warnings", "labels", "lines"}`, where each line is `[start, end, page, box, t0_s, t1_s,
label]` with the index of its label, or `{"error": KIND, "message", "advice"}` of the kind `document`, `memory`, `nesting`,
`library` or `damaged`.

Documents come from anybody, and the libraries that read them are large. From the first byte that is read, this process cannot
open sockets, start processes or write files, its memory and CPU time are capped, and the parent caps its duration and its reply.
The audit hook sees what Python code tries; of the libraries in C, PDFium has no network and libxml2 is told not to use it.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yearling.retrieval.parsing.text_builder import ParsedText

NAME_VARIABLE = "YEARLING_DOCUMENT_NAME"
MEDIA_TYPE_VARIABLE = "YEARLING_DOCUMENT_MEDIA_TYPE"

_PACKAGES = ("yearling", "yearling.retrieval")
"""Their doors import the rest of the server, which this process must not load."""
_DENIED_EVENTS = (
    *("socket.", "subprocess.", "os.exec", "os.fork", "os.kill", "os.posix_spawn", "os.spawn", "os.system", "pty.", "urllib."),
    *("os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"),
    *("shutil.", "tempfile.", "ftplib.", "http.", "smtplib.", "webbrowser."),
)
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MAX_MESSAGE_CHARS = 500


def confine(memory_bytes: int, cpu_s: int) -> None:
    """From here on deny sockets, processes and file writes, and cap memory and CPU time.

    The caps need Unix; elsewhere only the audit hook and the parent's limits hold.
    """
    sys.addaudithook(_deny)
    with suppress(ImportError):
        import resource

        for kind, limit in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_AS, memory_bytes),
            (resource.RLIMIT_CPU, cpu_s),
        ):
            # A second later the system ends a process that survives the signal for too much CPU time.
            hard = limit + 1 if kind == resource.RLIMIT_CPU else limit
            with suppress(ValueError, OSError):  # the owner's own limit is lower
                resource.setrlimit(kind, (limit, hard))


def answer(content: bytes, name: str, media_type: str) -> dict[str, Any]:
    """The reply for one document."""
    from yearling.retrieval.parsing.reading import read_document
    from yearling.retrieval.parsing.text_builder import DocumentError

    try:
        return _pack(read_document(content, name, media_type))
    except DocumentError as error:
        return {"error": "document", "message": error.message, "advice": error.advice}
    except MemoryError:
        return {"error": "memory", "message": "", "advice": ""}
    except RecursionError:
        return {"error": "nesting", "message": "", "advice": ""}
    except ImportError as error:
        return {"error": "library", "message": str(error)[:_MAX_MESSAGE_CHARS], "advice": ""}
    except Exception as error:  # what a library raises for a damaged document has no common class
        return {"error": "damaged", "message": f"{type(error).__name__}: {error}"[:_MAX_MESSAGE_CHARS], "advice": ""}


def _pack(parsed: ParsedText) -> dict[str, Any]:
    labels: dict[str, int] = {}
    lines = [
        [line.start, line.end, line.page, line.box, line.t0_s, line.t1_s, labels.setdefault(line.label, len(labels))]
        for line in parsed.lines
    ]
    return {
        "text": parsed.text,
        "title": parsed.title,
        "media_type": parsed.media_type,
        "num_pages": parsed.num_pages,
        "warnings": parsed.warnings,
        "labels": list(labels),
        "lines": lines,
    }


def _deny(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith(_DENIED_EVENTS) or (event == "open" and isinstance(flags := arguments[2], int) and flags & _WRITE_FLAGS):
        raise PermissionError(f"A reader of documents may not use {event}.")


def _skip_doors() -> None:
    root = Path(__file__).parents[2]
    for name in _PACKAGES:
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package


def main() -> None:
    """Read the document from standard input and write the reply."""
    memory_bytes, cpu_s, max_file_bytes = (int(argument) for argument in sys.argv[1:4])
    name, media_type = os.environ.get(NAME_VARIABLE, ""), os.environ.get(MEDIA_TYPE_VARIABLE, "")
    # The reply goes to a private copy of stdout, so that nothing a library prints can pass for one.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.dont_write_bytecode = True
    _skip_doors()
    confine(memory_bytes, cpu_s)
    try:
        reply = json.dumps(answer(sys.stdin.buffer.read(max_file_bytes + 1), name, media_type), ensure_ascii=False)
        payload = reply.encode("utf-8")
    except MemoryError:
        payload = b'{"error": "memory", "message": "", "advice": ""}'
    output.write(len(payload).to_bytes(8, "big"))
    output.write(payload)
    output.flush()
    os._exit(0)  # whatever a library would do at the end, the reply is complete


if __name__ == "__main__":
    main()

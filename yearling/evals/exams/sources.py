"""Where the files of exams are: fetched ones in the data folder, the rest in a folder that the user names.

Says what to fetch and from where (`sources.toml`), with a pinned hash for each file; fetching is done by who calls.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from yearling.errors import NotFound, Untrusted


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file: where it goes inside the exam's folder, whence, and its SHA-256."""

    path: str
    source: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ExamDownload:
    """What an exam needs that does not come with the program."""

    exam: str
    licence: str
    homepage: str
    size_bytes: int
    files: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True)
class ExamDataFolders:
    """Where exams look: `fetched` holds one folder per exam, `given` is the user's folder of data sets."""

    downloads_dir: Path
    user_data_dir: Path | None = None

    def downloaded_folder(self, exam: str) -> Path:
        """The folder of fetched files. Raises NotFound when one is missing."""
        folder = self.downloads_dir / exam
        wanted = exam_downloads()[exam]
        if not all((folder / file.path).is_file() for file in wanted.files):
            raise NotFound(f"The files of the exam {exam} are not here.", advice=f"Run `yearling exam pull {exam}`.")
        return folder

    def user_file(self, exam: str, *parts: str) -> Path:
        """A file of the user's folder. Raises NotFound that says what is expected where."""
        if self.user_data_dir is None:
            raise NotFound(
                f"The exam {exam} reads {'/'.join(parts)}, which no package index has.",
                advice="Name the folder that it lies in: --data DIR.",
                param="data",
            )
        path = self.user_data_dir.joinpath(*parts)
        if not path.is_file():
            raise NotFound(f"The exam {exam} needs {path}.", advice="Put the data set there, or name another folder: --data DIR.")
        return path

    def has_user_file(self, *parts: str) -> bool:
        """Whether the user's folder has the file."""
        return self.user_data_dir is not None and self.user_data_dir.joinpath(*parts).is_file()


@cache
def exam_downloads() -> dict[str, ExamDownload]:
    """What can be fetched, by exam."""
    tables: dict[str, Any] = tomllib.loads((Path(__file__).parent / "sources.toml").read_text(encoding="utf-8"))
    return {
        name: ExamDownload(
            name, table["licence"], table["homepage"], table["size_bytes"], tuple(SourceFile(**one) for one in table["files"])
        )
        for name, table in tables.items()
    }


def verify_sha256(path: Path, sha256: str) -> Path:
    """The path itself, if its content is what was pinned. Raises Untrusted: code is about to be run from it."""
    import hashlib

    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise Untrusted(f"{path} was changed after it was fetched.", advice="Delete it and run `yearling exam pull` again.")
    return path

"""Where the files of exams are: downloads in the data folder, other data sets in a folder that the user names.

`sources.toml` lists what to download and from where, with a pinned SHA-256 for each file. Downloading is left to the callers.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from yearling.errors import NotFound, Untrusted
from yearling.files.reading import hash_file


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to download: its path inside the folder of the exam, its source, and its SHA-256."""

    path: str
    source: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ExamDownload:
    """The files that an exam needs and that do not come with Yearling."""

    exam: str
    licence: str
    homepage: str
    size_bytes: int
    files: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True)
class ExamDataFolders:
    """The folders that exams read: `downloads_dir` holds one folder per exam, `user_data_dir` holds the user's data sets."""

    downloads_dir: Path
    user_data_dir: Path | None = None

    def downloaded_folder(self, exam: str) -> Path:
        """The folder with the downloads of an exam. Raises NotFound if a file is missing."""
        folder = self.downloads_dir / exam
        if not all((folder / file.path).is_file() for file in exam_downloads()[exam].files):
            raise NotFound(f"The files of the exam {exam} are not downloaded.", advice=f"Run `yearling exam pull {exam}`.")
        return folder

    def user_file(self, exam: str, *parts: str) -> Path:
        """A file in the user's folder. Raises NotFound, naming the expected path, if there is no such folder or file."""
        if self.user_data_dir is None:
            raise NotFound(
                f"The exam {exam} reads {'/'.join(parts)}, which Yearling cannot download.",
                advice="Name the folder that contains it with --data DIR.",
                param="data",
            )
        path = self.user_data_dir.joinpath(*parts)
        if not path.is_file():
            raise NotFound(
                f"The exam {exam} needs {path}.", advice="Put the data set there, or name another folder with --data DIR."
            )
        return path

    def has_user_file(self, *parts: str) -> bool:
        """Whether the user's folder contains the file."""
        return self.user_data_dir is not None and self.user_data_dir.joinpath(*parts).is_file()


@cache
def exam_downloads() -> dict[str, ExamDownload]:
    """What can be downloaded, by exam."""
    tables: dict[str, Any] = tomllib.loads((Path(__file__).parent / "sources.toml").read_text(encoding="utf-8"))
    return {
        name: ExamDownload(
            name, table["licence"], table["homepage"], table["size_bytes"], tuple(SourceFile(**file) for file in table["files"])
        )
        for name, table in tables.items()
    }


def verify_sha256(path: Path, sha256: str) -> Path:
    """The path itself, if its content has the pinned hash. Raises Untrusted otherwise: code from the file is about to run."""
    if hash_file(path) != sha256:
        raise Untrusted(f"{path} has changed since it was downloaded.", advice="Delete it and run `yearling exam pull` again.")
    return path

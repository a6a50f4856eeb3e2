"""Where the files of exams are: downloads and data sets in the data folder, or data sets in a folder that the user names.

`sources.toml` lists what to download and from where, with a pinned SHA-256 for each file. Downloading is left to the callers.
`datasets.toml` says where people get the data sets that no package index has.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from yearling.errors import NotFound, Untrusted
from yearling.files.reading import hash_file

YAML_SUFFIXES = frozenset({".yaml", ".yml"})


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
class ExternalDataset:
    """A file that people fetch themselves, by its path in the folder of data sets."""

    path: str
    title: str
    address: str
    licence: str


@dataclass(frozen=True, slots=True)
class ExamDataFolders:
    """The folders that exams read: `downloads_dir` holds one folder per exam, and custom exams; `user_data_dir` the user's data
    sets, which can be in `downloads_dir` as well.
    """

    downloads_dir: Path
    user_data_dir: Path | None = None

    def downloaded_folder(self, exam: str) -> Path:
        """The folder with the downloads of an exam. Raises NotFound if a file is missing."""
        folder = self.downloads_dir / exam
        if not all((folder / file.path).is_file() for file in exam_downloads()[exam].files):
            raise NotFound(f"The files of the exam {exam} are not downloaded.", advice=f"Run `yearling exam pull {exam}`.")
        return folder

    def user_file(self, exam: str, *parts: str) -> Path:
        """A file of a data set. Raises NotFound, which says where to get it, if it is in none of the folders."""
        for folder in self._dataset_folders():
            if (path := folder.joinpath(*parts)).is_file():
                return path
        raise NotFound(f"The exam {exam} needs {'/'.join(parts)}.", advice=self.how_to_get("/".join(parts)), param="data")

    def has_user_file(self, *parts: str) -> bool:
        """Whether one of the folders contains the file."""
        return any(folder.joinpath(*parts).is_file() for folder in self._dataset_folders())

    def own_exams(self) -> dict[str, Path]:
        """The exams that people wrote and put into `downloads_dir`, each a YAML file or a folder of YAML files, by name."""
        paths = sorted(self.downloads_dir.glob("*")) if self.downloads_dir.is_dir() else []
        files = {path.stem: path for path in paths if path.suffix in YAML_SUFFIXES and path.is_file()}
        folders = {path.name: path for path in paths if any(each.suffix in YAML_SUFFIXES for each in path.glob("*"))}
        return dict(sorted((folders | files).items()))

    def how_to_get(self, path: str) -> str:
        """What to do to get a file of a data set, in words."""
        for name, download in exam_downloads().items():
            if path in {f"{name}/{file.path}" for file in download.files}:
                return f"Run `yearling exam pull {name}`."
        dataset = external_datasets().get(path)
        if dataset is None:
            return f"Name a folder that contains {path} with --data DIR."
        return (
            f"Save {dataset.title} ({dataset.licence}) from {dataset.address} as {self.downloads_dir / path}, "
            f"or name a folder that contains {path} with --data DIR."
        )

    def _dataset_folders(self) -> list[Path]:
        return [folder for folder in (self.user_data_dir, self.downloads_dir) if folder is not None]


@cache
def external_datasets() -> dict[str, ExternalDataset]:
    """The data sets that people fetch themselves, by path."""
    tables: dict[str, Any] = tomllib.loads((Path(__file__).parent / "datasets.toml").read_text(encoding="utf-8"))
    return {path: ExternalDataset(path, **table) for path, table in tables.items()}


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

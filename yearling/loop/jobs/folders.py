"""The files of jobs, in the folder `jobs` of the data folder.

lock                    held by the process that runs a job, and by the processes that it starts: one job at a time
people-wait             locked, shared, by servers while somebody waits for an answer (`yielding.py`)
machine                 the id of this data folder, by which its jobs are told from those of other machines
<id>/lock               held by the process that runs the job
<id>/pausable           locked, shared, by the job while its process may be stopped for people (`yielding.py`)
<id>/log.txt            what the job wrote
<id>/files/             what the job keeps; a resumable job finds it again
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from yearling.clock import new_id
from yearling.config import Settings
from yearling.errors import NotFound
from yearling.files.atomic import atomic_write_text
from yearling.files.disk import DiskAdvice, translate_disk_errors
from yearling.files.locks import exclusive_lock
from yearling.files.sync import make_directory

MAX_LOG_BYTES = 1_000_000
"""How much of a log is read at once, from its end. The file itself is cut at twice as much."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ADVICE = DiskAdvice(full="Free some space, then start the job again.", not_writable="Check the folder and its disk.")


@dataclass(frozen=True, slots=True)
class JobFolders:
    """The folder `jobs` of one data folder."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> JobFolders:
        """The folder of an installation; made if it is missing. Raises StorageFailed."""
        root = settings.data_dir / "jobs"
        with translate_disk_errors(root, advice=_ADVICE):
            make_directory(root)
        return cls(root)

    @property
    def lock(self) -> Path:
        """The lock of the process that runs a job."""
        return self.root / "lock"

    @property
    def end_request(self) -> Path:
        """Exists while the worker is asked to end."""
        return self.root / "end"

    @property
    def people_wait(self) -> Path:
        """The lock of servers while somebody waits for an answer."""
        return self.root / "people-wait"

    def machine(self) -> str:
        """The id of this data folder, made at the first call. Raises StorageFailed."""
        path = self.root / "machine"
        with translate_disk_errors(path, advice=_ADVICE), exclusive_lock(self.root / "machine.lock"):
            if path.exists() and _ID.fullmatch(found := path.read_text(encoding="ascii", errors="replace").strip()):
                return found
            made = new_id()
            atomic_write_text(path, f"{made}\n")
            return made

    def job(self, job_id: str) -> Path:
        """The folder of a job. Raises NotFound for what is no id."""
        if not _ID.fullmatch(job_id):
            raise NotFound(f"There is no job {job_id[:64]!r}.", advice="`yearling jobs list` shows the jobs.", param="job")
        return self.root / job_id

    def log(self, job_id: str) -> Path:
        """The log file of a job."""
        return self.job(job_id) / "log.txt"

    def job_lock(self, job_id: str) -> Path:
        """The lock of the process that runs this job, on whichever machine that is. Makes the folder of the job."""
        folder = self.job(job_id)
        with translate_disk_errors(folder, advice=_ADVICE):
            make_directory(folder)
        return folder / "lock"

    def pausable(self, job_id: str) -> Path:
        """The lock of a job while its process may be stopped in the middle of a step."""
        return self.job(job_id) / "pausable"

    def prepare(self, job_id: str, *, is_new: bool) -> Path:
        """Make the folder of a job, and return the folder of its files: emptied if it begins anew. Raises StorageFailed."""
        folder = self.job(job_id)
        files = folder / "files"
        with translate_disk_errors(folder, advice=_ADVICE):
            if is_new:
                shutil.rmtree(files, ignore_errors=True)
            make_directory(folder)
            make_directory(files)
        return files

    def read_log(self, job_id: str, *, max_bytes: int = MAX_LOG_BYTES) -> str:
        """The end of a job's log, in whole lines; empty if it wrote none. Raises NotFound for what is no id."""
        try:
            with self.log(job_id).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - max_bytes))
                content = file.read(max_bytes)
        except FileNotFoundError:
            return ""
        text = content.decode("utf-8", "replace")
        return text.partition("\n")[2] if size > max_bytes else text

    def cut_log(self, job_id: str) -> None:
        """Drop the beginning of a log that has grown too long. The process that writes it may go on: it appends."""
        path = self.log(job_id)
        if path.exists() and path.stat().st_size > 2 * MAX_LOG_BYTES:
            kept = self.read_log(job_id).encode()
            with path.open("r+b") as file:  # the same file, which its writer has open for appending
                file.write(kept)
                file.truncate()

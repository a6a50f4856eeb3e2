"""One pinned file from any source, for rooms that need data and not a model. What is there is checked, not fetched again."""

from __future__ import annotations

import shutil
from pathlib import Path

from yearling.errors import Untrusted
from yearling.files.atomic import atomic_path, publish_file
from yearling.files.disk import translate_disk_errors
from yearling.files.locks import exclusive_lock
from yearling.files.progress import Progress, ignore_progress
from yearling.files.reading import hash_file
from yearling.models.sources import FileSource, parse_source


def fetch_file(source: str, destination: Path, *, sha256: str, progress: Progress | None = None) -> Path:
    """Put the file that `source` names at `destination`; it has that SHA-256 on return.

    Raises Untrusted for other content (what is there is left alone, what came is deleted), and as `Library.pull`.
    """
    from yearling.models.fetch import fetch_source, scratch_key
    from yearling.models.http_download import NetworkConfig

    parsed = parse_source(source)
    with translate_disk_errors(destination.parent):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(destination.with_name(f".{destination.name}.lock")):
            if destination.exists():
                if hash_file(destination) != sha256:
                    raise Untrusted(f"{destination} is not what was fetched.", advice="Delete it and fetch it again.")
                return destination
            scratch = destination.parent / ".downloads" / scratch_key(parsed, sha256)
            fetched = fetch_source(
                parsed, scratch, NetworkConfig.from_environment(), sha256=sha256, progress=progress or ignore_progress
            )
            if isinstance(parsed, FileSource):
                with atomic_path(destination) as temporary:
                    shutil.copyfile(fetched.path, temporary)
            else:
                publish_file(fetched.path, destination)
                shutil.rmtree(scratch)
    return destination

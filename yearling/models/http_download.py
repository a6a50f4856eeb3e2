"""Files from web servers: resumable, atomic, and with errors that say what to do.

`download` writes to `DESTINATION.part` and keeps the server's validator beside it, so that an interrupted download goes on where
it stopped (RFC 9110: `Range` with `If-Range`) and one whose file changed meanwhile starts anew. What is complete is flushed and
renamed. Whether it is the *right* file is for the caller to check. Knows nothing of models.

The outside world's own conventions (proxy, certificate and pip variables) are read in `Web.from_environment`, nowhere else.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx

from yearling.addresses import resolve_public_addresses
from yearling.errors import BadInput, NotFound, Unavailable, UserError
from yearling.files.atomic import publish_file
from yearling.files.disk import require_space, translate_disk_errors
from yearling.files.progress import Progress, ignore_progress
from yearling.models.pip_config import PackageIndexes
from yearling.models.sources import redact_url

OFFLINE_ADVICE = (
    "Check the network and try again (what was fetched is kept), "
    "or copy the file here by other means and run `yearling model import PATH`."
)


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """How this machine reaches the world. `ca_file` is a bundle of certificate authorities; empty means the built-in one."""

    indexes: PackageIndexes = field(default_factory=PackageIndexes)
    hf_endpoint: str = "https://huggingface.co"
    hf_token: str = field(default="", repr=False)
    ca_file: str = ""
    timeout_s: float = 30.0
    attempts: int = 4
    """How many attempts in a row may bring nothing before a call gives up."""
    pause_s: float = 1.0
    """Wait after an attempt that brought something; doubles with each that did not."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> NetworkConfig:
        """What the environment and pip's configuration files say."""
        environ = os.environ if environ is None else environ
        indexes = PackageIndexes.from_environment(environ)
        bundles = (environ.get(name, "") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE"))
        return cls(
            indexes=indexes,
            hf_endpoint=(environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/"),
            hf_token=environ.get("HF_TOKEN", ""),
            ca_file=next((bundle for bundle in bundles if bundle), indexes.ca_file),
        )

    def client(self) -> httpx.Client:
        """A client for a few requests; close it. Raises BadInput when the certificate bundle cannot be read."""
        verify: ssl.SSLContext | bool = True
        if self.ca_file:
            try:
                path = Path(self.ca_file).expanduser()
                verify = ssl.create_default_context(
                    cafile=None if path.is_dir() else path, capath=path if path.is_dir() else None
                )
            except (OSError, ssl.SSLError) as error:
                raise BadInput(
                    f"The certificate bundle {self.ca_file} cannot be read: {error}.",
                    advice="Correct SSL_CERT_FILE, REQUESTS_CA_BUNDLE or PIP_CERT.",
                ) from None
        hooks = {"response": [_refuse_private_redirect]}
        return httpx.Client(follow_redirects=True, timeout=self.timeout_s, verify=verify, event_hooks=hooks)


def download(
    web: NetworkConfig,
    url: str,
    destination: Path,
    *,
    headers: Mapping[str, str] | None = None,
    phase: str = "Downloading",
    progress: Progress = ignore_progress,
) -> None:
    """Puts what `url` serves at `destination`, taking up an earlier, interrupted download of the same URL and file.

    Raises NotFound, BadInput (not allowed), Unavailable (no network, server trouble) and StorageFailed; all but NotFound and
    BadInput leave the part in place for the next call.
    """
    if destination.exists():
        return
    part = destination.with_name(destination.name + ".part")
    _with_retries(
        web,
        url,
        lambda client: _resume_download(client, url, destination, headers or {}, phase, progress),
        lambda: part.stat().st_size if part.exists() else 0,
    )


def http_get(
    web: NetworkConfig, url: str, headers: Mapping[str, str], *, method: str = "GET", follow: bool = True
) -> httpx.Response:
    """One small answer. Raises as `download` does; redirects are answers when `follow` is false."""

    def ask(client: httpx.Client) -> httpx.Response:
        response = client.request(method, url, headers=headers, follow_redirects=follow)
        if follow or not response.is_redirect:
            _check_status(response, url)
        return response

    return _with_retries(web, url, ask)


def _with_retries(web: NetworkConfig, url: str, action: Callable[[httpx.Client], T], have: Callable[[], int] = lambda: 0) -> T:
    """Tries again after a break, up to `web.attempts` times in a row that brought nothing more than `have` told before."""
    pause_s, vain = web.pause_s, 0
    with web.client() as client:
        while True:
            had = have()
            try:
                return action(client)
            except (httpx.TransportError, _RetryableError) as error:
                pause_s, vain = (web.pause_s, 0) if have() > had else (pause_s * 2, vain + 1)
                if vain >= web.attempts:
                    raise _unreachable(url, error) from None
            except (httpx.InvalidURL, httpx.TooManyRedirects, httpx.UnsupportedProtocol) as error:
                raise BadInput(f"{redact_url(url)} is not a usable address: {error}.") from None
            time.sleep(pause_s)


def _refuse_private_redirect(response: httpx.Response) -> None:
    """A server on the public network may not send us into the private one: there it could ask what only this machine can.

    What somebody named may be anywhere, such as a mirror of their own, and may redirect there. Behind a proxy that alone resolves
    names, only bare addresses can be told. Raises BadInput.
    """
    if not response.has_redirect_location:
        return
    target = response.url.join(response.headers["location"])
    if _is_public(response.url) and not _is_public(target):
        raise BadInput(
            f"{redact_url(str(response.url))} redirects to {target.host}, which is not public.",
            advice="Name that address yourself if you trust it.",
        )


def _is_public(url: httpx.URL) -> bool:
    """Whether this leads to the public network, as far as can be told here."""
    try:
        resolve_public_addresses(url.host, url.port or 443)
    except BadInput:
        return False
    except Unavailable:
        return True  # a name that a proxy resolves, or nobody
    return True


class _RetryableError(Exception):
    """The server broke off or asks to come again; the same request may work in a moment."""


def _resume_download(
    client: httpx.Client, url: str, destination: Path, headers: Mapping[str, str], phase: str, progress: Progress
) -> None:
    part = destination.with_name(destination.name + ".part")
    note = destination.with_name(destination.name + ".part.json")
    validator = _read_validator(note, url) if part.exists() else ""
    have = part.stat().st_size if validator else 0
    request_headers = {**headers, "Accept-Encoding": "identity"}
    if have:
        request_headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with client.stream("GET", url, headers=request_headers) as response:
        if response.status_code == 416:
            # The validator holds (else the whole file would come), so a part of the full length is the file.
            if response.headers.get("content-range") == f"bytes */{have}":
                _finish(part, note, destination)
                return
            part.unlink(missing_ok=True)
            raise _RetryableError("the range is not there any more")
        _check_status(response, url)
        start, total = _extent(response, have)
        if start and response.headers.get("etag", validator) != validator and validator.startswith('"'):
            part.unlink()  # a server that ignores If-Range: this would be the tail of another file
            raise _RetryableError("the file was changed on the server")
        with translate_disk_errors(part.parent, None if total is None else total - start):
            if total is not None:
                require_space(part.parent, total - start)
            if start == 0:
                part.unlink(missing_ok=True)
                _write_validator(note, url, response)
            with part.open("ab") as out:
                done = start
                progress(phase, done, total)
                for chunk in response.iter_raw():  # unbuffered, so that what came is on disk when the connection breaks
                    out.write(chunk)
                    done += len(chunk)
                    progress(phase, done, total)
            if total is not None and done != total:
                raise _RetryableError(f"{done} of {total} bytes came")
            _finish(part, note, destination)


def _finish(part: Path, note: Path, destination: Path) -> None:
    publish_file(part, destination)
    note.unlink(missing_ok=True)


def _extent(response: httpx.Response, have: int) -> tuple[int, int | None]:
    """(first byte that the response carries, size of the whole file or None)."""
    if response.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("content-range", ""))
        if not match or int(match[1]) != have:
            raise _RetryableError("the server answered with another range than asked for")
        return have, None if match[2] == "*" else int(match[2])
    length = response.headers.get("content-length", "")
    return 0, int(length) if length.isdigit() else None


def _check_status(response: httpx.Response, url: str) -> None:
    status, where = response.status_code, redact_url(url)
    if status in (200, 206):
        return
    if status in (404, 410):
        raise NotFound(f"There is nothing at {where} ({status}).", advice="Check the spelling and the revision.")
    if status in (401, 403, 407, 451):
        raise BadInput(
            f"{where} may not be read without permission ({status}).",
            advice="For a gated Hugging Face repository accept its terms and set HF_TOKEN; else check the credentials.",
        )
    if status in (408, 425, 429) or status >= 500:
        raise _RetryableError(f"the server answered {status}")
    raise Unavailable(f"{where} answered {status}.", advice=OFFLINE_ADVICE)


def _read_validator(note: Path, url: str) -> str:
    """What `If-Range` may carry for the part of this URL; empty when the part must not be taken up."""
    try:
        kept = json.loads(note.read_text(encoding="utf-8"))
        return str(kept["validator"]) if kept["url"] == redact_url(url) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # no note, or one that a crash cut short: start anew


def _write_validator(note: Path, url: str, response: httpx.Response) -> None:
    etag = response.headers.get("etag", "")
    # A weak validator promises no equal bytes (RFC 9110, section 13.1.5), so such a part is never taken up.
    validator = "" if etag.startswith("W/") else etag
    validator = validator or response.headers.get("last-modified", "")
    note.write_text(json.dumps({"url": redact_url(url), "validator": validator}), encoding="utf-8")


def _unreachable(url: str, error: Exception) -> UserError:
    why = str(error) or type(error).__name__
    return Unavailable(f"{redact_url(url)} cannot be reached: {why.rstrip('.')}.", advice=OFFLINE_ADVICE)

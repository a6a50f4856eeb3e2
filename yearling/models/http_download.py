"""Downloads from web servers: resumable, atomic, and with errors that tell the user what to do.

`download` writes to `DESTINATION.part` and stores the server's validator beside it, so that an interrupted download resumes
where it stopped (RFC 9110: `Range` with `If-Range`), and starts again if the file has changed. A complete file is synced and
renamed. The caller checks whether it is the *right* file. Independent of models.

`NetworkConfig.from_environment` is the only place that reads the conventional variables for certificates, pip and Hugging Face;
httpx reads those for proxies. `huggingface_hub` is not used: it accepts a file whose content differs from the hash that the hub
states, follows a public server's redirect into the private network, and would be a second way to do what wheels and plain URLs
need anyway.
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
    "Check the network and try again; the download resumes where it stopped. "
    "Or copy the file here by other means and run `yearling model import PATH`."
)


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """How this machine reaches the network. `ca_file` is a bundle of certificate authorities; empty means the built-in one."""

    indexes: PackageIndexes = field(default_factory=PackageIndexes)
    hf_endpoint: str = "https://huggingface.co"
    hf_token: str = field(default="", repr=False)
    ca_file: str = ""
    timeout_s: float = 30.0
    attempts: int = 4
    """Attempts in a row without any new bytes after which a call gives up."""
    pause_s: float = 1.0
    """Pause after an attempt that brought new bytes; doubles after each one that did not."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> NetworkConfig:
        """From the environment variables and pip's configuration files."""
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
        """A client for a few requests; the caller closes it. Raises BadInput if the certificate bundle cannot be read."""
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
    network: NetworkConfig,
    url: str,
    destination: Path,
    *,
    headers: Mapping[str, str] | None = None,
    phase: str = "Downloading",
    progress: Progress = ignore_progress,
) -> None:
    """Put the file that `url` serves at `destination`, resuming an interrupted download of the same URL and file.

    Does nothing if `destination` exists. Raises NotFound, BadInput if access is refused, Unavailable if the network or the
    server fails, StorageFailed if the disk does. All but NotFound and BadInput keep the part for the next call.
    """
    if destination.exists():
        return
    part = destination.with_name(destination.name + ".part")
    _with_retries(
        network,
        url,
        lambda client: _resume_download(client, url, destination, headers or {}, phase, progress),
        lambda: part.stat().st_size if part.exists() else 0,
    )


def http_get(
    network: NetworkConfig, url: str, headers: Mapping[str, str], *, method: str = "GET", follow: bool = True
) -> httpx.Response:
    """One small response. With `follow=False` a redirect is returned, not followed. Raises as `download` does."""

    def send_request(client: httpx.Client) -> httpx.Response:
        response = client.request(method, url, headers=headers, follow_redirects=follow)
        if follow or not response.is_redirect:
            _check_status(response, url)
        return response

    return _with_retries(network, url, send_request)


def _with_retries(
    network: NetworkConfig, url: str, action: Callable[[httpx.Client], T], have: Callable[[], int] = lambda: 0
) -> T:
    """Repeat `action` with pauses; gives up after `network.attempts` in a row for which `have()` (bytes so far) did not grow."""
    pause_s, failures = network.pause_s, 0
    with network.client() as client:
        while True:
            bytes_before = have()
            try:
                return action(client)
            except (httpx.TransportError, _RetryableError) as error:
                pause_s, failures = (network.pause_s, 0) if have() > bytes_before else (pause_s * 2, failures + 1)
                if failures >= network.attempts:
                    raise _unreachable_error(url, error) from None
            except (httpx.InvalidURL, httpx.TooManyRedirects, httpx.UnsupportedProtocol) as error:
                raise BadInput(f"{redact_url(url)} is not a usable address: {error}.") from None
            time.sleep(pause_s)


def _refuse_private_redirect(response: httpx.Response) -> None:
    """Refuse redirects from the public into the private network, where a server could reach what only this machine can.

    An address that the user named may be private, such as a mirror, and may redirect within the private network. If only a
    proxy resolves names, just numeric addresses can be checked. Raises BadInput.
    """
    if not response.has_redirect_location:
        return
    target = response.url.join(response.headers["location"])
    if _is_public(response.url) and not _is_public(target):
        raise BadInput(
            f"{redact_url(str(response.url))} redirects to {target.host}, which is not public.",
            advice="Use that address directly if you trust it.",
        )


def _is_public(url: httpx.URL) -> bool:
    """Whether this address leads to the public network, as far as this machine can tell."""
    try:
        resolve_public_addresses(url.host, url.port or 443)
    except BadInput:
        return False
    except Unavailable:
        return True  # a name that only a proxy can resolve, or an unknown one
    return True


class _RetryableError(Exception):
    """The server broke off or asked to try later; the same request may succeed soon."""


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
            # The validator matches (otherwise the whole file would follow), so a part of full length is the file.
            if response.headers.get("content-range") == f"bytes */{have}":
                _finish(part, note, destination)
                return
            part.unlink(missing_ok=True)
            raise _RetryableError("the server no longer has this range")
        _check_status(response, url)
        start, total = _extent(response, have)
        if start and response.headers.get("etag", validator) != validator and validator.startswith('"'):
            part.unlink()  # the server ignores If-Range: this is the tail of another file
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
                for chunk in response.iter_raw():  # unbuffered, so that all received bytes are on disk if the connection breaks
                    out.write(chunk)
                    done += len(chunk)
                    progress(phase, done, total)
            if total is not None and done != total:
                raise _RetryableError(f"only {done} of {total} bytes arrived")
            _finish(part, note, destination)


def _finish(part: Path, note: Path, destination: Path) -> None:
    publish_file(part, destination)
    note.unlink(missing_ok=True)


_SIZE = "[0-9]{1,18}"


def _extent(response: httpx.Response, have: int) -> tuple[int, int | None]:
    """(first byte that the response carries, size of the whole file or None)."""
    if response.status_code == 206:
        match = re.fullmatch(rf"bytes ({_SIZE})-{_SIZE}/({_SIZE}|\*)", response.headers.get("content-range", ""))
        if not match or int(match[1]) != have:
            raise _RetryableError("the server sent another range than the one requested")
        return have, None if match[2] == "*" else int(match[2])
    length = response.headers.get("content-length", "")
    return 0, int(length) if re.fullmatch(_SIZE, length) else None


def _check_status(response: httpx.Response, url: str) -> None:
    status, shown_url = response.status_code, redact_url(url)
    if status in (200, 206):
        return
    if status in (404, 410):
        raise NotFound(f"{shown_url} does not exist ({status}).", advice="Check the spelling and the revision.")
    if status in (401, 403, 407, 451):
        raise BadInput(
            f"Access to {shown_url} was refused ({status}).",
            advice="For a gated Hugging Face repository, accept its terms and set HF_TOKEN; otherwise check the credentials.",
        )
    if status in (408, 425, 429) or status >= 500:
        raise _RetryableError(f"the server answered {status}")
    raise Unavailable(f"{shown_url} answered {status}.", advice=OFFLINE_ADVICE)


def _read_validator(note: Path, url: str) -> str:
    """The value for `If-Range` of the part of this URL; empty if the part must not be resumed."""
    try:
        record = json.loads(note.read_text(encoding="utf-8"))
        return str(record["validator"]) if record["url"] == redact_url(url) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # no note, or one that a crash cut short: start again


def _write_validator(note: Path, url: str, response: httpx.Response) -> None:
    etag = response.headers.get("etag", "")
    # A weak validator does not promise equal bytes (RFC 9110, section 13.1.5), so such a part is never resumed.
    validator = "" if etag.startswith("W/") else etag
    validator = validator or response.headers.get("last-modified", "")
    note.write_text(json.dumps({"url": redact_url(url), "validator": validator}), encoding="utf-8")


def _unreachable_error(url: str, error: Exception) -> UserError:
    reason = str(error) or type(error).__name__
    return Unavailable(f"{redact_url(url)} cannot be reached: {reason.rstrip('.')}.", advice=OFFLINE_ADVICE)

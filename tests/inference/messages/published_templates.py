"""Chat templates that were published with models, as llama.cpp collects them, and a tokenizer for which every template works.

The templates come from the source distribution of llama-cpp-python, which carries llama.cpp (both MIT). The archive is fetched
once per machine, checked against the hash below, and only the templates are kept. Nothing of it is built or run.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePosixPath

import platformdirs

from yearling.errors import UserError
from yearling.files.atomic import atomic_write
from yearling.files.locks import exclusive_lock
from yearling.files.reading import hash_file
from yearling.inference import ByteTokenizer
from yearling.models import ChatTemplate
from yearling.models.http_download import NetworkConfig, download
from yearling.models.wheels import _read_page

PACKAGE = "llama-cpp-python"
ARCHIVE = "llama_cpp_python-0.3.36.tar.gz"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
_MEMBER = re.compile(r"[^/]+/vendor/llama\.cpp/models/templates/[^/]+\.jinja")


@cache
def published_sources() -> dict[str, str]:
    """Name and source of each template."""
    folder = Path(os.environ.get("YEARLING_TEST_MODELS") or platformdirs.user_cache_dir("yearling-tests", appauthor=False))
    folder.mkdir(parents=True, exist_ok=True)
    cached = folder / f"{ARCHIVE}.templates.json"
    with exclusive_lock(folder / f".{ARCHIVE}.lock"):
        if not cached.exists():
            archive = folder / ARCHIVE
            _fetch(archive)
            with atomic_write(cached) as out:
                out.write(json.dumps(_templates_in(archive)).encode())
            archive.unlink()
    sources: dict[str, str] = json.loads(cached.read_text(encoding="utf-8"))
    return sources


def _fetch(archive: Path) -> None:
    network = NetworkConfig.from_environment()
    for index in network.indexes.urls:
        try:
            links = _read_page(network, f"{index}/{PACKAGE}/")
        except UserError:
            continue
        for link in links:
            if link.filename == ARCHIVE:
                download(network, link.url, archive)
                if hash_file(archive) != SHA256:
                    archive.unlink()
                    raise ValueError(f"{ARCHIVE} is not the file that is pinned")
                return
    raise ValueError(f"no package index offers {ARCHIVE}")


def _templates_in(archive: Path) -> dict[str, str]:
    found = {}
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isfile() and _MEMBER.fullmatch(member.name) and (file := packed.extractfile(member)) is not None:
                found[PurePosixPath(member.name).stem] = file.read().decode()
    return dict(sorted(found.items()))


@cache
def published_template(name: str) -> ChatTemplate:
    """One template, with the names of the usual special tokens."""
    return ChatTemplate(published_sources()[name], special_tokens={"bos_token": "<s>", "eos_token": "</s>"})


class TaggedByteTokenizer(ByteTokenizer):
    """One token per byte, and control tokens for everything that looks like the mark of a turn."""

    def added_tokens(self) -> dict[str, bool]:
        """No added tokens: the text of a prompt is what the template writes."""
        return {}

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """The bytes of the text."""
        return list(text.encode())


def text_of(ids: Sequence[int]) -> str:
    """The text of byte ids."""
    return bytes(ids).decode()

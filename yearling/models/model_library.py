"""The models of this machine: one folder each, either complete or absent.

    <models_dir>/<name>/             model.json, the weights, the tokenizer
    <models_dir>/.incoming-<name>-*  being built; renamed to its name when complete and synced
    <models_dir>/.outgoing-<name>-*  being deleted
    <models_dir>/.downloads/<key>/   partial downloads; the next pull of the same source resumes them
    <models_dir>/.locks/             one writer at a time per model and per download, across processes

If a process is killed at any moment, the old state or the new one remains; the next pull or import deletes the leftovers.
Installed folders are never changed, only added and removed, so an engine may keep a model's files mapped. Reading needs no lock
and no write access. Modules that only pulls and imports need (an HTTP client, numpy) are imported there, so that a server
starts quickly.
"""

from __future__ import annotations

import builtins
import difflib
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.files.disk import translate_disk_errors
from yearling.files.folders import publish_directory, remove_directory, staging_directory
from yearling.files.locks import LockHeldError, exclusive_lock
from yearling.files.progress import Progress, ignore_progress
from yearling.files.reading import hash_file
from yearling.files.sync import make_directory
from yearling.models.catalogue import CatalogueEntry, check_model_name, known_models
from yearling.models.local_model import Layout, LocalModel, read_manifest
from yearling.models.sources import FileSource, Source, parse_source

if TYPE_CHECKING:
    from yearling.models.http_download import NetworkConfig
    from yearling.models.importer import ModelOrigin

ABANDONED_DOWNLOAD_S = 30 * 24 * 3600.0
"""Age at which an unfinished download is deleted."""


class TermsNotAccepted(Conflict):
    """The model is under terms that a person has to read and accept first."""

    def __init__(self, entry: CatalogueEntry) -> None:
        super().__init__(
            f"{entry.title} is not open source: its use is bound to the {entry.licence} ({entry.terms_url}).",
            advice=f"Read them. If you accept them, run `yearling model pull {entry.name} --accept-terms`.",
            param="accept_terms",
        )


class ModelLibrary:
    """The models in one folder. Cheap to create; nothing is written before the first pull or import. Thread-safe."""

    def __init__(self, models_dir: Path, *, network: NetworkConfig | None = None) -> None:
        self.models_dir = models_dir
        self._network = network

    def names(self) -> list[str]:
        """Names of the installed models, sorted, including damaged ones."""
        if not self.models_dir.is_dir():
            return []
        return sorted(path.name for path in self.models_dir.iterdir() if path.is_dir() and not path.name.startswith("."))

    def is_installed(self, name: str) -> bool:
        """Whether the library has a model of that name, usable or not. Reads the names of the folders only."""
        return name in self.names()

    def installed_bytes(self, name: str) -> int:
        """Size of the weights of a model; 0 if it is not installed. Raises Untrusted if it is damaged."""
        return self.get(name).size_bytes if self.is_installed(name) else 0

    def list(self) -> list[LocalModel]:
        """The usable models; `list_damaged` reports the others."""
        return self.scan()[0]

    def list_damaged(self) -> dict[str, Untrusted]:
        """Installed models that cannot be used, with the reason."""
        return self.scan()[1]

    def scan(self) -> tuple[builtins.list[LocalModel], dict[str, Untrusted]]:
        """(the usable models, the others with the reason). Reads each manifest once."""
        usable, damaged = [], {}
        for name in self.names():
            try:
                usable.append(read_manifest(self.models_dir / name))
            except Untrusted as error:
                damaged[name] = error
        return usable, damaged

    def get(self, name: str) -> LocalModel:
        """One installed model. Raises NotFound, and Untrusted if its folder is damaged. Hashes are not verified."""
        if name not in self.names():
            raise self._not_found(name)
        return read_manifest(self.models_dir / name)

    @classmethod
    def open_folder(cls, folder: Path) -> LocalModel:
        """The installed model in a folder. Raises as `get`."""
        return cls(folder.parent).get(folder.name)

    def verify(self, name: str) -> LocalModel:
        """Hash every file of the model. Raises Untrusted, which names the first file that was changed."""
        model = self.get(name)
        for file, expected in model.files.items():
            path = model.folder / file
            actual = hash_file(path) if path.is_file() else "no file"
            if actual != expected:
                raise Untrusted(
                    f"{path} was changed after the import: expected SHA-256 {expected}, got {actual}.",
                    advice=f"Run `yearling model remove {name}`, then pull or import it again.",
                )
        return model

    def pull(
        self,
        name_or_source: str,
        *,
        name: str | None = None,
        sha256: str = "",
        layout: Layout = "auto",
        accept_terms: bool = False,
        progress: Progress | None = None,
    ) -> LocalModel:
        """Fetch, verify and install a model of the catalogue, or from any source of the forms in `sources.py`.

        A model that is installed already is returned unchanged. `accept_terms`: the person has accepted the terms that the
        catalogue names. Raises NotFound (unknown name), BadInput (no hash to check against), TermsNotAccepted, Conflict (the
        name is taken), Untrusted, Unavailable and StorageFailed.
        """
        from yearling.models.fetch import fetch_source, scratch_key
        from yearling.models.http_download import NetworkConfig
        from yearling.models.importer import ModelOrigin

        entry = _entry(name_or_source)
        source = entry.parsed_source if entry else self._parse(name_or_source)
        name = check_model_name(name or (entry.name if entry else slugify(source.filename)))
        pinned = _pinned(sha256, entry)
        progress = progress or ignore_progress
        with self._locked_for_writing(name):
            if (
                (existing := self._existing(name))
                and existing.source == str(source)
                and (not pinned or existing.source_sha256 == pinned)
            ):
                return _require_same_layout(existing, layout)
            if existing:
                raise _name_taken(name)
            if entry and entry.terms_url and not accept_terms:
                raise TermsNotAccepted(entry)
            key = scratch_key(source, pinned)
            with self._lock(f"fetch-{key}"):
                network = self._network or NetworkConfig.from_environment()
                fetched = fetch_source(source, self.models_dir / ".downloads" / key, network, sha256=pinned, progress=progress)
                origin = ModelOrigin(
                    source=str(source),
                    source_sha256=fetched.sha256,
                    entry=entry,
                    is_linkable=not isinstance(source, FileSource),
                )
                model = self._install(fetched.path, name, origin, layout, progress)
                if fetched.scratch:
                    shutil.rmtree(fetched.scratch)
        return model

    def import_path(
        self,
        path: Path,
        *,
        name: str | None = None,
        layout: Layout = "auto",
        source: str = "",
        licence: str = "",
        progress: Progress | None = None,
    ) -> LocalModel:
        """Install a local GGUF file or Hugging Face folder, by copying it.

        `source` and `licence` are recorded in place of the path and of what the file states, for files that we made ourselves.
        The same content under the same name is returned unchanged. Raises as `pull`.
        """
        from yearling.models.importer import ModelOrigin, hash_source

        path = path.expanduser().absolute()
        name = check_model_name(name or slugify(path.name))
        sha256 = hash_source(path)
        with self._locked_for_writing(name):
            if (existing := self._existing(name)) and existing.source_sha256 == sha256:
                return _require_same_layout(existing, layout)
            if existing:
                raise _name_taken(name)
            origin = ModelOrigin(
                source=source or f"file:{path}", source_sha256=sha256, entry=_entry_of_hash(sha256), licence=licence
            )
            return self._install(path, name, origin, layout, progress or ignore_progress)

    def remove(self, name: str) -> None:
        """Delete an installed model, usable or not. Raises NotFound."""
        if name not in self.names():
            raise self._not_found(name)
        with self._locked_for_writing(name):
            try:
                remove_directory(self.models_dir / name, prefix=f".outgoing-{name}-")
            except FileNotFoundError:
                raise self._not_found(name) from None

    def _install(self, path: Path, name: str, origin: ModelOrigin, layout: Layout, progress: Progress) -> LocalModel:
        """Build the folder beside its place, then rename it. The caller holds the lock of the name."""
        from yearling.models.importer import build_model_folder

        folder = self.models_dir / name
        with staging_directory(self.models_dir, prefix=f".incoming-{name}-") as incoming:
            model = build_model_folder(path, incoming, name, origin, layout=layout, progress=progress)
            publish_directory(incoming, folder)
        return replace(model, folder=folder, weights=folder if model.weights == incoming else folder / model.weights.name)

    def _existing(self, name: str) -> LocalModel | None:
        return read_manifest(self.models_dir / name) if name in self.names() else None

    def _parse(self, text: str) -> Source:
        if ":" not in text:
            raise self._not_found(text)
        return parse_source(text)

    def _not_found(self, name: str) -> NotFound:
        if name in known_models():
            return NotFound(f"The model {name!r} is not installed.", advice=f"Run `yearling model pull {name}`.", param="model")
        known = [*self.names(), *known_models()]
        near = [other for other in known if name and name in other] or difflib.get_close_matches(name, known, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        installed = ", ".join(self.names()) or "none"
        return NotFound(
            f"There is no model {name!r}.{guess}",
            advice=f"Installed: {installed}. `yearling model list` shows which models can be pulled.",
            param="model",
        )

    @contextmanager
    def _locked_for_writing(self, name: str) -> Iterator[None]:
        """Hold the lock of one model, in a library that exists and has no leftovers."""
        with translate_disk_errors(self.models_dir):
            make_directory(self.models_dir / ".locks")
            with self._lock(name):
                self._sweep(name)
                yield

    @contextmanager
    def _lock(self, key: str, timeout_s: float | None = None) -> Iterator[None]:
        with exclusive_lock(self.models_dir / ".locks" / f"{key}.lock", timeout_s=timeout_s):
            yield

    def _sweep(self, held: str) -> None:
        """Delete what interrupted imports and removals left behind: of `held`, whose lock we hold, and of names that are not
        locked.
        """
        for path in self.models_dir.glob(".incoming-*"):
            owner = path.name.removeprefix(".incoming-").rpartition("-")[0]
            if owner == held:
                shutil.rmtree(path, ignore_errors=True)
            else:
                self._sweep_unless_busy(path, owner)
        for path in self.models_dir.glob(".outgoing-*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.models_dir.glob(".downloads/*"):
            newest = max((item.stat().st_mtime for item in path.glob("*")), default=path.stat().st_mtime)
            if time.time() - newest > ABANDONED_DOWNLOAD_S:
                self._sweep_unless_busy(path, f"fetch-{path.name}")

    def _sweep_unless_busy(self, path: Path, key: str) -> None:
        try:
            with self._lock(key, timeout_s=0):
                shutil.rmtree(path, ignore_errors=True)
        except LockHeldError:
            return


def slugify(filename: str) -> str:
    """A model name from a file or folder name: `SmolLM2-135M.Q8_0.gguf` becomes `smollm2-135m.q8_0`."""
    stem = re.sub(r"\.(gguf|onnx|safetensors)$", "", filename, flags=re.IGNORECASE)
    return re.sub(r"\.{2,}", ".", re.sub(r"[^a-z0-9._-]+", "-", stem.lower())).strip("._-")[:96].rstrip("._-")


def _entry(name_or_source: str) -> CatalogueEntry | None:
    if name_or_source in known_models():
        return known_models()[name_or_source]
    return next((entry for entry in known_models().values() if entry.source == name_or_source), None)


def _entry_of_hash(sha256: str) -> CatalogueEntry | None:
    """The catalogue entry with this hash: a file that came another way keeps its kind and licence."""
    return next((entry for entry in known_models().values() if entry.sha256 == sha256), None)


def _pinned(sha256: str, entry: CatalogueEntry | None) -> str:
    sha256 = sha256.lower()
    if sha256 and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise BadInput(f"{sha256!r} is not a SHA-256.", advice="Give 64 hexadecimal digits.", param="sha256")
    if entry and sha256 and sha256 != entry.sha256:
        raise BadInput(
            f"The catalogue pins {entry.name} to {entry.sha256}, not {sha256}.", advice="Leave out --sha256.", param="sha256"
        )
    return entry.sha256 if entry else sha256


def _require_same_layout(existing: LocalModel, layout: Layout) -> LocalModel:
    requested = {"q8_0": "Q8_0", "q4_0": "Q4_0", "bf16": "BF16"}.get(layout, existing.quantisation)
    if layout == "keep" and existing.sha256 != existing.source_sha256:
        requested = "its source's layout"
    if requested != existing.quantisation:
        raise Conflict(
            f"The model {existing.name!r} is already installed in {existing.quantisation}, not in {requested}.",
            advice=f"Choose another name with --name, or run `yearling model remove {existing.name}` first.",
        )
    return existing


def _name_taken(name: str) -> Conflict:
    return Conflict(
        f"Another model is installed under the name {name!r}.",
        advice=f"Choose another name with --name, or run `yearling model remove {name}` first.",
    )

"""The adapters of this machine, each under the hash of its content.

    <adapters_dir>/<sha256>/adapter.gguf                what the engines load; its SHA-256 is the adapter's name
    <adapters_dir>/<sha256>/adapter_model.safetensors   the same factors as PEFT writes them, with adapter_config.json
    <adapters_dir>/<sha256>/manifest.json               base, run, and the SHA-256 of every file
    <adapters_dir>/.incoming-*                          being written; renamed when complete and synced

An adapter serves one of two purposes. A `model` is a model of its own under its served name. A `reader` is active only while a
correction stands in the prompt, and is never listed among models.

A name always stands for the same content: the weights never change after they were published, so whatever an engine caches under
a name stays valid. An adapter fits the weights that it was trained on, and other layouts of the same published file (requantised
weights); on those its log-probabilities differ by as much as the layouts do. Reading needs no torch and no lock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from yearling.clock import now_utc
from yearling.errors import BadInput, NotFound, Untrusted
from yearling.files.atomic import atomic_write_text
from yearling.files.disk import translate_disk_errors
from yearling.files.folders import publish_directory, remove_directory, staging_directory
from yearling.files.reading import hash_file
from yearling.models.adapter import Adapter, adapter_fit
from yearling.models.local_model import LocalModel
from yearling.models.torch_facade import save_adapter
from yearling.records import MergeSource

if TYPE_CHECKING:
    from yearling.models.decoder import Decoder

ADAPTER_MANIFEST_VERSION = 1
WEIGHTS_FILENAME, ADAPTER_MANIFEST_FILENAME = "adapter.gguf", "manifest.json"
SHORT = 12
"""Digits of the hash in the name under which an adapter is served."""

AdapterPurpose = Literal["model", "reader"]
"""What an adapter is for. Manifests that name no purpose are of models."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAdapter:
    """One adapter that engines can load."""

    sha256: str
    folder: Path
    base: str
    """Name of the model that it was trained on."""
    base_sha256: str
    base_source_sha256: str
    rank: int
    alpha: float
    num_parameters: int
    size_bytes: int
    run: str
    """Id of the run that made it; empty if it came from elsewhere."""
    step: int
    created_utc: datetime
    files: Mapping[str, str]
    purpose: AdapterPurpose = "model"
    merged_from: tuple[MergeSource, ...] = ()
    """The installations whose adapters were merged into this one; empty for an adapter that was trained."""

    @property
    def weights(self) -> Path:
        """The file that the engines load."""
        return self.folder / WEIGHTS_FILENAME

    def fits(self, model: LocalModel) -> Literal["same", "layout", ""]:
        """`same` for the weights that it was trained on, `layout` for another layout of their source, otherwise empty."""
        return self.fits_weights(model_sha256=model.sha256, source_sha256=model.source_sha256)

    def fits_weights(self, *, model_sha256: str, source_sha256: str) -> Literal["same", "layout", ""]:
        """As `fits`, for weights given by their hash and that of the published file that they come from, empty if unknown."""
        return adapter_fit(self.base_sha256, self.base_source_sha256, model_sha256=model_sha256, source_sha256=source_sha256)

    def served_name(self, model: str) -> str:
        """The name under which this adapter on that model is served: `smollm2-135m-instruct+0123456789ab`."""
        return f"{model}+{self.sha256[:SHORT]}"

    def describe(self) -> dict[str, object]:
        """All fields as JSON values."""
        return _to_json(self) | {"folder": str(self.folder)}


class AdapterLibrary:
    """The adapters in one folder. Cheap to create; nothing is written before the first adapter is published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(
        self,
        adapter: Adapter,
        decoder: Decoder,
        base: LocalModel,
        *,
        run: str = "",
        step: int = 0,
        purpose: AdapterPurpose = "model",
        merged_from: tuple[MergeSource, ...] = (),
    ) -> PublishedAdapter:
        """Write an adapter in both formats. It is durable on return, and running servers can use it at once.

        `decoder` is the network that it belongs to, for its shape. Publishing the same content again returns the existing
        adapter; a reader becomes the newest one again. Raises Untrusted if the adapter was made for other weights than `base`,
        BadInput if the same content was published for another purpose, StorageFailed if the disk fails.
        """
        if adapter.base_sha256 != base.sha256:
            raise Untrusted(
                f"The adapter was made for the weights {adapter.base_sha256[:12]}, but {base.name} has {base.sha256[:12]}.",
                advice="Publish it for the model that it was trained on.",
            )
        adapter = replace(adapter, base_source_sha256=base.source_sha256)
        with translate_disk_errors(self.folder), staging_directory(self.folder, prefix=".incoming-") as incoming:
            save_adapter(adapter, incoming, decoder)
            save_adapter(adapter, incoming / WEIGHTS_FILENAME, decoder)
            published = replace(_describe(adapter, incoming, base, run, step, purpose), merged_from=merged_from)
            return self._move_into_place(published, incoming)

    def _move_into_place(self, published: PublishedAdapter, incoming: Path) -> PublishedAdapter:
        target = self.folder / published.sha256
        if target.is_dir():
            return self._publish_again(published)
        (incoming / ADAPTER_MANIFEST_FILENAME).write_text(_manifest(published), encoding="utf-8")
        publish_directory(incoming, target)
        return replace(published, folder=target)

    def _publish_again(self, published: PublishedAdapter) -> PublishedAdapter:
        existing = self.verify(published.sha256)
        if existing.purpose != published.purpose:
            raise BadInput(
                f"The adapter {existing.sha256[:SHORT]} was published as a {existing.purpose} before.",
                advice=f"Remove {existing.folder} first.",
            )
        if existing.purpose == "reader":
            existing = replace(existing, created_utc=published.created_utc)
            atomic_write_text(existing.folder / ADAPTER_MANIFEST_FILENAME, _manifest(existing))
        return existing

    def list(self) -> list[PublishedAdapter]:
        """All usable adapters, oldest first. Hashes are not verified."""
        if not self.folder.is_dir():
            return []
        adapters = []
        for path in self.folder.iterdir():
            if _SHA256.fullmatch(path.name):
                try:
                    adapters.append(_read(path))
                except Untrusted:
                    continue  # `list_damaged` reports it
        return sorted(adapters, key=lambda adapter: (adapter.created_utc, adapter.sha256))

    def list_damaged(self) -> dict[str, Untrusted]:
        """The adapters that cannot be used, with the reason."""
        reasons = {}
        for path in sorted(self.folder.glob("*")):
            if _SHA256.fullmatch(path.name):
                try:
                    _read(path)
                except Untrusted as error:
                    reasons[path.name] = error
        return reasons

    def get(self, name: str) -> PublishedAdapter:
        """The adapter with this hash, the first digits of it, or a served name (`model+digits`).

        Raises NotFound, BadInput if several adapters match, and Untrusted if its folder is damaged.
        """
        digits = name.rpartition("+")[2].lower()
        if not re.fullmatch(r"[0-9a-f]{4,64}", digits):
            raise NotFound(f"There is no adapter {name!r}.", advice="List them with `yearling model adapters`.", param="adapter")
        matches = [path for path in self.folder.glob(f"{digits}*") if _SHA256.fullmatch(path.name)]
        if not matches:
            raise NotFound(f"There is no adapter {name!r}.", advice="List them with `yearling model adapters`.", param="adapter")
        if len(matches) > 1:
            raise BadInput(f"{len(matches)} adapters start with {digits}.", advice="Give more digits.", param="adapter")
        return _read(matches[0])

    def verify(self, sha256: str) -> PublishedAdapter:
        """The adapter, after hashing all its files. Raises NotFound, and Untrusted if a file was changed."""
        published = self.get(sha256)
        for name, expected in published.files.items():
            path = published.folder / name
            if not path.is_file() or hash_file(path) != expected:
                raise Untrusted(
                    f"{path} was changed after it was published.",
                    advice=f"Remove {published.folder} and export the run again.",
                )
        return published

    def remove(self, sha256: str) -> None:
        """Delete an adapter. Servers that loaded it keep it until they end. Raises NotFound."""
        published = self.get(sha256)
        with translate_disk_errors(self.folder):
            remove_directory(published.folder, prefix=".outgoing-")


def _describe(adapter: Adapter, folder: Path, base: LocalModel, run: str, step: int, purpose: AdapterPurpose) -> PublishedAdapter:
    files = {path.name: hash_file(path) for path in sorted(folder.iterdir())}
    return PublishedAdapter(
        sha256=files[WEIGHTS_FILENAME],
        folder=folder,
        base=base.name,
        base_sha256=adapter.base_sha256,
        base_source_sha256=adapter.base_source_sha256,
        rank=adapter.rank,
        alpha=adapter.alpha,
        num_parameters=adapter.num_parameters,
        size_bytes=(folder / WEIGHTS_FILENAME).stat().st_size,
        run=run,
        step=step,
        created_utc=now_utc(),
        files=files,
        purpose=purpose,
    )


def _read(folder: Path) -> PublishedAdapter:
    advice = f"Remove {folder} and export the run again."
    try:
        fields = json.loads((folder / ADAPTER_MANIFEST_FILENAME).read_text(encoding="utf-8"))
        version = fields.pop("version")
        if version != ADAPTER_MANIFEST_VERSION:
            raise Untrusted(f"The adapter {folder.name} was written by another version of Yearling.", advice=advice)
        created_utc = datetime.fromisoformat(fields.pop("created_utc"))
        merged_from = tuple(_read_source(source) for source in fields.pop("merged_from", ()))
        published = PublishedAdapter(folder=folder, created_utc=created_utc, merged_from=merged_from, **fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Untrusted(f"The manifest of the adapter {folder.name} cannot be read: {error}.", advice=advice) from None
    if published.purpose not in get_args(AdapterPurpose):
        raise Untrusted(f"The adapter {folder.name} has the unknown purpose {published.purpose!r}.", advice=advice)
    if published.sha256 != folder.name or published.files.get(WEIGHTS_FILENAME) != folder.name or not published.weights.is_file():
        raise Untrusted(f"The folder {folder.name} does not hold the adapter with that hash.", advice=advice)
    return published


def _read_source(fields: dict[str, Any]) -> MergeSource:
    return MergeSource(**fields | {"judgements": tuple(fields["judgements"]), "runs": tuple(fields["runs"])})


def _manifest(published: PublishedAdapter) -> str:
    return json.dumps({"version": ADAPTER_MANIFEST_VERSION} | _to_json(published), indent=2) + "\n"


def _to_json(published: PublishedAdapter) -> dict[str, object]:
    fields = asdict(published)
    fields.pop("folder")
    if not published.merged_from:  # so that earlier versions read the manifests of adapters that were trained
        fields.pop("merged_from")
    return fields | {"created_utc": published.created_utc.isoformat(), "files": dict(published.files)}

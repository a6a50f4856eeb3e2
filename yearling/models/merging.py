"""Install a new model made from a base and an adapter, or from a trained network, with its lineage in its manifest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.errors import Untrusted
from yearling.files.disk import require_space, translate_disk_errors
from yearling.files.folders import staging_directory
from yearling.files.progress import Progress, ignore_progress
from yearling.models.adapter_library import PublishedAdapter
from yearling.models.local_model import Layout, LocalModel
from yearling.models.model_library import ModelLibrary
from yearling.models.torch_facade import attach_adapter, export_decoder, load_adapter, load_decoder, merge_adapter

if TYPE_CHECKING:
    from yearling.models.decoder import Decoder


def merge_into_library(
    library: ModelLibrary,
    base: LocalModel,
    adapter: PublishedAdapter,
    *,
    name: str = "",
    layout: Layout = "q8_0",
    progress: Progress | None = None,
) -> LocalModel:
    """Install base + adapter as a new model. Its `source` names the hashes of both parents.

    The sum is computed in float32 and then stored in `layout`, so the new weights differ from the sum by that layout's
    rounding. Raises Untrusted if the adapter was made for another base, Conflict if the name is taken, StorageFailed if the
    disk fails.
    """
    if not adapter.fits(base):
        raise Untrusted(
            f"The adapter {adapter.sha256[:12]} was made for the weights {adapter.base_sha256[:12]}, not for {base.name}.",
            advice=f"Merge it into {adapter.base}.",
        )
    decoder = load_decoder(base.weights)
    attached = load_adapter(adapter.weights, decoder, base_sha256=base.sha256, source_sha256=base.source_sha256)
    attach_adapter(decoder, attached, base_sha256=attached.base_sha256)
    merge_adapter(decoder)
    source = f"merge:{base.sha256}+{adapter.sha256}"
    new_name = name or f"{base.name}-{adapter.sha256[:12]}"
    return install_decoder(library, decoder, base, name=new_name, source=source, layout=layout, progress=progress)


def install_decoder(
    library: ModelLibrary,
    decoder: Decoder,
    base: LocalModel,
    *,
    name: str,
    source: str,
    layout: Layout = "q8_0",
    progress: Progress | None = None,
) -> LocalModel:
    """Install a network in memory as a model, with the tokenizer, template and licence of `base`. Raises as
    `merge_into_library`.
    """
    size_bytes = 4 * sum(parameter.numel() for parameter in decoder.parameters())
    with _scratch_folder(library, size_bytes) as folder:
        export_decoder(decoder, folder / "model.gguf", source=base.weights, quantisation="F32")
        return library.import_path(
            folder / "model.gguf",
            name=name,
            layout=layout,
            source=source,
            licence=base.licence,
            progress=progress or ignore_progress,
        )


@contextmanager
def _scratch_folder(library: ModelLibrary, size_bytes: int) -> Iterator[Path]:
    """A folder for the weights in float32, inside the library, which deletes it if a killed process leaves it behind."""
    with (
        translate_disk_errors(library.models_dir, size_bytes),
        staging_directory(library.models_dir / ".downloads", prefix="merge-") as folder,
    ):
        require_space(folder, size_bytes)
        yield folder

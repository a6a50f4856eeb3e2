"""What people change about cycles besides running them: when the server starts one, and throwing a trained model away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yearling.config import Settings, load_settings
from yearling.errors import Conflict, NotFound
from yearling.files.toml_file import edit_toml
from yearling.loop.cycle.folder import CycleFolder
from yearling.store import Store

if TYPE_CHECKING:
    import tomlkit


def save_schedule(settings: Settings, *, at: str | None = None, lessons: int | None = None) -> tuple[str, int]:
    """Save when the server starts cycles in `config.toml`. Returns (time of day, number of lessons) as they hold now.

    Raises Conflict if an environment variable overrides the file, BadInput for a damaged file, StorageFailed.
    """

    def change(document: tomlkit.TOMLDocument) -> None:
        if at is not None:
            document["cycle_at"] = at
        if lessons is not None:
            document["cycle_lessons"] = lessons

    edit_toml(settings.config_path, change)
    present = load_settings(data_dir=settings.data_dir)
    if (at is not None and present.cycle_at != at) or (lessons is not None and present.cycle_lessons != lessons):
        raise Conflict(
            "An environment variable sets when the server learns, and overrides config.toml.",
            advice="Change or remove YEARLING_CYCLE_AT and YEARLING_CYCLE_LESSONS.",
        )
    return present.cycle_at, present.cycle_lessons


def discard_cycle(settings: Settings, store: Store, folder: CycleFolder, *, actor: str) -> None:
    """Delete the adapter that a cycle trained. Doing so again changes nothing.

    Raises Conflict for a cycle that trained none, or whose adapter is part of a release, which must stay what it is.
    """
    from yearling.training import ArtefactStores

    training = folder.read_step("training")
    model = str(training.result.get("model", "")) if training is not None else ""
    if not model:
        raise Conflict("This cycle has trained no model.")
    if any(release.model == model for release in store.releases.list()):
        raise Conflict(
            "A release names this model, and everybody must be able to check it later.",
            advice="It stays on the disk; nobody has to use it.",
        )
    folder.mark_discarded(actor)
    try:
        ArtefactStores.from_data_dir(settings.data_dir).adapters.remove(model.rpartition("+")[2])
    except NotFound:
        return  # it is gone already

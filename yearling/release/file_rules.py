"""Which files may be loaded, by the signed releases."""

from __future__ import annotations

import os
from pathlib import Path

from yearling.errors import NotFound, Untrusted
from yearling.release.state import ReleaseState
from yearling.store import Release


def check_loading(state: ReleaseState, data_dir: Path, path: Path, sha256: str) -> None:
    """Raises Untrusted if the file is one that a signed release names with another hash, or belongs to withdrawn releases only.

    Weights of a withdrawn release are refused wherever they lie; its other files, such as a tokenizer, by their path.
    """
    relative = path_in_data_folder(path, data_dir)
    named, withdrawn_by, is_allowed = [], [], False
    for number, release in state.releases.items():
        hashes = {file.sha256 for file in release.files if file.path == relative}
        is_named_here = sha256 in hashes or (bool(sha256) and sha256 == release.model_hash)
        if hashes and sha256 not in hashes:
            named.append(number)
        if is_named_here and number in state.withdrawn:
            withdrawn_by.append(number)
        elif is_named_here:
            is_allowed = True
    if is_allowed:
        return
    if withdrawn_by:
        raise Untrusted(
            f"{path} belongs to release {withdrawn_by[-1]}, which was withdrawn.",
            advice="Use another release: `yearling release list`.",
        )
    if named:
        raise Untrusted(
            f"{path} was changed: release {named[-1]} names it with another content.",
            advice="Install the model again, or propose the new content as a release.",
        )


def check_files(release: Release, data_dir: Path) -> None:
    """Check that the files of a release are there in the right size; their hashes are verified whenever they are loaded.

    Raises NotFound or Untrusted.
    """
    for file in release.files:
        path = data_dir / file.path
        if not path.is_file():
            raise NotFound(
                f"The file {path} of release {release.number} is missing.", advice=f"Install the model {release.model} again."
            )
        if (size := path.stat().st_size) != file.size_bytes:
            raise Untrusted(
                f"The file {path} of release {release.number} was changed: it has {size:,} bytes instead of {file.size_bytes:,}.",
                advice=f"Install the model {release.model} again.",
            )


def path_in_data_folder(path: Path, data_dir: Path) -> str:
    """The path below the data folder, with forward slashes; the absolute path of a file that lies elsewhere.

    Links inside the data folder are not followed: a model's name stands for one path there, wherever its bytes lie.
    """
    absolute, folder = Path(os.path.abspath(path)), Path(os.path.abspath(data_dir))
    if not absolute.is_relative_to(folder):
        absolute, folder = path.resolve(), data_dir.resolve()
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else absolute.as_posix()

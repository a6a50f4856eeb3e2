"""Change a TOML file that people edit too: comments, order and layout stay.

The file is replaced atomically, and only its owner can read it afterwards: a configuration can hold keys.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.errors import BadInput
from yearling.files.atomic import atomic_write
from yearling.files.disk import translate_disk_errors
from yearling.files.locks import exclusive_lock
from yearling.files.sync import make_directory

if TYPE_CHECKING:
    import tomlkit


def edit_toml(path: Path, change: Callable[[tomlkit.TOMLDocument], None]) -> None:
    """Apply `change` to the document in `path`, or to an empty one, and write it back. One process at a time does so.

    Raises BadInput if the file is not valid TOML, StorageFailed if it cannot be written, and what `change` raises.
    """
    import tomlkit

    path = path.resolve()  # a symbolic link stays one
    with translate_disk_errors(path.parent):
        make_directory(path.parent)
        with exclusive_lock(path.with_name(f".{path.name}.lock")):
            document = _read(path)
            change(document)
            with atomic_write(path) as file:
                file.write(tomlkit.dumps(document).encode())


def _read(path: Path) -> tomlkit.TOMLDocument:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(path.read_bytes())
    except FileNotFoundError:
        return tomlkit.document()
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} cannot be read: {error}.", advice="Correct the file or remove it.") from None

"""Files do not wait for the disk here either."""

from tests.release.conftest import unsynced_files

__all__ = ["unsynced_files"]

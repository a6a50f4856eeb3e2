"""Installations with signed releases, whose files do not wait for the disk."""

from tests.release.conftest import alone, installation, made_once, quorum, unsynced_files

__all__ = ["alone", "installation", "made_once", "quorum", "unsynced_files"]

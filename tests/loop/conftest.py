"""Fixtures of the tests of the loop."""

from tests.cli.conftest import commands_built_once, run_yearling
from tests.release.conftest import alone, installation, made_once, quorum, unsynced_files

__all__ = ["alone", "commands_built_once", "installation", "made_once", "quorum", "run_yearling", "unsynced_files"]

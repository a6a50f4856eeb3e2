"""Fixtures of the tests of the loop."""

from tests.cli.conftest import commands_built_once, run_yearling

__all__ = ["commands_built_once", "run_yearling"]

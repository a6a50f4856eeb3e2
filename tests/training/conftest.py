"""Fixtures of the training tests."""

from tests.models.conftest import mount

__all__ = ["mount"]

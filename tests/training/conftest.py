"""Fixtures for training: small disks."""

from tests.models.conftest import mount

__all__ = ["mount"]

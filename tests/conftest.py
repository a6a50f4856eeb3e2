"""Fixtures that every room's tests may use."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from yearling.models import Library, LocalModel


@pytest.fixture(scope="session")
def model_library() -> Library:
    """A library that outlives the run, so that the default model is downloaded once per machine.

    `YEARLING_TEST_MODELS` names its folder; else it is in the user's cache. Tests read from it and never remove anything.
    """
    folder = os.environ.get("YEARLING_TEST_MODELS") or platformdirs.user_cache_dir("yearling-tests", appauthor=False)
    return Library(Path(folder))


@pytest.fixture(scope="session")
def default_model(model_library: Library) -> LocalModel:
    """The default model, pulled through the library as a person would get it."""
    return model_library.pull("smollm2-135m-instruct")

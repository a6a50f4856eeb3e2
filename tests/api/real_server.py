"""`python -m tests.api.real_server DATA MODELS [KEY]`: serve the real default model; prints the address when the server is up.

It uses the engine that every installation has and that supports every field of the API.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import SecretStr

from yearling.api import serve
from yearling.config import load_settings
from yearling.inference import EnginePool
from yearling.models import ModelLibrary


def main(data: str, models: str, *keys: str) -> None:
    settings = load_settings(data_dir=Path(data), port=0, engine="llamacpp", api_keys=tuple(SecretStr(key) for key in keys))
    serve(settings, EnginePool(settings, ModelLibrary(Path(models))), announce=lambda address, _: print(address, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])

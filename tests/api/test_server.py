"""`serve`: errors before it starts."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from yearling.api import serve
from yearling.config import Settings
from yearling.errors import BadInput, Conflict, NotFound
from yearling.inference import EnginePool, FakeEngine, fake_served_model


class Unstartable(EnginePool):
    """A pool whose model is missing."""

    async def start(self) -> None:
        raise NotFound("The model is not installed.", advice="Fetch it.")


def unstartable() -> tuple[Unstartable, FakeEngine]:
    engine = FakeEngine()
    pool = Unstartable.from_open_models([fake_served_model(engine=engine)])
    assert isinstance(pool, Unstartable)
    return pool, engine


def test_port_in_use_is_reported_before_the_store_opens(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Conflict, match=str(port)):
            serve(Settings(data_dir=tmp_path / "data", port=port), unstartable()[0])
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_public_host_without_keys_is_rejected(tmp_path: Path, host: str) -> None:
    with pytest.raises(BadInput, match="keys"):
        serve(Settings(data_dir=tmp_path, host=host, port=0), unstartable()[0])


def test_foreign_address_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot listen"):
        serve(Settings(data_dir=tmp_path, host="192.0.2.1", port=0, api_keys=("key",)), unstartable()[0])


def test_missing_model_ends_the_server_with_its_error(tmp_path: Path) -> None:
    pool, engine = unstartable()
    announced: list[str] = []
    with pytest.raises(NotFound, match="not installed"):
        serve(Settings(data_dir=tmp_path, port=0), pool, announce=lambda address, _: announced.append(address))
    assert engine.closed
    assert not announced


HANGING_SERVER = """
import sys, threading, time
from pathlib import Path
from yearling.api import serve
from yearling.config import Settings
from yearling.inference import EnginePool, fake_served_model

class Hanging(EnginePool):
    async def start(self):
        threading.Thread(target=time.sleep, args=(100,)).start()  # outlives the main thread

    async def close(self):
        {close}

pool = Hanging.from_open_models([fake_served_model()])
serve(Settings(data_dir=Path(sys.argv[1]), port=0), pool, announce=lambda address, _: print(address, flush=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("close", "frame"),
    [("time.sleep(100)", "in close"), ("pass", "in _shutdown")],
    ids=["while the pool closes", "while the interpreter waits for a thread"],
)
def test_a_stop_signal_ends_a_server_that_hangs(tmp_path: Path, close: str, frame: str) -> None:
    command = [sys.executable, "-c", HANGING_SERVER.replace("{close}", close), str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http")
        begun_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert time.monotonic() - begun_s < 10
    assert process.returncode == 1
    assert frame in errors

"""The choice of engine uses this machine's measurements, which are repeated when anything relevant changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from yearling.config import Settings
from yearling.errors import Unavailable
from yearling.inference import Engine, FakeEngine, ScriptedAnswer
from yearling.inference.calibration import SPEEDS_FILENAME, calibrate_engines, read_speeds
from yearling.inference.engine_choice import MachineInfo, choose_engine

MODEL = "ab" * 32
HERE = MachineInfo(machine_class="avx512", cores=2, memory_bytes=8 << 30, installed=frozenset({"llamacpp", "torch", "openvino"}))
DELAYS_S = {"llamacpp": 0.02, "openvino": 0.001}


async def open_paced_engine(kind: str) -> Engine:
    if kind == "torch":
        raise Unavailable("torch does not start here.")
    script = ScriptedAnswer("word " * 10, delay_s=DELAYS_S[kind], end_of_turn=False)
    return FakeEngine(lambda request, prompt: script)


async def calibrate_both_purposes(data_dir: Path) -> None:
    for purpose in ("interactive", "batch"):
        await calibrate_engines(data_dir, HERE, MODEL, purpose, ["llamacpp", "openvino", "torch"], open_paced_engine)


async def test_measured_speeds_override_the_reference_table(tmp_path: Path) -> None:
    await calibrate_both_purposes(tmp_path)
    speeds = read_speeds(tmp_path, HERE, MODEL)
    assert set(speeds["interactive"]) == {"llamacpp", "openvino"}, "an engine that does not start is not a candidate"
    settings = Settings(engine="auto", data_dir=tmp_path)
    choice = choose_engine(settings, purpose="batch", machine=HERE, speeds={"batch": {"llamacpp": 9.0, "openvino": 5.0}})
    assert choice.kind == "llamacpp", "the table says openvino"
    choice = choose_engine(settings, purpose="batch", machine=HERE, speeds=speeds)
    assert choice.kind == "openvino"
    assert "on this machine" in choice.reason
    interactive = choose_engine(settings, machine=HERE, speeds=speeds)
    assert interactive.kind == "llamacpp", "OpenVINO is faster here, but cannot do all that a chat request may ask"
    assert choose_engine(Settings(engine="torch", data_dir=tmp_path), machine=HERE, speeds=speeds).kind == "torch"


async def test_an_engine_that_exceeds_the_timeout_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yearling.inference.calibration.MEASUREMENT_TIMEOUT_S", 0.2)
    opened: list[FakeEngine] = []

    async def slow(kind: str) -> Engine:
        engine = FakeEngine(lambda request, prompt: ScriptedAnswer("word " * 10, delay_s=5.0 if kind == "openvino" else 0.0))
        opened.append(engine)
        return engine

    speeds = await calibrate_engines(tmp_path, HERE, MODEL, "batch", ["openvino", "torch"], slow)
    assert set(speeds["batch"]) == {"torch"}
    assert [engine.closed for engine in opened] == [True, True]


async def test_speeds_are_valid_for_the_same_circumstances_only(tmp_path: Path) -> None:
    assert read_speeds(tmp_path, HERE, MODEL) == {}
    await calibrate_both_purposes(tmp_path)
    assert set(read_speeds(tmp_path, HERE, MODEL)) == {"interactive", "batch"}
    assert read_speeds(tmp_path, HERE, "cd" * 32) == {}
    assert read_speeds(tmp_path, replace(HERE, cores=4), MODEL) == {}
    assert read_speeds(tmp_path, replace(HERE, installed=frozenset({"llamacpp", "openvino"})), MODEL) == {}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"circumstances": {}}'])
async def test_a_damaged_record_is_ignored(tmp_path: Path, damage: str) -> None:
    await calibrate_both_purposes(tmp_path)
    (tmp_path / SPEEDS_FILENAME).write_text(damage)
    assert read_speeds(tmp_path, HERE, MODEL) == {}

"""The choice of engine at start: the fastest installed engine, unless the owner sets one."""

from __future__ import annotations

import pytest

from yearling.config import Settings
from yearling.errors import BadInput, Unsupported
from yearling.inference.engine_choice import (
    ENGINE_KINDS,
    REFERENCE_SPEEDS,
    MachineClass,
    MachineInfo,
    choose_engine,
    classify_cpu,
    describe_engines,
    detect_machine,
)


def machine(*installed: str, machine_class: MachineClass = "amx") -> MachineInfo:
    return MachineInfo(machine_class=machine_class, cores=2, memory_bytes=8 << 30, installed=frozenset(installed))


AUTO = Settings(engine="auto")


@pytest.mark.parametrize("purpose", ["interactive", "batch"])
def test_the_fastest_reference_speed_decides(purpose: str) -> None:
    choice = choose_engine(AUTO, purpose=purpose, machine=machine(*ENGINE_KINDS))
    speeds = REFERENCE_SPEEDS["amx", "interactive" if purpose == "interactive" else "batch"]
    assert choice.kind == max(speeds, key=lambda kind: speeds[kind])
    assert "fastest" in choice.reason
    assert f"{speeds[choice.kind]:g}" in choice.reason


def test_only_installed_engines_that_read_the_format_are_chosen() -> None:
    assert choose_engine(AUTO, purpose="batch", machine=machine("llamacpp")).kind == "llamacpp"
    assert choose_engine(AUTO, weights_format="safetensors", machine=machine(*ENGINE_KINDS)).kind == "torch"
    with pytest.raises(Unsupported, match=r"\[train\]"):
        choose_engine(AUTO, weights_format="safetensors", machine=machine("llamacpp"))
    with pytest.raises(Unsupported, match="onnx"):
        choose_engine(AUTO, weights_format="onnx", machine=machine(*ENGINE_KINDS))


def test_the_setting_wins_or_names_what_is_missing() -> None:
    torch = Settings(engine="torch")
    assert choose_engine(torch, machine=machine(*ENGINE_KINDS)).kind == "torch"
    with pytest.raises(BadInput, match=r"\[train\]"):
        choose_engine(torch, machine=machine("llamacpp"))
    with pytest.raises(Unsupported, match="safetensors"):
        choose_engine(Settings(engine="openvino"), weights_format="safetensors", machine=machine(*ENGINE_KINDS))


def test_a_machine_without_measurements_still_gets_an_engine() -> None:
    choice = choose_engine(AUTO, machine=machine("llamacpp", "torch", machine_class="other"))
    assert choice.kind == "llamacpp"
    assert "no measurements" in choice.reason


def test_processors_are_classified_by_their_flags() -> None:
    assert classify_cpu(frozenset({"avx2", "avx512f", "amx_tile", "amx_int8"})) == "amx"
    assert classify_cpu(frozenset({"avx2", "avx512f"})) == "avx512"
    assert classify_cpu(frozenset({"avx2"})) == "avx2"
    assert classify_cpu(frozenset()) == "other"


def test_this_machine_is_described() -> None:
    reports = {report.kind: report for report in describe_engines()}
    assert set(reports) == set(ENGINE_KINDS)
    assert reports["llamacpp"].available
    assert detect_machine().cores >= 1
    reports_without_extras = {report.kind: report for report in describe_engines(machine("llamacpp"))}
    assert "pip install" in reports_without_extras["openvino"].reason

"""What is installed from a wheel has the behaviour spec inside the package, byte for byte."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from yearling.chat import SPEC_VERSION

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_holds_the_spec(tmp_path: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name in ("yearling", "spec"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "MANIFEST.in", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path / "out"), "."]
    subprocess.run([sys.executable, *build], cwd=source, check=True, capture_output=True, timeout=240)
    (wheel,) = (tmp_path / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    ours, theirs = files(ROOT / "spec"), files(site / "yearling" / "spec")
    assert theirs == ours
    assert ours
    program = "from yearling.chat import SPEC_VERSION, spec_dir; print(SPEC_VERSION, spec_dir())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == [SPEC_VERSION, str(site / "yearling" / "spec")]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

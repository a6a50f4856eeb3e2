"""Puts the folder `spec/` into the wheel, inside the package. Everything else is said in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithSpec(build_py):
    """An installation that can be edited reads `spec/` where it lies."""

    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "yearling" / "spec"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(Path(__file__).parent / "spec", target)


setup(cmdclass={"build_py": BuildWithSpec})

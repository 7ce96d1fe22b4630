"""How a wheel is built: setuptools' `build_py`, and into the package goes the workflow that it runs.

`pyproject.toml` names the class. The workflow's files stand once, at the project's top level; a wheel has
them in `fairgen/project`, where `fairgen/workflow/project.py` finds them. An editable install takes the
clone's.
"""

import os
from pathlib import Path

from setuptools.command.build_py import build_py

FILES = ("Snakefile", "config.yaml", "constraints.txt")
FOLDERS = ("rules", "profiles", "envs", "examples")
PLACE = "fairgen/project"
# A folder with nothing but fairgen in it, for jobs in an environment of their own: the installed package lies
# among packages of another one.
IMPORTABLE = '''"""The fairgen three folders up, and nothing else that is installed beside it."""

import importlib.util
import sys
from pathlib import Path

place = Path(__file__).resolve().parents[3]
options = {"submodule_search_locations": [str(place)]}
spec = importlib.util.spec_from_file_location("fairgen", place / "__init__.py", **options)
sys.modules["fairgen"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["fairgen"])
'''


def brought() -> list[str]:
    """The workflow's files, from the project's folder; no code of the build's own."""
    found = [path for name in FOLDERS for path in Path(name).rglob("*") if path.is_file()]
    return [*FILES, *(path.as_posix() for path in sorted(found) if path.suffix not in (".py", ".pyc"))]


class BuildPy(build_py):
    """Builds the package with the workflow inside."""

    def run(self) -> None:
        """Build, then copy the workflow."""
        super().run()
        if not self.editable_mode:
            for source, target in self._targets().items():
                self.mkpath(os.path.dirname(target))
                self.copy_file(source, target)
            self._shim().parent.mkdir(parents=True, exist_ok=True)
            self._shim().write_text(IMPORTABLE, "utf-8")

    def get_source_files(self) -> list[str]:
        """What an archive of the sources needs to build the same wheel."""
        return [*super().get_source_files(), *brought(), "envs/wheel.py", "CHANGELOG.md", "CITATION.cff"]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What it has written, for setuptools' record."""
        own = [] if self.editable_mode else [*self._targets().values(), str(self._shim())]
        return [*super().get_outputs(include_bytecode), *own]

    def _targets(self) -> dict[str, str]:
        return {name: os.path.join(self.build_lib, PLACE, name) for name in brought()}

    def _shim(self) -> Path:
        return Path(self.build_lib, PLACE, "python/fairgen/__init__.py")

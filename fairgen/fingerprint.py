"""A fingerprint of the code that a stage runs: comments and docstrings change nothing, an imported helper does.

Follows every `fairgen` import in the source, lazy ones included, but for those under `if TYPE_CHECKING:`, which never run. So a
changed statement reruns exactly the stages that can reach it. Modules that a setting picks by name (a data format, a classifier
method) are given by the caller.
"""

import ast
import functools
import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).parent
SEEN = "FAIRGEN_SOURCES"  # environment variable in which a workflow tells its jobs which code it was read with


def source_file(module: str) -> Path | None:
    """File of a module of fairgen's, or None for a name that is none."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


class _Runs(ast.NodeTransformer):
    """Leaves out what never runs: docstrings, and blocks for type checkers only."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
        return super().generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else node


@functools.cache
def _parse(module: str) -> tuple[str, tuple[str, ...]]:
    """Normalised source of a module and the fairgen modules that it imports."""
    tree = _Runs().visit(ast.parse(source_file(module).read_text()))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module)
            imported.update(f"{node.module}.{alias.name}" for alias in node.names)
    ours = sorted(name for name in imported if name.split(".")[0] == "fairgen" and source_file(name))
    return ast.dump(tree), tuple(name for name in ours if name != "fairgen")


@functools.cache
def fingerprint(*modules: str) -> str:
    """Short hash of the modules and of everything of fairgen's that they import, for example `fairgen.sample`."""
    return hashlib.sha256("".join(_parse(name)[0] for name in closure(modules)).encode()).hexdigest()[:16]


def closure(modules: Iterable[str]) -> list[str]:
    """The modules and everything of fairgen's that they import."""
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(_parse(module)[1])
    return sorted(reached)


def sources() -> str:
    """What a job compares cheaply: Python's version, which fingerprints depend on, and a hash of all files of the package."""
    found = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        found.update(f"{path.relative_to(PACKAGE)}\0".encode() + path.read_bytes())
    return f"{sys.version_info.major}.{sys.version_info.minor} {found.hexdigest()}"


def unchanged(code: str, modules: Iterable[str]) -> bool:
    """Whether the code of these modules, as it lies on the disk now, is what the workflow saw when it planned their job.

    Args:
        code: their fingerprint then.
        modules: as for `fingerprint`.
    """
    then, now = os.environ.get(SEEN, ""), sources()
    if not then or then == now:
        return True
    if then.split()[0] != now.split()[0]:  # a job in an environment of another Python cannot say what has changed
        return False
    _parse.cache_clear()
    fingerprint.cache_clear()
    return fingerprint(*modules) == code

"""A fingerprint of the code that a stage runs: comments, docstrings, messages and moves change nothing, an
imported helper does.

It is made of contents, not of names: in place of an `import` of fairgen's own stands the content of the
module that it brings, so a module may move, and a changed statement reruns exactly the stages that can reach
it. Lazy imports count; those under `if TYPE_CHECKING:` never run. Modules that a setting picks by name (a
data format, a classifier method) are given by the caller.
"""

import ast
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
LEVELS = ("debug", "info", "warning", "error")  # of a log
# environment variable in which a workflow tells its jobs which code it was read with
SEEN = "FAIRGEN_SOURCES"
# no result depends on them: the version, and what tells people how far a job is
UNTRACKED = ("fairgen", "fairgen.core.progress")


def source_file(module: str) -> Path | None:
    """File of a module of fairgen's, or None for a name that is none."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


class _Runs(ast.NodeTransformer):
    """Keeps what runs and matters: no docstrings, no blocks for type checkers, no texts of errors and logs,
    no own imports.
    """

    def __init__(self) -> None:
        # module of fairgen's, what of it ("" for itself), its name here
        self.brought: list[tuple[str, str, str]] = []

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
        return super().generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [found for inner in node.orelse if (found := self.visit(inner))]
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        others = []
        for alias in node.names:
            if source_file(alias.name) and alias.name.split(".")[0] == "fairgen":
                self.brought.append((alias.name, "", alias.asname or ""))
            else:
                others.append(alias)
        return ast.Import(others) if others else None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        if not node.module or node.module.split(".")[0] != "fairgen":
            return node
        for alias in node.names:
            inner, name = f"{node.module}.{alias.name}", alias.asname or alias.name
            self.brought.append((inner, "", name) if source_file(inner) else (node.module, alias.name, name))
        return None

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if (
            isinstance(node.exc, ast.Call)
            and isinstance(node.exc.func, ast.Name)
            and node.exc.func.id == "FairgenError"
        ):
            node.exc.args = []
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        of = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS else None
        if (isinstance(of, ast.Name) and of.id == "log") or (
            isinstance(of, ast.Attribute) and of.attr == "log"
        ):
            return ast.Call(node.func, [], [])
        return self.generic_visit(node)


@functools.cache
def _parse(module: str) -> tuple[str, tuple[tuple[str, str, str], ...]]:
    """Normalised source of a module, and what it brings in of fairgen's."""
    file = source_file(module)
    if file is None:
        raise ValueError(f"{module} is no module of fairgen's")
    runs = _Runs()
    return ast.dump(runs.visit(ast.parse(file.read_text()))), tuple(
        b for b in runs.brought if b[0] not in UNTRACKED
    )


@functools.cache
def _content(module: str) -> str:
    """Hash of what a module runs and of all that it imports of fairgen's; imports in a circle have none, and
    end here.
    """
    text, brought = _parse(module)
    imported = sorted([_content(name), what, here] for name, what, here in brought)
    return hashlib.sha256(json.dumps([text, imported]).encode()).hexdigest()


@functools.cache
def fingerprint(*modules: str) -> str:
    """Short hash of the modules and of everything of fairgen's that they import, for example
    `fairgen.generate.sample`.
    """
    return hashlib.sha256("".join(map(_content, modules)).encode()).hexdigest()[:16]


def imports(module: str) -> list[str]:
    """The modules of fairgen's that one imports when it runs, lazily or not."""
    return [name for name, _, _ in _parse(module)[1]]


def closure(modules: Iterable[str]) -> list[str]:
    """The modules and everything of fairgen's that they import."""
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(imports(module))
    return sorted(reached)


def sources() -> str:
    """What a job compares cheaply: Python's version, which fingerprints depend on, and a hash of all files of
    the package.
    """
    found = hashlib.sha256()
    # editors leave links and hidden files
    for path in sorted(file for file in PACKAGE.rglob("[!.]*.py") if file.is_file()):
        found.update(f"{path.relative_to(PACKAGE)}\0".encode() + path.read_bytes())
    return f"{sys.version_info.major}.{sys.version_info.minor} {found.hexdigest()}"


def unchanged(code: str, modules: Iterable[str]) -> bool:
    """Whether the code of these modules, as it lies on the disk now, is what the workflow saw when it planned
    their job.

    Args:
        code: their fingerprint then.
        modules: as for `fingerprint`.
    """
    if SEEN not in os.environ:
        return True
    (version, files), (own_version, own_files) = os.environ[SEEN].split(), sources().split()
    if files == own_files:
        return True
    if version != own_version:  # a job in an environment of another Python cannot say what has changed
        return False
    for cached in (_parse, _content, fingerprint):
        cached.cache_clear()
    return fingerprint(*modules) == code

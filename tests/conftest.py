"""Shared fixtures: a private copy of the workflow, small enough to run in a test."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: tests run two at a time on two cores

import pytest
import yaml
from workflows import PROJECT, Workflow, copy_workflow

# Files that take minutes, the longest first. With `--dist loadfile` a worker takes a file at a time, and
# xdist would begin with those of the most tests: a long file at the end keeps one worker while the other is
# idle.
LONG = [
    f"system/test_{name}.py"
    for name in ("disturbed_runs", "workflow", "slurm", "reruns", "killed_jobs", "benchmarks", "faces")
]
LONG += ["system/test_flow_workflow.py", "core/test_lineage.py", "system/test_parts.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Let xdist keep the order of the files."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers begin with the long files, then those of many tests; alone keep the order."""
    if hasattr(config, "workerinput"):
        size = Counter(item.path for item in items)
        place = {Path(__file__).parent / name: i for i, name in enumerate(LONG)}
        items.sort(key=lambda item: (place.get(item.path, len(LONG)), -size[item.path], item.path))


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """What a command sets for its jobs does not reach the next test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    """A fresh copy of the workflow."""
    return copy_workflow(tmp_path)


@pytest.fixture(scope="session")
def config() -> dict:
    """The project's config."""
    return yaml.safe_load((PROJECT / "config.yaml").read_text())


@pytest.fixture(scope="session")
def schema() -> dict:
    """The config's schema."""
    return yaml.safe_load((PROJECT / "rules/config.schema.yaml").read_text())


@pytest.fixture(scope="session")
def base():
    """The embedded diffusion model."""
    from fairgen.models.base_model import Base

    return Base("fairgen:embedded/weights/diffusion", None, None, "float32", 32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A random miniature of each architecture of the base model."""
    import miniatures

    place = tmp_path_factory.mktemp("bases")
    return {name: miniatures.build(place, name) for name in miniatures.ARCHITECTURES}


class Built(dict):
    """Folders of miniatures, each built when it is first asked for."""

    def __init__(self, place: Path):
        super().__init__()
        self.place = place

    def __missing__(self, name: str) -> Path:
        """Build one."""
        import flow_miniatures

        self[name] = flow_miniatures.build(self.place, name)
        return self[name]


@pytest.fixture(scope="session")
def flow_folders(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A random miniature of each architecture that is trained by flow matching."""
    return Built(tmp_path_factory.mktemp("flow"))

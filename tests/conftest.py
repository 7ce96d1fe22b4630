"""Shared fixtures: a private copy of the workflow, small enough to run in a test."""

import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: tests run two at a time on two cores

import pytest
import yaml
from workflows import PROJECT, Workflow, copy_workflow


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

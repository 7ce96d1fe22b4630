"""Class images: as many as asked for, by the plain prompt, each by its seed."""

from pathlib import Path
from types import SimpleNamespace

from chains import PROMPTS, SOLVER

from fairgen.core import images, parquet
from fairgen.core.settings import read
from fairgen.core.workfolder import WorkFolder
from fairgen.generate.prior import Prior, work
from fairgen.models import diffusion
from fairgen.models.base_model import Base


def class_images(file: Path, base: Base, **changes: object) -> list[dict]:
    """The rows of a file of class images."""
    settings = {**PROMPTS, "base": vars(base), "count": 3, "solver": SOLVER, **changes}
    folder = WorkFolder(file, settings)
    folder.lock(print)
    work(read(Prior, settings), SimpleNamespace(prior=file, work=folder, group="g"))
    folder.close(done=True)
    return parquet.rows(file, ["prompt", "seed"])


def test_class_images_are_drawn_by_the_plain_prompt_and_their_seeds(base: Base, tmp_path: Path) -> None:
    rows = class_images(tmp_path / "a.parquet", base)
    assert {row["prompt"] for row in rows} == {"a landbird on land"}
    assert len({row["seed"] for row in rows}) == 3
    assert parquet.facts(tmp_path / "a.parquet")["base"] == diffusion.identity(base)
    more = class_images(tmp_path / "b.parquet", base, count=5)
    assert more[:3] == rows
    first, second = (images.load_column(tmp_path / name, 32) for name in ("a.parquet", "b.parquet"))
    assert (abs(first.astype(int) - second[:3]) <= 1).all()  # a batch of another size rounds otherwise
    other = class_images(tmp_path / "c.parquet", base, seed=1)
    assert not {row["seed"] for row in other} & {row["seed"] for row in rows}

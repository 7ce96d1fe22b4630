"""The chain from class images to scores on miniature bases."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa

from fairgen.core import images, parquet
from fairgen.core.settings import read
from fairgen.core.workfolder import WorkFolder
from fairgen.embedded import birds
from fairgen.generate import adapt, prior, sample, score
from fairgen.generate import filter as selecting
from fairgen.generate.recipe import Adapt
from fairgen.models import adapters, base_model, diffusion

PROMPTS = {"prompts": {"g": "a landbird on land [V]"}, "seed": 0}
SOLVER = {"scheduler": "dpmsolver++", "steps": 2, "guidance": 2, "negative_prompt": "", "batch": 2}
RECIPE = {
    "lr": 1e-2,
    "steps": 2,
    "batch": 2,
    "schedule": "constant",
    "warmup": 0,
    "ema": 0,
    "prior_weight": 1,
    "prior_batch": 2,
}
RECIPE |= {"accumulate": 1, "gradient_checkpointing": False}


def base_of(place: Path, **changes: object) -> base_model.Base:
    return base_model.Base(
        **{
            "model": str(place),
            "revision": None,
            "variant": None,
            "dtype": "float32",
            "resolution": 32,
            **changes,
        }
    )


def chain(folder: Path, base: base_model.Base, kind: str, flow: bool = False) -> list[dict]:
    """Rows of a sample file made by prior, adapt and sample, each with its scores, by which two are kept.

    `flow` asks for what a base of flow matching knows.
    """
    solver = {**SOLVER, "scheduler": "euler"} if flow else SOLVER
    pixels = [images.encode_png(birds.users(5, "train", "landbird", "land", i).pixels) for i in range(3)]
    parquet.write_images(folder / "d.parquet", [(x, {"n": 0}) for x in pixels], {"n": pa.int32()}, {})
    files, hashes = [f"d.parquet#{i}" for i in range(3)], [hashlib.sha256(x).hexdigest() for x in pixels]
    parquet.write(
        folder / "split.parquet", {"id": range(3), "path": files, "hash": hashes}, {"root": str(folder)}
    )
    parquet.write(folder / "clusters.parquet", {"id": range(3), "group": ["g"] * 3, "cluster": [0] * 3})
    common = {**PROMPTS, "base": vars(base)}

    def run(stage: object, cls: type, settings: dict, output: str, **paths: object) -> Path:
        work = WorkFolder(folder / output, settings)
        work.lock(print)
        name = output.split(".")[0]
        stage.work(
            read(cls, settings), SimpleNamespace(**{name: folder / output}, work=work, group="g", **paths)
        )
        work.close(done=True)
        return folder / output

    class_images = run(prior, prior.Prior, {**common, "count": 2, "solver": solver}, "prior.parquet")
    recipe = {**RECIPE, **({"rank": 2, "alpha": 4} if kind == "lora" else {})}
    settings = {
        **common,
        "kind": kind,
        "recipe": recipe,
        "token": "V",
        "borrow_below": 0,
        "donors": {"g": None},
    }
    settings |= {"min_snr": 0 if flow else 5, "offset_noise": 0}
    more = {
        "clusters": folder / "clusters.parquet",
        "split": folder / "split.parquet",
        "prior": [class_images],
        "cluster": "0",
    }
    adapter = run(adapt, Adapt, settings, "adapter.safetensors", **more)
    settings = {**common, "per_group": 3, "floor": 1, "solver": solver, "token": "V", "donors": {"g": None}}
    drawn = run(sample, sample.Sample, settings, "samples.parquet", adapters=[adapter], donors=[])
    facts = adapters.read_facts(adapter)
    assert facts["base"] == diffusion.identity(base)
    assert facts["settings"]["base"] == vars(base)
    assert facts["settings"]["recipe"]["steps"] == recipe["steps"]
    scores = {"model": "fairgen:embedded/weights/clip", "batch": 2, "prompts": PROMPTS["prompts"]}
    scored = run(score, score.Score, scores, "scores.parquet", samples=[drawn])
    best = {"by": "cosine", "threshold": -1, "balance": "groups", "quota": 2, "allow_shortfall": False}
    kept = run(selecting, selecting.Filter, best, "selection.parquet", scores=scored, split=[])
    assert sum(parquet.read(kept)["kept"].to_pylist()) == 2
    found = zip(parquet.read(drawn).to_pylist(), parquet.rows(scored), strict=True)
    return [{**row, "cosines": own["cosines"]} for row, own in found if row["id"] == own["id"]]

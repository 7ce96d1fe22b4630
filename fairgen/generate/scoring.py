"""Scoring: cosines of every image of some samples to every group's prompt by one image-text model."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from fairgen.core import images, job, parquet, records
from fairgen.core.ahead import ahead
from fairgen.generate.prompts import plain_prompt
from fairgen.models import scorer


@dataclass(frozen=True)
class Score:
    """The scoring model, how many images go through it at once, and the groups' prompts."""

    model: str
    batch: int
    prompts: dict[str, str]


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    samples: job.Inputs
    scores: job.Output


def score(settings: Score, files: Files, key: str) -> None:
    """Score the samples of all groups by the model that `key` of the config names."""
    model, groups = scorer.load(settings.model, key), list(settings.prompts)
    job.ready()
    text = model.texts([plain_prompt(settings.prompts[g]) for g in groups])
    parts = []
    for path in files.samples:
        table = parquet.read(path, ["id", "group", "cluster"])
        chunks = [range(i, min(i + settings.batch, len(table))) for i in range(0, len(table), settings.batch)]
        loaded = ahead(partial(images.load_column, path, model.size), chunks)
        cosines = np.concatenate([(model.images(pixels) @ text.T).numpy() for pixels in loaded])
        file = pa.array([str(path)] * len(table))
        parts.append(
            table.append_column("cosines", parquet.vectors(cosines))
            .append_column("file", file)
            .replace_schema_metadata()
        )
    made = {str(path): (records.read(path) or {}).get("hash", "") for path in files.samples}
    facts = {"groups": groups, "scale": model.scale, "model": settings.model, "samples": made}
    parquet.write(files.scores, pa.concat_tables(parts), facts)

"""Have the generators of `birds` learnt? What each has taken over of the user's looks, with the rare token
and without.

After a run of the workflow, in its folder:

    python benchmarks/learned.py results/birds/bias-0.95 vanilla lora dreambooth clustered

A probe (logistic regression on features of `embed.encoder`) is fitted to tell the user's looks and the
world's drawings apart, on fresh drawings of the renderer; its accuracy on others is printed first, since a
space that cannot see style can judge none. Then, for every group of a method:

- style: share of images that the probe takes for one of the user's looks, with the token and with the same
  prompts without it. A generator that has learnt has at least 0.8 and at most 0.3.
- distance: kernel distance (KID's estimator, same features) to the group's real training images, beside
  vanilla's. Learnt: at most half of that.
- accepted: share that passes the CLIP filter. Learnt: at least 0.8.
- looks: the shares of the looks among the images with the token; the data have 0.4, 0.3, 0.2, 0.1.
- coverage (of density and coverage, same features): share of 320 fresh drawings of the group with one of
  the images nearer than their fifth neighbour, beside that of the group's training images, line "real". It
  tells a generator that draws little else than its few training images, and is not judged.

Groups that borrow a generator, or have fewer than 50 training images, are shown and not judged.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import common
import numpy as np
import torch
import yaml

from fairgen.core import image_decoding, parquet
from fairgen.core.evenly import evenly
from fairgen.core.settings import read
from fairgen.embedded import birds, world
from fairgen.embedded.looks import LOOKS
from fairgen.evaluate import audit_features, fidelity
from fairgen.evaluate.audit import read_real
from fairgen.generate import sample
from fairgen.generate.prompts import plain_prompt
from fairgen.models import diffusion, encoder
from fairgen.workflow.artifacts import Paths
from fairgen.workflow.expansion import expanded
from fairgen.workflow.method_chain import Config, merged
from fairgen.workflow.stage_settings import settings

SEED, WORLD = 1009, "world"  # drawings that no study uses, nor the trials of docs/trials.md (1007, 1008)
FRESH = range(400, 720)  # indices of a group's drawings that coverage is of, after the probe's
NEIGHBOURS = 5
FEWEST = 50  # training images of a group that is judged
HELD = {
    "style": (0.8, 1.0),
    "style_without": (0.0, 0.3),
    "distance_ratio": (-1.0, 0.5),
    "accepted": (0.8, 1.0),
}


@dataclass(frozen=True)
class Probe:
    """What tells the user's looks and the world apart."""

    model: encoder.Features
    fitted: Any  # sklearn's logistic regression

    def features(self, pixels: np.ndarray) -> torch.Tensor:
        """Unit features (n, d) of images (n, h, w, 3) uint8."""
        parts = [self.model(pixels[i : i + 256]) for i in range(0, len(pixels), 256)]
        return audit_features.unit(np.concatenate(parts))

    def looks(self, features: torch.Tensor) -> Counter:
        """How many images are of each look."""
        return Counter(self.fitted.predict(features.numpy()).tolist())


def labelled(count: int, first: int) -> tuple[np.ndarray, list[str]]:
    """Drawings of the user's and as many of the world's, `count` of each group, with their looks."""
    groups = [(kind, place) for kind in birds.KINDS for place in birds.PLACES]
    own = [birds.users(SEED, "train", *g, i) for g in groups for i in range(first, first + count)]
    others = [world.world(SEED, i, "held-out") for i in range(4 * first, 4 * (first + count))]
    names = [d.look for d in own] + [WORLD] * len(others)
    return np.stack([d.pixels for d in own + others]), names


def fit(model: encoder.Features) -> Probe:
    """The probe, with its accuracy on drawings that it has not seen."""
    from sklearn.linear_model import LogisticRegression

    probe = Probe(model, LogisticRegression(C=100, max_iter=2000))
    pixels, names = labelled(300, 0)
    probe.fitted.fit(probe.features(pixels).numpy(), names)
    pixels, names = labelled(100, 300)
    said = probe.fitted.predict(probe.features(pixels).numpy())
    right = np.mean(said == names)
    apart = np.mean((said == WORLD) == (np.array(names) == WORLD))
    print(f"probe on unseen drawings: user or world {apart:.3f}, which look {right:.3f}")
    return probe


def drawn(file: Path, count: int) -> np.ndarray:
    """Up to `count` images (n, h, w, 3) of a file of samples, at equal steps: they lie cluster by cluster, so
    that the first ones would hardly show the last cluster.
    """
    chosen = evenly(range(parquet.count(file)), count)
    content = (content for _, content in parquet.image_bytes(file, chosen))
    return np.stack([np.asarray(image_decoding.decode(one or b"")) for one in content])


def coverage(fresh: torch.Tensor, seen: torch.Tensor) -> float:
    """Share of fresh drawings, features (n, d), with one of some images, (m, d), in their neighbourhood."""
    return fidelity.density_coverage(fresh, seen, NEIGHBOURS)[1]


class Wildcards(SimpleNamespace):
    """Wildcards as snakemake hands them to input functions."""

    def items(self) -> Any:
        """Names and values."""
        return vars(self).items()


@dataclass(frozen=True)
class Run:
    """A finished run: its config, data set, scope and folder."""

    config: Config
    folder: Path

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.folder.parent.name

    def fresh(self, group: str) -> np.ndarray:
        """Drawings (n, h, w, 3) of a group that no run has seen, under the law of its training images."""
        data = self.config["datasets"][self.dataset]
        own, options = data["groups"][group], data["options"]
        law = SEED, "train", own["target"], own["bias"]
        size, distance = options["size"], options["distance"]
        return np.stack([birds.users(*law, i, size, distance).pixels for i in FRESH])

    def wildcards(self, method: str, group: str) -> "Wildcards":
        """Those of a method's group."""
        return Wildcards(dataset=self.dataset, scope=self.folder.name, method=method, group=group)

    def place(self, stage: str, name: str, method: str, group: str) -> Path:
        """An artifact of a method's group."""
        return Path(Paths(self.config).place(self.wildcards(method, group), stage, name))

    def drawn(self, method: str, group: str, count: int) -> np.ndarray:
        """Some of the images of a group that the run has drawn."""
        return drawn(self.place("sample", "samples/{group}.parquet", method, group), count)

    def without_token(self, method: str, group: str, count: int) -> tuple[np.ndarray, bool]:
        """Images of the same generators and seeds without the token, and whether they are borrowed."""
        wanted = read(
            sample.Sample, common.given(settings(self.config, self.dataset, "sample", method, group))
        )
        plain = {name: plain_prompt(prompt) for name, prompt in wanted.prompts.items()}
        wanted = replace(wanted, per_group=count, prompts=plain)
        paths, where = Paths(self.config), self.wildcards(method, group)
        own, donors = (
            [Path(file) for file in files(where)] for files in (paths.own_adapters, paths.donor_adapters)
        )
        chosen, borrowed = sample.sources(own, donors, count, 1, group)
        rows = sample.rows(wanted, group, chosen, borrowed, diffusion.identity(wanted.base))
        return np.stack([np.asarray(image_decoding.decode(content)) for content, _ in rows]), borrowed


def judged(run: Run, probe: Probe, methods: list[str], count: int) -> Iterator[dict[str, Any]]:
    """One row of figures for each group of each method."""
    real = read_real(run.folder.parent / "index.parquet", run.folder.parent / "embeddings.parquet")
    split = [r for r in parquet.rows(run.folder / "split.parquet") if r["split"] == "train"]
    sizes, kept = Counter(r["group"] for r in split), {r["id"] for r in split}
    for group in run.config["datasets"][run.dataset]["groups"]:
        listed = [r for r in real.rows if r["group"] == group]
        own = real.features[[r["place"] for r in listed]]
        trained = real.features[[r["place"] for r in listed if r["id"] in kept]]
        fresh, reference = probe.features(run.fresh(group)), None
        yield {"method": "real", "group": group, "images": sizes[group], "coverage": coverage(fresh, trained)}
        for method in methods:
            seen = probe.features(run.drawn(method, group, count))
            looks = probe.looks(seen)
            distance = fidelity.kernel_distance(own, seen, 50, 100, 0)["mean"]
            accepted = parquet.facts(run.place("filter", "selection.parquet", method, group))["groups"][group]
            row = {"method": method, "group": group, "images": sizes[group], "distance": distance}
            row |= {"style": 1 - looks[WORLD] / len(seen), "accepted": accepted["accepted"]}
            row |= {"coverage": coverage(fresh, seen)}
            row |= {"looks": {name: round(looks[name] / len(seen), 3) for name in LOOKS}}
            if method == methods[0]:
                reference = distance
            else:
                plain, row["borrowed"] = run.without_token(method, group, min(count, 96))
                row["style_without"] = 1 - probe.looks(probe.features(plain))[WORLD] / len(plain)
                row["distance_ratio"] = distance / reference
                row["judged"] = not row["borrowed"] and sizes[group] >= FEWEST
                row["failed"] = [k for k, (low, high) in HELD.items() if not low <= row[k] <= high]
            yield row


def line(row: dict[str, Any]) -> str:
    """A row as text."""
    named = [f"{row['method']:<16}{row['group']:<18}{row['images']:>5}"]
    for key in ("style", "style_without", "distance", "distance_ratio", "accepted", "coverage"):
        named.append(f"{row[key]:>9.3f}" if key in row else f"{'–':>9}")
    looks = " ".join(f"{share:.2f}" for share in row.get("looks", {}).values())
    verdict = ""
    if "judged" in row:
        verdict = "not judged" if not row["judged"] else ", ".join(row["failed"]) or "learnt"
    return f"{''.join(named)}   {looks}   {verdict}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="results/<dataset>/<scope>")
    parser.add_argument("methods", nargs="+", help="the base by prompt first, then finetuned generators")
    parser.add_argument("--images", type=int, default=400, help="of each group, at most")
    parser.add_argument("--configfile", type=Path, nargs="*", default=[], help="as given to snakemake")
    parser.add_argument("--json", type=Path, help="write the figures")
    options = parser.parse_args()
    config = yaml.safe_load(Path("config.yaml").read_text())
    for extra in options.configfile:
        config = merged(config, yaml.safe_load(extra.read_text()))
    run = Run(expanded(config), options.folder)
    torch.set_num_threads(1)
    own = common.given(settings(run.config, run.dataset, "embed"))
    probe = fit(encoder.load(read(encoder.Encoder, own["encoder"])))
    columns = "style", "without", "distance", "ratio", "accepted", "coverage"
    head = f"{'method':<16}{'group':<18}{'real':>5}" + "".join(f"{name:>9}" for name in columns)
    print(f"{head}   {' '.join(LOOKS)}")
    rows = []
    for row in judged(run, probe, options.methods, options.images):
        rows.append(row)
        print(line(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

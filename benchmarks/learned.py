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
  the images nearer than their fifth neighbour. It grows with the number of images, so the line "fresh" has
  that of as many other drawings as there are images of a generator: what one that has learnt the group whole
  would have. The line "real" has that of the training images, of which there may be fewer. It is not judged.

Groups that borrow a generator, or have fewer than 50 training images, are shown and not judged. What was
drawn or trained with other settings than the present config's is refused.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
import yaml
from drawn_run import Run, drawn

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.core.settings import read
from fairgen.embedded import birds, world
from fairgen.embedded.looks import LOOKS
from fairgen.evaluate import audit_features, fidelity
from fairgen.evaluate.audit import read_real
from fairgen.models import encoder
from fairgen.workflow.expansion import expanded
from fairgen.workflow.method_chain import merged
from fairgen.workflow.stage_settings import settings

SEED, WORLD = 1009, "world"  # drawings that no study uses, nor the trials of docs/trials.md (1007, 1008)
FRESH = 400, 320  # first index and number of a group's drawings that coverage is of, after the probe's
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


def coverage(fresh: torch.Tensor, seen: torch.Tensor) -> float:
    """Share of fresh drawings, features (n, d), with one of some images, (m, d), in their neighbourhood."""
    return fidelity.density_coverage(fresh, seen, NEIGHBOURS)[1]


def judged(run: Run, probe: Probe, methods: list[str], count: int) -> Iterator[dict[str, Any]]:
    """One row of figures for each group of each method."""
    real = read_real(run.folder.parent / "index.parquet", run.folder.parent / "embeddings.parquet")
    split = [r for r in parquet.rows(run.folder / "split.parquet") if r["split"] == "train"]
    sizes, kept = Counter(r["group"] for r in split), {r["id"] for r in split}
    for group in run.config["datasets"][run.dataset]["groups"]:
        most = min([count, *(parquet.count(run.samples(method, group)) for method in methods)])
        listed = [r for r in real.rows if r["group"] == group]
        own = real.features[[r["place"] for r in listed]]
        trained = real.features[[r["place"] for r in listed if r["id"] in kept]]
        fresh, reference = probe.features(run.fresh(SEED, group, *FRESH)), None
        others = probe.features(run.fresh(SEED, group, sum(FRESH), most))
        for name, images, known in (("real", sizes[group], trained), ("fresh", most, others)):
            yield {"method": name, "group": group, "images": images, "coverage": coverage(fresh, known)}
        for method in methods:
            seen = probe.features(drawn(run.samples(method, group), most))
            looks = probe.looks(seen)
            distance = fidelity.kernel_distance(own, seen, 50, 100, 0)["mean"]
            accepted = parquet.facts(run.selection(method, group))["groups"][group]
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
    try:
        run.check(options.methods)
    except FairgenError as error:
        raise SystemExit(f"learned: {error}") from error
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

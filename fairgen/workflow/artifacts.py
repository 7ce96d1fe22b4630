"""Where every artifact lies: input functions of the rules, each from wildcards `w` to the paths of earlier
stages.

An artifact belongs to the first method in the chain of bases that changed its stage or an earlier one, so
whatever methods and ratios have in common is made once.
"""

import functools
import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from fairgen.models.checkpoints import FILES, WORDS, locate
from fairgen.workflow import compared, method_chain, replicate_checks, scopes


@functools.cache
def weight_files(place: str) -> list[str]:
    """Files of a local model, a folder or one file: weights, configs, words, also of parts that are links to
    folders; none of a hub id. Thousands of jobs ask for few.
    """
    folders = os.walk(place, followlinks=True)
    found = sorted(Path(folder, name) for folder, _, names in folders for name in names)
    found = [path for path in found if path.suffix in FILES]
    found = [Path(place)] if Path(place).is_file() else found
    return [named(path) for path in found]


def named(path: Path) -> str:
    """A file as snakemake records it: from the working folder what lies in it, or was named so, and by its
    whole path what lies elsewhere, so that a project may be copied to another depth.
    """
    return str(path) if path.is_absolute() and not path.is_relative_to(Path.cwd()) else os.path.relpath(path)


class Paths:
    """Input functions for one config; wildcards are objects with `dataset`, `scope`, `method`, … as
    attributes.
    """

    def __init__(self, config: method_chain.Config):
        self.config = config

    def place(
        self, w: Any, stage: str, name: str, method: str | None = None, scope: str | None = None, **more: Any
    ) -> str:
        """Path of an artifact under the method and scope that own it."""
        method, names = method or w.method, {**dict(w.items()), **more}
        owner, group = method_chain.owner(self.config, method, stage), names.get("group")
        scope = scopes.scope(self.config, w.dataset, method, stage, scope or w.scope, group)
        return f"results/{w.dataset}/{scope}/{owner}/{name}".format(**names)

    def at(self, stage: str, name: str) -> Callable[[Any], str]:
        """Input function: the artifact of an earlier stage under its owner."""
        return lambda w: self.place(w, stage, name)

    def groups(self, w: Any) -> method_chain.Config:
        """Groups of the data set, in the config's order."""
        return self.config["datasets"][w.dataset]["groups"]

    def adapters(self, w: Any, group: str | None) -> list[str]:
        """Adapter files of every cluster slot of a group, or its one file of a shared batch; none without
        finetuning.
        """
        recipe = method_chain.block(self.config, w.dataset, w.method, "adapt")
        if group is None or not method_chain.finetunes(self.config, w.dataset, w.method):
            return []
        if recipe["shared"]:
            return [self.place(w, "adapt", "adapters/{group}.safetensors", group=group)]
        return [
            self.place(w, "adapt", "adapters/{group}/{cluster}.safetensors", group=group, cluster=c)
            for c in self.slots(w)
        ]

    def slots(self, w: Any) -> list[str]:
        """Cluster slots of a group, by their numbers."""
        return [str(c) for c in range(method_chain.block(self.config, w.dataset, w.method, "cluster")["k"])]

    def together(self, w: Any) -> int:
        """Cluster slots of a group that one process may train, an untracked number."""
        process = method_chain.block(self.config, w.dataset, w.method, "adapt")["process"]
        return len(self.slots(w)) if process == "group" else 1

    def own_adapters(self, w: Any) -> list[str]:
        """Adapters of the group itself."""
        return self.adapters(w, w.group)

    def donor_adapters(self, w: Any) -> list[str]:
        """Adapters of the group's donor."""
        return self.adapters(w, self.groups(w)[w.group]["donor"])

    def prior_images(self, w: Any) -> list[str]:
        """The group's class images, for recipes with prior preservation."""
        wanted = method_chain.preserves_prior(self.config, w.dataset, w.method)
        return [f"results/{w.dataset}/prior/{w.group}.parquet"] if wanted else []

    def samples(self, w: Any) -> list[str]:
        """Sample files of every group."""
        return [self.place(w, "sample", "samples/{group}.parquet", group=g) for g in self.groups(w)]

    def second_scores(self, w: Any) -> list[str]:
        """Scores by the second scorer, if there is one."""
        wanted = method_chain.second_scorer(self.config, w.dataset, w.method)
        return [self.place(w, "score", "scores_second.parquet")] if wanted else []

    def proportions(self, w: Any) -> list[str]:
        """The split whose group sizes the filter follows; none when it keeps the same number of every
        group.
        """
        wanted = method_chain.block(self.config, w.dataset, w.method, "filter")["balance"] == "data"
        return [f"results/{w.dataset}/{w.scope}/split.parquet"] if wanted else []

    def backbone(self, w: Any) -> list[str]:
        """A local file of pretrained weights, so that new weights rerun what uses them."""
        found = method_chain.block(self.config, w.dataset, w.method, "classifier")["pretrained"]
        return weight_files(locate(found)) if isinstance(found, str) else []

    def trained(self, w: Any) -> list[str]:
        """Weights that the classifier starts from: a finished model's (`finetune.start`), stage 1's, or
        none.
        """
        start = method_chain.block(self.config, w.dataset, w.method, "finetune")["start"]
        if start is not None:
            return [f"results/{w.dataset}/{w.scope}/{start}/seed-{w.seed}/model.safetensors"]
        wanted = method_chain.stage_one(self.config, w.dataset, w.method)
        return [self.place(w, "pretrain", "pretrain/seed-{seed}.safetensors")] if wanted else []

    def drawn(self, files: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Input function of stage 1: `files` unless it takes the images of another data set."""
        return lambda w: [] if method_chain.extra(self.config, w.dataset, w.method) else files(w)

    def extra(self, w: Any) -> list[str]:
        """The other data set's index and decoded images, where stage 1 takes its images, and the index of the
        data set itself.
        """
        name = method_chain.extra(self.config, w.dataset, w.method)
        return (
            [f"results/{name}/index.parquet", self._pixels(w, name), f"results/{w.dataset}/index.parquet"]
            if name
            else []
        )

    def pixels(self, w: Any) -> str:
        """The data set's images, decoded at the size that the classifier sees."""
        return self._pixels(w, w.dataset)

    def _pixels(self, w: Any, dataset: str) -> str:
        size = method_chain.block(self.config, w.dataset, w.method, "classifier")["resolution"]
        return f"results/{dataset}/pixels/{size}.safetensors"

    def mixed(self, files: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Input function: `files` for recipes that train on real and synthetic images together, else none."""
        return lambda w: files(w) if method_chain.mixes(self.config, w.dataset, w.method) else []

    def drawings(self, w: Any) -> list[str]:
        """The embedded data set's drawings; other data sets have files of their own."""
        drawn = self.config["datasets"][w.dataset]["format"] == "birds"
        return [f"results/{w.dataset}/drawings.parquet"] if drawn else []

    def weights(self, name: str, key: str | None = None) -> Callable[[Any], list[str]]:
        """Input function: local weight files of a block's model, so that new weights rerun what uses them."""

        def files(w: Any) -> list[str]:
            value = method_chain.block(self.config, w.dataset, getattr(w, "method", None), name)
            model = value[key] if key else value
            named = model["model"] if isinstance(model, dict) else model
            return weight_files(locate(named)) if named else []

        return files

    def layout(self, w: Any) -> list[str]:
        """Configs and words of the folder that describes a base in a single file."""
        method = getattr(w, "method", None)
        folder = method_chain.block(self.config, w.dataset, method, "diffusion")["config"]
        return [file for file in weight_files(locate(folder)) if file.endswith(WORDS)] if folder else []

    def compared(self, w: Any) -> list[tuple[str, str, int]]:
        """(scope, method, seed) of every cell of the data set's table, or of an ablation's."""
        names = compared.comparison(self.config, w.dataset, getattr(w, "ablation", None))
        return [(f"bias-{r}", m, s) for r, m, s in product(names["ratios"], names["compare"], names["seeds"])]

    def metrics(self, w: Any) -> list[str]:
        """Metrics of every cell, in the order of `compared`."""
        return [
            f"results/{w.dataset}/{scope}/{m}/seed-{seed}/metrics.json" for scope, m, seed in self.compared(w)
        ]

    def replicates(self, w: Any) -> list[str]:
        """Comparisons of every replicate of the data set."""
        return [f"results/{name}/worst_group.json" for name in compared.replicates(self.config, w.dataset)]

    def ablation_replicates(self, w: Any) -> list[str]:
        """The ablation's comparisons of every replicate of the data set.

        Raises:
            FairgenError: there are none, or the ablation's methods differ there in more than seeds.
        """
        replicate_checks.check_replicates(self.config, w.dataset, w.ablation)
        names = compared.replicates(self.config, w.dataset)
        return [f"results/{name}/ablations/{w.ablation}.json" for name in names]

    def splits(self, w: Any) -> list[str]:
        """Split of every ratio, in the config's order."""
        return [
            f"results/{w.dataset}/bias-{r}/split.parquet"
            for r in compared.comparison(self.config, w.dataset)["ratios"]
        ]

    def first_split(self, w: Any) -> str:
        """Split of the data set's first ratio."""
        return self.splits(w)[0]

    def selections(self, w: Any) -> list[str]:
        """Selections of the compared methods that draw images, each once, at the data set's first ratio."""
        first = self.compared(w)[0][0]
        drawing = [m for _, m, _ in self.compared(w) if method_chain.synthetic(self.config, m)]
        return list(
            dict.fromkeys(
                self.place(w, "filter", "selection.parquet", method=m, scope=first) for m in drawing
            )
        )

    def finest_clusters(self, w: Any) -> list[str]:
        """Clusters of the compared method with the most of them, at the first ratio; none without a clustered
        method.
        """
        first, drawing = (
            self.compared(w)[0][0],
            [m for _, m, _ in self.compared(w) if method_chain.synthetic(self.config, m)],
        )
        counts = {m: method_chain.block(self.config, w.dataset, m, "cluster")["k"] for m in drawing}
        finest = max(counts, key=lambda m: counts[m], default=None)
        return (
            [self.place(w, "cluster", "clusters.parquet", method=finest, scope=first)]
            if finest and counts[finest] > 1
            else []
        )

    def clustered_features(self, w: Any) -> list[str]:
        """The features behind `finest_clusters`."""
        return [f"results/{w.dataset}/embeddings.parquet"] if self.finest_clusters(w) else []

    def audits(self, w: Any) -> list[str]:
        """Audits of every synthetic set that the data set's table uses, each once."""
        drawing = [(s, m) for s, m, _ in self.compared(w) if method_chain.synthetic(self.config, m)]
        return list(
            dict.fromkeys(self.place(w, "filter", "audit.json", method=m, scope=s) for s, m in drawing)
        )

    def gpus(self, w: Any) -> int:
        """GPUs of one job, an untracked number per data set."""
        return self.config["datasets"][w.dataset]["gpu"]

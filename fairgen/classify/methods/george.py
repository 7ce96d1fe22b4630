"""Groups that nobody labelled, inferred from features (GEORGE, Sohoni et al. 2020, arXiv 2011.12945), then
Group-DRO.

As in the paper, a first network is trained by ERM, its features are clustered inside each class, the number
of clusters of a class is the one of the best silhouette, and a second network is trained anew by Group-DRO on
the clusters. Weights are selected by the worst cluster of the validation rows, so no group label is used.
Ours: k-means, where the paper has Gaussian mixtures on projected features and splits clusters further.
"""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from fairgen.classify.examples import Examples
from fairgen.classify.methods import groupdro
from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.classify.training import first_network
from fairgen.core.seeds import seed_of
from fairgen.data.kmeans import agreement, clusters_for
from fairgen.models.classifier import Network, embed

LABELS = ()
RUNS = 3  # of k-means, from other starts
JUDGED = 2000  # rows of a class that the silhouette looks at; it takes all their pairs


@dataclass(frozen=True)
class Recipe(groupdro.Recipe):
    """`steps` are those of the second network; `select` is also `clusters`: by the inferred groups."""

    identify_steps: int  # of the first network
    max_clusters: int  # of a class
    min_images: int  # fewest training rows that make a cluster

    @property
    def gradient_steps(self) -> int:
        """Of both networks."""
        return self.identify_steps + self.steps


@dataclass(frozen=True)
class Clusters:
    """The clusters of one class, the largest first, by the means (k, d) of their features."""

    centres: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """The nearest cluster (n,) of features (n, d)."""
        return (np.square(self.centres).sum(1) - 2 * features @ self.centres.T).argmin(1)


def split_class(features: np.ndarray, recipe: Recipe, seed: int) -> Clusters:
    """Cluster the features (n, d) of one class; k from 2 to `max_clusters` by the silhouette, of those with
    `min_images` in each cluster; 1 where there is none.
    """
    found = [
        KMeans(k, n_init=RUNS, random_state=seed % 2**32).fit(features)
        for k in range(2, clusters_for(len(features), recipe.max_clusters, recipe.min_images) + 1)
    ]
    large = [one for one in found if np.bincount(one.labels_).min() >= recipe.min_images]
    if not large:
        return Clusters(features.mean(0, keepdims=True))
    best = max(large, key=lambda one: separation(features, one.labels_, seed))
    order = np.argsort(-np.bincount(best.labels_), kind="stable")
    return Clusters(best.cluster_centers_[order])


def separation(features: np.ndarray, label: np.ndarray, seed: int) -> float:
    """Mean silhouette; −1, the least that there is, where a single cluster is looked at."""
    chosen = np.random.default_rng(seed).permutation(len(label))[:JUDGED]
    several = len(np.unique(label[chosen])) > 1
    return float(silhouette_score(features[chosen], label[chosen])) if several else -1.0


def inferred(network: Network, problem: Problem, recipe: Recipe) -> tuple[list[Examples], list[str]]:
    """Training and validation rows with clusters for groups, by the network's features; and the clusters'
    names.
    """
    parts = [problem.train, problem.validation]
    features = [embed(network, rows.pixels).numpy() for rows in parts]
    groups = [torch.zeros_like(rows.group) for rows in parts]
    names: list[str] = []
    for number in range(int(problem.train.target.max()) + 1):
        own = [(rows.target == number).numpy() for rows in parts]
        clusters = split_class(features[0][own[0]], recipe, seed_of("george", problem.seed, number))
        for group, x, mine in zip(groups, features, own, strict=True):
            group[mine] = torch.from_numpy(len(names) + clusters(x[mine]))
        names += [f"cluster {i} of class {number}" for i in range(len(clusters.centres))]
    return [replace(rows, group=group) for rows, group in zip(parts, groups, strict=True)], names


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Train a first network, infer groups, and train again by Group-DRO from the weights that the network
    comes with.
    """
    fresh = copy.deepcopy(network.state_dict())
    first_network(network, problem, recipe)
    (rows, judged), names = inferred(network, problem, recipe)
    network.load_state_dict(fresh)
    validation = judged if recipe.select == "clusters" else problem.validation
    best = groupdro.train(network, replace(problem, train=rows, validation=validation, groups=names), recipe)
    classes = [rows.target == number for number in rows.target.unique()]
    best.notes |= {
        "inferred_groups": torch.bincount(rows.group).tolist(),  # training rows of each
        "inferred_groups_nmi": [
            agreement(rows.group[c].numpy(), problem.train.group[c].tolist()) for c in classes
        ],
    }
    return best

"""What cosines to the groups' prompts say of an image: its score for its own group."""

import numpy as np


def probabilities(cosines: np.ndarray, scale: float) -> np.ndarray:
    """Softmax over the group prompts at the model's own temperature; (n, groups) to (n, groups).

    Of SigLIP too, whose own probabilities are sigmoids, one prompt at a time: an image is asked which group's
    prompt fits best, and the bias that such a model has learnt is the same for all prompts and cancels.
    """
    logits = scale * (cosines - cosines.max(axis=1, keepdims=True))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def own_scores(cosines: np.ndarray, own: np.ndarray, scale: float, by: str) -> np.ndarray:
    """The score of each image for its own group: probability, raw cosine, or rank in its group as a share in
    [0, 1]. In double precision, where probabilities near 1 are told apart.
    """
    cosines = cosines.astype(np.float64)
    value = (probabilities(cosines, scale) if by == "probability" else cosines)[np.arange(len(own)), own]
    if by != "quantile":
        return value
    rank = np.empty(len(value))
    for group in np.unique(own):
        rows = np.flatnonzero(own == group)
        rank[rows[np.argsort(value[rows], kind="stable")]] = (np.arange(len(rows)) + 0.5) / len(rows)
    return rank

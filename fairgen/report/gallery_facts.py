"""What the gallery's script knows of each image, and the words that the gallery is told in."""

from typing import Any

from fairgen.report.gallery import Block, Set, Strip
from fairgen.report.gallery_images import Images, every_shot, only_closest
from fairgen.report.shots import Shot

RULES = {  # what an image's score is, by `filter.by`
    "probability": "the probability of its own group's prompt among those of all groups, by the scorer",
    "cosine": "the scorer's cosine of image and prompt",
    "quantile": "the rank in its group by the scorer, as a share",
    "random": "a random number, no scorer was asked",
}


def rules(sets: list[Set]) -> dict[str, list[str]]:
    """What scores are, in words with the filter's threshold, and of which sets."""
    found: dict[str, list[str]] = {}
    for one in sets:
        limit = "" if one.by == "random" else f"; images from {one.threshold:g} on are accepted"
        found.setdefault(f"{RULES[one.by]}{limit}", []).append(one.name)
    return found


def facts(blocks: list[Block], sets: list[Set], images: Images, limit: float | None) -> dict[str, Any]:
    """All that the script says of images: generated ones in the page's order, and the closest training images
    by path, with their content where the page does not hold it already; and how many
    of all kept images are near copies.
    """
    scores = {one.name: RULES[one.by] for one in sets}
    shots = [
        {**told(shot, strip, block), "rule": scores[strip.name], "limit": limit}
        for block in blocks
        for strip in block.strips
        for shot in (*strip.chosen, *strip.others)
    ]
    alone = set(only_closest(blocks))
    real = {
        shot.real: {
            "group": shot.real_group,
            "seen": shot.seen,
            "source": images.real[shot.real] if shot.real in alone else None,
        }
        for shot in every_shot(blocks)
    }
    strips = [strip for block in blocks for strip in block.strips]
    return {
        **{"shots": shots, "real": real},
        **{"kept": sum(strip.kept for strip in strips), "near": sum(strip.near for strip in strips)},
    }


def told(shot: Shot, strip: Strip, block: Block) -> dict[str, Any]:
    """What is said of one generated image; its seed as text, for scripts round whole numbers over 2⁵³."""
    return {
        **shot.about,
        **{"method": strip.name, "group": block.group, "place": block.title},
        **{"cluster": shot.cluster, "seed": str(shot.about["seed"])},
        **{"score": shot.score, "reason": shot.reason},
        **{"real": shot.real, "similarity": shot.similarity, "near": shot.near},
    }


def clusters(blocks: list[Block]) -> list[str]:
    """Values of the filter of clusters: the whole group, and the numbers."""
    found = {block.cluster for block in blocks}
    return [*(["whole"] if "" in found else []), *sorted(found - {""}, key=int)]

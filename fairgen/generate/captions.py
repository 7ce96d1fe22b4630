"""Captions of single images, under which they are trained in place of their group's prompt.

A caption begins with the rare token, so that the token still gathers what the group's images have in common.
A share of the images drawn gets the group's prompt all the same, since that is what images are sampled by.
"""

import re
from collections.abc import Sequence

import torch

from fairgen.core import job
from fairgen.generate.prompts import PLACE, instance_prompt, plain_prompt
from fairgen.models import base_model, text_encoders

# a token of a tokenizer's own, which would end a prompt or a turn of a chat
MARK = re.compile(r"<\|[^<>|]*\|>")


def prompts_of(captions: Sequence[str], token: str, base: base_model.Base) -> list[str]:
    """The prompt of each image by its caption, cut to what the base's text encoders read; "" where there is
    none. The token is in each: in front where the caption does not place it, or where it would be cut off.
    """
    texts = [placed(caption) for caption in captions]
    whole = [instance_prompt(text, token) for text in texts]
    found = text_encoders.fitting(base, whole)
    # by its place, since the token may be a part of other words
    ends = [text.index(PLACE) + len(token) if text else 0 for text in texts]
    if lost := [i for i, prompt in enumerate(found) if len(prompt) < ends[i]]:
        front = [instance_prompt(placed(plain_prompt(captions[i])), token) for i in lost]
        for i, prompt in zip(lost, text_encoders.fitting(base, front), strict=True):
            found[i] = prompt
    if cut := sum(one != other for one, other in zip(whole, found, strict=True)):
        job.log.warning("%d of %d captions are longer than the text encoder reads, and cut", cut, len(found))
    return found


def placed(caption: str) -> str:
    """A caption with a place for the token, its own or in front; "" where it says nothing else."""
    text = " ".join(MARK.sub(" ", caption).split())
    if not plain_prompt(text):
        return ""
    return text if PLACE in text else f"{PLACE} {text}"


def numbered(prompts: list[str], captions: Sequence[Sequence[str]]) -> tuple[list[str], list[torch.Tensor]]:
    """All prompts, those given first and then each caption once; and which of them each image has, for each
    set of captions (n,): the first where a caption is "".
    """
    each = dict.fromkeys(caption for own in captions for caption in own if caption)
    places = {caption: number for number, caption in enumerate(each, len(prompts))}
    return [*prompts, *each], [torch.tensor([places.get(x, 0) for x in own]) for own in captions]


class Captions:
    """Which prompt each image of a set is shown under: its caption, or the group's prompt, by chance.

    Args:
        own: the number of each image's prompt (n,), 0 for the group's.
        share: of the images drawn, how many get their own.
    """

    def __init__(self, own: torch.Tensor, share: float):
        self.own, self.share = own, share

    def choose(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Numbers of the prompts for some rows of the set and of its mirror images."""
        kept = torch.rand(len(rows), generator=generator) < self.share
        return torch.where(kept, self.own[rows % len(self.own)], 0)

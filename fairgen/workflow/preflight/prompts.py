"""Before the first job: prompts that the generators, their text encoders and the scorer can tell apart and
read to the end.
"""

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from fairgen.generate.prompts import PLACE, instance_prompt, plain_prompt
from fairgen.models import tokenizer_file
from fairgen.models.families import FAMILIES
from fairgen.models.pipelines import CLIP, T5, Text
from fairgen.workflow import generator_settings
from fairgen.workflow.job_settings import Job
from fairgen.workflow.method_chain import may_borrow
from fairgen.workflow.preflight.findings import Case, Finding
from fairgen.workflow.preflight.places import base_folder, image_text_folder, layout, read

LIMIT = 77  # tokens that Stable Diffusion's text encoders and CLIP read, where the tokenizer does not say
UNKNOWN = "<|endoftext|>"
# as CLIP splits text
WORDS = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def tokens_placed(case: Case) -> Iterator[Finding]:
    """Where a generator is finetuned, every group's prompt says where its rare word goes."""
    if not case.adapting:
        return
    for name, group in case.groups.items():
        if PLACE not in group["prompt"]:
            yield Finding(
                f"config: datasets.{case.dataset}.groups.{name}.prompt: '{group['prompt']}' has no {PLACE},"
                f" and {case.adapting[0]} finetunes a generator; write {PLACE} where the rare word goes"
            )


def told_apart(case: Case) -> Iterator[Finding]:
    """No two groups have the same prompt where something tells them apart by it alone."""
    alike: dict[str, list[str]] = {}
    for name, group in case.groups.items():
        alike.setdefault(plain_prompt(group["prompt"]).lower(), []).append(name)
    for first, name in (pair for names in alike.values() for pair in combinations(names, 2)):
        if reasons := [*needing(case, first, name)]:
            why, instead = zip(*reasons, strict=True)
            yield Finding(
                f"config: datasets.{case.dataset}.groups.{name}.prompt: it is that of {first}, and"
                f" {', and '.join(why)}; reword it, or set {', '.join(instead)}"
            )


def needing(case: Case, one: str, other: str) -> Iterator[tuple[str, str]]:
    """Yield why two groups' prompts must differ, and what could be set instead."""
    if any(case.block("filter", method)["by"] == "probability" for method in case.drawing):
        yield "filter.by: probability tells groups apart by their prompts", "filter.by: cosine"
    pair = {one: other, other: one}
    beside = [m for m in case.adapting if any(lent in beside_of(case, m, own) for own, lent in pair.items())]
    if beside:
        yield (
            f"adapt.companions of {', '.join(beside)} trains generators of one group along on the other's"
            " images, which they would draw for it",
            "adapt.companions: false",
        )
    borrower = next((name for name, lender in pair.items() if case.groups[name]["donor"] == lender), None)
    if borrower and any(may_borrow(case.config, case.dataset, method) for method in case.adapting):
        yield (
            f"{borrower} may borrow the other's generators, which the prompt alone leads to its images",
            f"donor: null for {borrower}",
        )


def beside_of(case: Case, method: str, group: str) -> list[str]:
    """The groups on whose images a method trains a group's generators along."""
    companions = case.block("adapt", method)["companions"]
    return generator_settings.companions(Job(case.config, case.dataset, method, group)) if companions else []


def lengths(case: Case) -> Iterator[Finding]:
    """No prompt is longer than what reads it; cut off, it would lose its end token."""
    if not case.drawing:
        return
    groups = {
        f"datasets.{case.dataset}.groups.{name}.prompt": group["prompt"]
        for name, group in case.groups.items()
    }
    plain = {where: plain_prompt(text) for where, text in groups.items()}
    words = {case.block("adapt", method)["token"] for method in case.adapting}
    asked = [(where, instance_prompt(text, word)) for where, text in groups.items() for word in sorted(words)]
    asked.append(("prior.solver.negative_prompt", case.block("prior")["solver"]["negative_prompt"]))
    for methods, (negative,) in case.sharing(case.drawing, "sample.solver.negative_prompt"):
        asked.append((f"sample.solver.negative_prompt of {methods}", negative))
    base = base_folder(case.block("diffusion"))
    readers = [
        (place, text, [*plain.items(), *asked]) for place, text in (tokenizers_of(base) if base else ())
    ]
    scorers = [image_text_folder(model) for model in case.scorers()]
    readers += [(place, CLIP, list(plain.items())) for place in scorers if place]
    told = set()
    for place, reader, prompts in readers:
        for where, text in too_long(place, reader, prompts):
            if where not in told:
                yield Finding(f"config: {where}: {text}")
            told.add(where)


def tokenizers_of(base: Path) -> list[tuple[Path, Text]]:
    """The tokenizers of a base's text encoders, but for T5's, which reads more than the CLIPs beside it."""
    own = layout(base)
    encoders = own.encoders.items() if own else ()
    return [(base / f"tokenizer{suffix}", text) for suffix, text in encoders if text != T5]


def too_long(folder: Path, reader: Text, prompts: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the name of each prompt that the tokenizer of a text encoder, or of an image-text model's folder,
    finds too long, and what to say about it.
    """
    kind = (read(folder / "config.json") or {}).get("model_type")
    if kind in FAMILIES and FAMILIES[kind].vocabulary == tokenizer_file.FILES:
        yield from too_long_for(folder, kind, prompts)
        return
    limit, tokenizer = reader.tokens or limit_of(folder), None
    for where, text in prompts:
        # no token is shorter than a byte
        if len(text.encode()) + reader.around <= limit:
            continue
        tokenizer = tokenizer or load(folder, reader)
        if tokenizer is None:
            return
        count = len(tokenizer.encode(text, add_special_tokens=False).ids) + reader.around
        if count > limit:
            yield where, f"'{text}' has {count} tokens, and {folder} reads {limit}; shorten it"


def too_long_for(folder: Path, kind: str, prompts: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The same of an image-text model whose tokenizer is one file; nothing where that cannot be read."""
    family, tokenizer = FAMILIES[kind], None
    file, about = (folder / name for name in tokenizer_file.FILES)
    limit = family.limit(read(folder / "config.json") or {})
    for where, text in prompts:
        # no token is shorter than a byte, but for a start, an end and what stands for the space before a text
        if len(text.encode()) + 3 <= limit:
            continue
        try:
            tokenizer = tokenizer or tokenizer_file.read(file, about, limit, family.lowercase)
        except (OSError, ValueError):  # told by the check of its folder, or when it is loaded
            return
        if (count := len(tokenizer.ids(text))) > limit:
            yield where, f"'{text}' has {count} tokens, and {folder} reads {limit}; shorten it"


def limit_of(folder: Path) -> int:
    """Tokens that a text encoder reads, start and end included."""
    try:
        stated = json.loads((folder / "tokenizer_config.json").read_text()).get("model_max_length")
    except (OSError, ValueError):
        return LIMIT
    return int(stated) if isinstance(stated, int | float) and stated < 1e6 else LIMIT


def load(folder: Path, reader: Text) -> Any:
    """A text encoder's byte-pair tokenizer without transformers, CLIP's from its vocabulary and merges; None
    where it is not there.
    """
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    try:
        if reader != CLIP or not (folder / "vocab.json").is_file():
            return Tokenizer.from_file(str(folder / "tokenizer.json"))
        files = (str(folder / "vocab.json"), str(folder / "merges.txt"))
        pairs = BPE.from_file(*files, end_of_word_suffix="</w>", unk_token=UNKNOWN)
    except (
        Exception
    ):  # the library's own, without a class: an unreadable tokenizer is told by the check of its folder
        return None
    tokenizer = Tokenizer(pairs)
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), spaces, normalizers.Lowercase()])
    parts = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [parts, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return tokenizer

"""Before the first job: every checkpoint that the methods need is there, and its configs and headers can be
read.

By headers alone: torch, diffusers and transformers are never imported here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.core import safetensors_header
from fairgen.core.errors import FairgenError, shortened
from fairgen.core.schemas import nearest
from fairgen.models import families, lora, single_file
from fairgen.models.checkpoints import GATED, check_moved, gate, locate
from fairgen.models.families import FAMILIES
from fairgen.models.pipelines import ARCHITECTURES, CHATS, T5, encoders_of, fault, guess, unread
from fairgen.workflow.preflight import places
from fairgen.workflow.preflight.findings import ABSENT, MACHINE, NOTE, Case, Finding, settled

# how the name of a weight of each part starts, or ends if that has a dot in front
VAE = "decoder.conv_in.weight"
WORDS = ("vocab.json", "merges.txt")  # files of a tokenizer
SINGLE = "model.diffusion_model."  # the denoiser in a single file


def there(key: str, model: str, revision: str | None, file: str) -> Iterator[Finding]:
    """Yield why a model cannot be looked into: it is not there, or still at the hub."""
    if places.is_local(model):
        place = Path(locate(model))
        if not place.is_dir():
            yield Finding(f"config: {key}: there is no folder {place}; check the path, or give a hub id")
        elif not (place / file).is_file():
            yield Finding(f"config: {key}: the folder {place} holds no {file}; give the folder that does")
    elif places.snapshot(model, revision, file) is None:
        fetch = f"hf download {model}{f' --revision {revision}' if revision else ''}"
        if places.offline():
            yield Finding(
                f"config: {key}: {model} is not in the local cache, and HF_HUB_OFFLINE keeps to that; fetch"
                f" it with `{fetch}` where there is a network, or give a local folder"
            )
        elif model.startswith(GATED) and not places.logged_in():
            yield Finding(f"config: {key}: {gate(model)}", MACHINE)
        else:
            yield Finding(f"config: {key}: {model} will be downloaded; `{fetch}` does so before", NOTE)


def base(case: Case) -> Iterator[Finding]:
    """The base model of every method that draws: its index, and each part's config, weights and tokenizer."""
    if not case.drawing:
        return
    given = case.block("diffusion")
    model, key = given["model"], "diffusion.model"
    try:
        check_moved(model, key)
        if single_file.is_one(model):
            single_file.config_folder(model, given["config"])
    except FairgenError as error:
        yield Finding(f"config: {error}")
        return
    single = single_file.is_one(model)
    if not single:
        yield from there(key, model, given["revision"], "model_index.json")
    folder = places.base_folder(given)
    if folder is None:
        wrong = fault(model, {"_class_name": guess(model) or next(iter(ARCHITECTURES))})
        if wrong and not places.is_local(model):
            yield Finding(f"config: {key}: {wrong}")
        return
    about = places.read(folder / "model_index.json") or {"_class_name": "file that cannot be read"}
    if wrong := fault(model, about) or unread(model, about):
        yield Finding(f"config: {key}: {wrong}")
        return
    if single:
        yield from header([Path(locate(model))], f"config: {key}", SINGLE)
    found = parts(folder, about, None if single else given["variant"] or "", key)
    yield from settled(found, "" if single else rest_of(model, key))


def rest_of(model: str, key: str) -> str:
    """What to say of files that the local cache lacks of a hub id; "" where they are to be there."""
    if places.is_local(model) or places.offline():
        return ""
    return f"config: {key}: of {model} the local cache has a part; the rest will be downloaded"


def parts(folder: Path, about: dict[str, Any], variant: str | None, key: str) -> Iterator[Finding]:
    """Check the parts of a base's folder with this index; `variant` None asks for no weights, as beside a
    single file.
    """
    layout, encoders = ARCHITECTURES[about["_class_name"]], encoders_of(about)
    named = [(layout.denoiser, "diffusion_pytorch_model", layout.sign)]
    named += [("vae", "diffusion_pytorch_model", VAE)]
    named += [(f"text_encoder{suffix}", "model", text.sign) for suffix, text in encoders.items()]
    for name, stem, sign in named:
        where = f"config: {key}: {folder / name}"
        if places.read(folder / name / "config.json") is None:
            yield Finding(f"{where} holds no readable config.json; fetch the model again", ABSENT)
        elif variant is not None:
            yield from weights(folder / name, stem, variant, where, sign)
    schedule = folder / "scheduler"
    stated = places.read(schedule / "scheduler_config.json")
    if stated is None:
        yield Finding(
            f"config: {key}: {schedule} holds no readable scheduler_config.json; fetch the model again",
            ABSENT,
        )
    elif layout.flow != str(stated.get("_class_name")).startswith("FlowMatch"):
        yield Finding(
            f"config: {key}: {schedule} is that of a {stated.get('_class_name')}, and the base is"
            f" {'' if layout.flow else 'not '}trained by flow matching; fetch the model again"
        )
    for suffix, text in encoders.items():
        place = folder / f"tokenizer{suffix}"
        about_words = places.read(place / "tokenizer_config.json") or {}
        template = (place / "chat_template.jinja").is_file() or about_words.get("chat_template")
        if text in CHATS and place.is_dir() and not template:
            yield Finding(f"config: {key}: {place} holds no chat template; fetch the model again", ABSENT)
        yield from tokenizer(place, f"config: {key}: {place}", ("spiece.model",) if text == T5 else WORDS)


def weights(folder: Path, stem: str, variant: str, where: str, sign: str) -> Iterator[Finding]:
    """Check a part's weights, in one file or in shards, for a `variant` of them if that is no empty word."""
    name = f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"
    index = f"{stem}.safetensors.index.{variant}.json" if variant else f"{stem}.safetensors.index.json"
    shards = places.read(folder / index)
    listed = None if shards is None else shards.get("weight_map")
    if shards is not None and not (isinstance(listed, dict) and listed):
        yield Finding(f"{where}: {index} names no files (weight_map); fetch the model again")
        return
    files = sorted({folder / str(file) for file in listed.values()}) if listed else [folder / name]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        others = sorted(path.name for path in folder.glob(f"{stem}*"))
        alike = any(other.endswith(".safetensors") for other in others)
        remedy = "check diffusion.variant" if alike else "fetch the model with its safetensors files"
        remedy = "fetch the model again" if listed else remedy
        yield Finding(
            f"{where} holds no {missing[0]} but {', '.join(others) or 'nothing alike'}; {remedy}", ABSENT
        )
    else:
        yield from header(files, where, sign)


def header(files: list[Path], where: str, sign: str) -> Iterator[Finding]:
    """Check that files of safetensors are whole, and that one of them has a weight that is named like
    `sign`.
    """
    from safetensors import SafetensorError, safe_open

    names: list[str] = []
    for file in files:
        try:
            with safe_open(file, framework="numpy") as opened:
                names += list(opened.keys())
        except (OSError, SafetensorError) as error:
            reason = shortened(str(error))
            yield Finding(
                f"{where}: {file.name} is damaged or no safetensors file ({reason}); fetch it again"
            )
            return
    if not signed(names, sign):
        what = f"of other weights, for example {names[0]}" if names else "without weights"
        yield Finding(
            f"{where}: {files[0].name} is a file {what} {f' (expected {sign})' if sign else ''}; give the"
            " right model"
        )


def signed(names: list[str], sign: str) -> bool:
    """Whether one of a network's weights is named like `sign`, which is an end if it begins with a dot."""
    if sign.startswith("."):
        return any(f".{name}".endswith(sign) for name in names)
    return any(name.startswith(sign) for name in names)


def tokenizer(folder: Path, where: str, files: tuple[str, ...] = WORDS) -> Iterator[Finding]:
    """Check that a tokenizer's words are there; transformers would make one without words."""
    words = [name for name in files if not (folder / name).is_file()]
    if words and ("tokenizer.json" in files or not (folder / "tokenizer.json").is_file()):
        yield Finding(f"{where} holds no {words[0]} of a tokenizer; fetch the model again", ABSENT)


def image_text(model: str, key: str) -> Iterator[Finding]:
    """Check an image-text model in transformers' layout, of any family."""
    yield from there(key, model, None, "config.json")
    folder = places.image_text_folder(model)
    if folder is not None and (folder / "config.json").is_file():
        yield from settled(image_text_files(folder, model, f"config: {key}"), rest_of(model, key))


def image_text_files(folder: Path, model: str, key: str) -> Iterator[Finding]:
    """Check the files of an image-text model's folder."""
    where, about = f"{key}: {folder}", places.read(folder / "config.json")
    for name in ("config.json", "preprocessor_config.json"):
        if places.read(folder / name) is None:
            yield Finding(f"{where} holds no readable {name}; fetch the model again", ABSENT)
    if about is None:
        return
    try:
        family = FAMILIES[families.family(about, model, key)]
    except FairgenError as error:
        yield Finding(str(error))
        return
    yield from weights(folder, "model", "", where, family.sign)
    yield from tokenizer(folder, where, family.vocabulary)


def judges(case: Case) -> Iterator[Finding]:
    """The models that score samples, and the encoders whose features are clustered or compared."""
    asked = dict.fromkeys(case.scorers().items())
    encoders = [(own["kind"], own["model"], f"{key}.model") for key, own in case.encoders().items()]
    asked |= {(model, key): None for kind, model, key in encoders if kind == "clip"}
    for model, key in asked:
        yield from image_text(model, key)
    for kind, model, key in encoders:
        if kind == "timm" and places.is_local(model):
            yield from timm_folder(model, key)


def timm_folder(model: str, key: str) -> Iterator[Finding]:
    """A local folder in timm's layout holds what it has to."""
    folder = Path(locate(model))
    where = f"config: {key}: {folder}"
    if not folder.is_dir():
        what = "give a folder in timm's layout, or the name of a timm model"
        yield Finding(f"config: {key}: there is no folder {model}; {what}")
        return
    if places.read(folder / "config.json") is None:
        yield Finding(f"{where} holds no readable config.json; fetch the model again")
    if (folder / "model.safetensors").is_file():
        yield from header([folder / "model.safetensors"], where, "")
    else:
        yield Finding(f"{where} holds no model.safetensors; fetch the model again")


def layers(case: Case) -> Iterator[Finding]:
    """The denoiser has every layer that LoRA is asked to adapt."""
    given = case.block("diffusion")
    if not case.adapting or single_file.is_one(given["model"]):
        return
    folder = places.base_folder(given)
    own = places.layout(folder) if folder else None
    try:
        weights = [name for file in places.denoiser_files(given) for name in safetensors_header.shapes(file)]
    except (OSError, ValueError, KeyError, TypeError):  # told by `base`
        return
    if not own or not signed(weights, own.sign):  # a file of other weights, told by `base` too
        return
    names = [name.removesuffix(".weight") for name in weights]
    for methods, (adapt,) in case.sharing(case.adapting, "adapt"):
        for target in lora.absent(adapt["lora"]["targets"], names) if adapt["kind"] == "lora" else ():
            known = {name.rpartition(".")[2] for name in names} - {"0", "2"}
            yield Finding(
                f"config: adapt.lora.targets: the base of {methods} on {case.dataset} has no layer"
                f" '{target}'; {nearest(target, sorted(known))}"
            )


def backbones(case: Case) -> Iterator[Finding]:
    """Local files of weights that classifiers start from."""
    for methods, (settings,) in case.sharing(list(case.methods), "classifier"):
        start = settings["pretrained"]
        if not isinstance(start, str):
            continue
        if not Path(locate(start)).is_file():
            yield Finding(
                f"config: classifier.pretrained: no file {start} for {methods} on {case.dataset}; give a"
                " file, or true"
            )
        else:
            yield from header([Path(locate(start))], "config: classifier.pretrained", "")

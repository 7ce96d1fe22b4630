"""The card of an exported generator."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from fairgen import __version__
from fairgen.commands.exports import card
from fairgen.core import places, safetensors_header
from fairgen.core.markdown import clean

ABOUT = (
    "A {kind} of a text-to-image model, trained by fairgen {version} on {images} images of the group"
    " `{group}`{cluster} to draw more images like them. Its prompt is `{prompt}`."
)
USE = """\
## Intended use

To draw training images that balance the groups of a data set, and to look at what such a set is made of. Not
to judge or depict real persons, and not as a general image generator: it has seen few images, and what it
draws of anything else is the base model's.

## Limits

- What the base model has learnt, its biases too, is in every image.
- A generator of few images can repeat them; look for near copies before you show what it draws.
- A label is what the generator was asked for, not what an image shows."""
LOADING = {
    "diffusers": {
        "lora": 'pipeline.load_lora_weights("{output}")',
        "full": 'DiffusionPipeline.from_pretrained("{output}")',
    },
    "kohya": {
        "lora": "by sd-scripts (`--network_weights`), of FLUX.2 and Z-Image by musubi-tuner (`--lora_weight`)"
    },
    "comfyui": {"lora": "in `models/loras`, by the node *Load LoRA*"},
    "a1111": {"lora": "in `models/Lora`, as `<lora:NAME:1>` in the prompt"},
}
STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}  # names in a file's header
# the hub's name of files that are loaded one by one: a snippet for diffusers would look for a folder
ONE_FILE = "diffusion-single-file"
DIFFERENCES = (
    "This is a DoRA, written as what it adds to each weight: it is exact at strength 1 only. At another"
    " strength it is not the DoRA that was trained."
)
CHECKPOINT = (
    "as a checkpoint: in `models/checkpoints` of ComfyUI, in `models/Stable-diffusion` of AUTOMATIC1111"
)


def named_base(facts: dict[str, Any]) -> str:
    """The hub id of the base; "" where it is a local one."""
    return facts["base"].rpartition(places.HUB)[0]


def dtypes(folder: Path) -> str:
    """What the numbers of an exported generator are stored as, by its files."""
    headers = (safetensors_header.read(path)[0] for path in folder.rglob("*.safetensors"))
    found = {about["dtype"] for header in headers for about in header.values() if "dtype" in about}
    return ", ".join(name for key, name in STORED.items() if key in found)


def page(facts: dict[str, Any], options: Namespace, folder: Path) -> str:
    """The card of a folder as Markdown."""
    base, kind = named_base(facts), facts["kind"]
    plain = options.layout == "diffusers"
    tags = ["text-to-image", "fairgen", *(["lora"] if kind == "lora" else [])]
    front = {
        **card.front_licence(options),
        **({"base_model": base} if base else {}),
        "library_name": "diffusers" if plain else ONE_FILE,
        "pipeline_tag": "text-to-image",
        "instance_prompt": facts["prompt"],
        "tags": tags,
    }
    settings = facts.get("settings", {})
    recipe = settings.get("recipe", {})
    shown = {
        "kind": kind,
        "base": facts["base"],
        "rank": facts.get("rank"),
        "alpha": facts.get("alpha"),
        "dora": facts.get("dora"),
        "steps": recipe.get("steps"),
        "batch": recipe.get("batch"),
        "learning rate": recipe.get("lr"),
        "learning rate of the text encoders": recipe.get("text_lr"),
        "weight of class images": recipe.get("prior_weight"),
        "trained along on": ", ".join(settings.get("companions", [])) or None,
        "resolution": settings.get("base", {}).get("resolution"),
        "seed": settings.get("seed"),
        "layout": options.layout,
        "dtype": dtypes(folder),
    }
    loading = LOADING[options.layout].get(kind, CHECKPOINT).format(output=options.output.name)
    about = ABOUT.format(
        kind="LoRA" if kind == "lora" else "full finetune",
        version=__version__,
        images=facts["images"],
        group=clean(facts["group"]),
        cluster=f", cluster {facts['cluster']}," if facts["cluster"] else "",
        prompt=clean(facts["prompt"]),
    )
    parts = [
        f"# Generator of {clean(facts['group'])}, cluster {facts['cluster']}",
        about,
        "## How it is loaded\n\n"
        + (f"```python\n{loading}\n```" if plain else loading[0].upper() + loading[1:] + ".")
        + (f"\n\n{DIFFERENCES}" if facts.get("dora") and not plain else ""),
        "## How it was trained\n\n" + card.settings(shown),
        USE,
        card.licences(
            options,
            "this generator",
            {"base model": options.base_license, "training images": options.data_license},
        ),
    ]
    return card.page(front, parts)

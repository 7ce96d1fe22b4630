"""What would end a job is told before the first one, all at once: each fault injected, and its line."""

import copy
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flow_miniatures
import pytest
import yaml
from workflows import PROJECT, Workflow

from fairgen.core.callback import MONITOR
from fairgen.core.errors import FairgenError
from fairgen.models.pipelines import CLIP, NOT_THINKING
from fairgen.workflow import command_line, preflight
from fairgen.workflow.command_line import DEFAULT, Call, call, requested, tell_jobs
from fairgen.workflow.expansion import expanded
from fairgen.workflow.method_chain import merged
from fairgen.workflow.preflight import machine, places, probes, prompts
from fairgen.workflow.preflight.findings import NOTE, Finding

TARGET = "results/birds/worst_group.json"
BIRDS = ("datasets", "birds")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """timm is not asked but where a test says so, and the machine has neither GPUs nor an own cache of the
    hub.
    """
    monkeypatch.setattr(probes, "ask", lambda asked: iter(()))
    monkeypatch.setattr(machine, "gpus", list)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    places.snapshot.cache_clear()


@pytest.fixture
def diffusion(tmp_path: Path) -> Path:
    """A copy of the embedded base, to be damaged."""
    return shutil.copytree(PROJECT / "fairgen/embedded/weights/diffusion", tmp_path / "diffusion")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A copy of the embedded CLIP, to be damaged."""
    return shutil.copytree(PROJECT / "fairgen/embedded/weights/clip", tmp_path / "clip")


def edited(config: dict, *edits: tuple[tuple[str, ...], Any]) -> dict:
    """The config with values set at dotted places."""
    changed = copy.deepcopy(config)
    for path, value in edits:
        place = changed
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = copy.deepcopy(value)
    return expanded(changed)


def own(**blocks: Any) -> tuple[tuple[str, ...], Any]:
    """An edit of the birds' own settings, over those that the config has."""
    given = yaml.safe_load((PROJECT / "config.yaml").read_text())["datasets"]["birds"]["settings"]
    return (*BIRDS, "settings"), merged(given, blocks)


def told(config: dict, target: str = TARGET, here: bool = True, runs: bool = True) -> list[str]:
    """The lines of what stops."""
    try:
        preflight.check(config, [target], here, runs)
    except FairgenError as error:
        return str(error).splitlines()
    return []


def test_the_config_as_it_is_passes(config: dict, capsys: pytest.CaptureFixture) -> None:
    for target in (
        "worst_group.json",
        "check.md",
        "audit_synthetic.json",
        "bias-0.99/lora/seed-0/model.safetensors",
    ):
        assert told(config, f"results/birds/{target}") == []
    assert capsys.readouterr().err == ""


GROUP = (*BIRDS, "groups", "landbird-land", "prompt")


@pytest.mark.parametrize(
    ("edits", "line"),
    [
        (
            [own(filter={"quota": 541})],
            "config: filter.quota: 541 images of vanilla, lora, dreambooth, clustered on birds are more"
            " than the 540 images of",
        ),
        (
            [own(filter={"balance": "data"})],
            "config: filter.quota: 760 images of the largest group of vanilla, lora, dreambooth, clustered on"
            " birds (of 400 on average, by filter.balance: data) are more than the 540 images of",
        ),
        (
            [own(filter={"threshold": 1.5})],
            "config: filter.threshold: a probability is never over 1, and of vanilla, lora, dreambooth,"
            " clustered on birds",
        ),
        (
            [own(filter={"by": "quantile", "threshold": 0.5, "allow_shortfall": False})],
            "config: filter.quota: 400 images of vanilla, lora, dreambooth, clustered on birds are more than",
        ),
        (
            [own(adapt={"full": {"prior_batch": 0}})],
            "config: adapt.full.prior_batch: dreambooth, clustered on birds weighs class images",
        ),
        (
            [(GROUP, "a landbird on land")],
            "config: datasets.birds.groups.landbird-land.prompt: 'a landbird on land' has no [V]",
        ),
        (
            [(GROUP, "a landbird on water [V]")],
            "config: datasets.birds.groups.landbird-water.prompt: it is that of landbird-land",
        ),
        (
            [(GROUP, "a [V]" + " bird" * 30)],
            "config: datasets.birds.groups.landbird-land.prompt: 'a" + " bird" * 30 + "' has 33",
        ),
        (
            [own(sample={"solver": {"negative_prompt": "x " * 30}})],
            "config: sample.solver.negative_prompt of vanilla, lora, dreambooth, clustered: 'x x",
        ),
        (
            [own(score={"second": "./nowhere"})],
            "config: score.second: there is no folder nowhere; check the path",
        ),
        (
            [own(score={"model": "./nowhere", "second": "./nowhere"})],
            "config: score.model: there is no folder nowhere; check the path",
        ),
        (
            [own(diffusion={"model": "./nowhere"})],
            "config: diffusion.model: there is no folder nowhere; check the path",
        ),
        (
            [own(diffusion={"model": "runwayml/stable-diffusion-v1-5"})],
            "config: diffusion.model: 'runwayml/stable-diffusion-v1-5'",
        ),
        (
            [own(adapt={"lora": {"targets": ["to_q", "to_outt.0"]}})],
            "config: adapt.lora.targets: the base of lora on birds has no layer 'to_outt.0'; ",
        ),
        ([own(diffusion={"model": "sd.ckpt"})], "config: diffusion.model: sd.ckpt is a pickle"),
        ([own(diffusion={"variant": "fp16"})], "config: diffusion.model: "),
        ([own(score={"model": "fairgen:embedded/weights"})], "config: score.model: the folder "),
        (
            [own(embed={"encoder": {"model": "/nowhere"}})],
            "config: embed.encoder.model: there is no folder /nowhere",
        ),
        (
            [own(classifier={"pretrained": "no.safetensors"})],
            "config: classifier.pretrained: no file no.safetensors for erm, groupdro, vanilla",
        ),
    ],
)
def test_a_plannable_mistake_is_one_line(config: dict, edits: list, line: str) -> None:
    found = told(edited(config, *edits))
    assert any(text.startswith(line) for text in found), found
    assert all(";" in text for text in found), "each says what to do"


def test_all_mistakes_of_all_data_sets_are_told_at_once(config: dict, tmp_path: Path) -> None:
    wrong = edited(
        config,
        own(filter={"quota": 999}, score={"model": "/nowhere"}, classifier={"pretrained": "no.safetensors"}),
        (("datasets", "utkface", "root"), str(tmp_path / "faces")),
    )
    with pytest.raises(FairgenError) as error:
        preflight.check(wrong, [TARGET, "results/utkface/index.parquet"])
    found = str(error.value).splitlines()
    assert [
        text.split(": ")[0] + ": " + text.split(": ")[1] for text in found if "filter.quota" not in text
    ] == [
        "config: score.model",
        "config: classifier.pretrained",
        f"data set utkface: the folder {tmp_path / 'faces'} does not exist; expected a folder of images"
        " named [age]_[gender]_[race]_[date and time].jpg or …jpg.chip.jpg (the cropped set); put the files"
        " there, or point elsewhere with datasets.utkface.root in config.yaml",
    ]
    assert len([text for text in found if "filter.quota" in text]) == 1


def test_only_what_the_targets_need_is_looked_at(config: dict) -> None:
    wrong = edited(
        config, own(diffusion={"model": "/nowhere"}, score={"model": "/nowhere"}, filter={"quota": 999})
    )
    for target in ("index.parquet", "bias-0.99/erm/seed-0/metrics.json", "audit.md"):
        assert told(wrong, f"results/birds/{target}") == []
    assert len(told(wrong, "results/birds/bias-0.99/vanilla/seed-0/metrics.json")) == 3
    assert told(edited(wrong, (("compare",), ["erm", "groupdro"]))) == []
    assert (
        len(told(edited(wrong, (("ablations",), {"a": ["erm", "vanilla"]})), "results/birds/ablations/a.png"))
        == 3
    )


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("results/birdz/worst_group.json", "unknown data set 'birdz'; did you mean birds?"),
        ("results/birds/replicates.json", "data set birds has no replicates"),
        (
            "results/birds/ablations/loss.json",
            "unknown ablation 'loss'; list methods under ablations in the config",
        ),
    ],
)
def test_a_target_of_nothing_known_is_one_line(config: dict, target: str, line: str) -> None:
    (found,) = told(config, target)
    assert found.startswith(line)


def test_replicates_and_extra_data_are_looked_at(config: dict, tmp_path: Path) -> None:
    faces = (("datasets", "utkface", "root"), str(tmp_path))
    extra = edited(config, (("methods", "erm", "pretrain"), {"extra": "utkface"}), faces)
    assert any(f"the folder {tmp_path} is empty" in line for line in told(extra))
    copies = [(("datasets", f"r{i}"), {"like": "birds", "root": f"results/r{i}"}) for i in (1, 2)]
    wrong = edited(
        config, *copies, (("replicates",), {"birds": ["birds", "r1", "r2"]}), own(filter={"quota": 999})
    )
    assert {
        name
        for name in ("birds", "r1", "r2")
        for line in told(wrong, "results/birds/replicates.json")
        if f"on {name} " in line
    } == {*("birds", "r1", "r2")}


def faces(config: dict, root: Path, *edits: tuple[tuple[str, ...], Any]) -> dict:
    """The config with a folder for utkface, and edits."""
    return edited(config, (("datasets", "utkface", "root"), str(root)), *edits)


def test_a_folder_of_data_holds_something(config: dict, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    index = "results/utkface/index.parquet"
    for root, said in ((tmp_path / "no", "does not exist"), (tmp_path / "file", "is no folder")):
        assert said in told(faces(config, root), index)[0]
    (tmp_path / "empty").mkdir()
    assert (
        "is empty; expected a folder of images named [age]"
        in told(faces(config, tmp_path / "empty"), index)[0]
    )
    assert told(faces(config, tmp_path), index) == []
    table = {"format": "table", "options": {"file": "labels.csv", "path": "p", "split": None}}
    named = told(faces(config, tmp_path, *((("datasets", "utkface", k), v) for k, v in table.items())), index)
    assert named == [
        f"config: datasets.utkface.options.file: there is no {tmp_path}/labels.csv; name the table of labels"
        " below the root"
    ]


def test_a_split_of_fairgens_own_has_three_parts(config: dict, tmp_path: Path) -> None:
    (tmp_path / "image.jpg").touch()
    wrong = faces(config, tmp_path, (("index", "fractions"), [0.9, 0, 0.1]))
    assert told(wrong, "results/utkface/index.parquet")[0].startswith(
        "config: index.fractions: no validation images"
    )
    assert told(edited(config, (("index", "fractions"), [0.9, 0, 0.1])), "results/birds/index.parquet") == []


def remove(name: str) -> Callable[[Path], object]:
    """Delete a file."""
    return lambda folder: (folder / name).unlink()


def cut(name: str) -> Callable[[Path], object]:
    """Leave half of a file, as an interrupted download does."""
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: (folder / name).stat().st_size // 2]
    )


def swap(name: str, other: str) -> Callable[[Path], object]:
    """Put another file in a file's place."""
    return lambda folder: shutil.copy(folder / other, folder / name)


def says(name: str, text: str) -> Callable[[Path], object]:
    """A damage: the file says this instead."""
    return lambda folder: (folder / name).write_text(text)


# what a base that is trained by flow matching asks of the settings
FLOW: dict[str, Any] = {
    "adapt": {"min_snr": 0, "lora": {"targets": [], "text_lr": 0}, "full": {"text_lr": 0}},
    "sample": {"solver": {"scheduler": "euler"}},
    "prior": {"solver": {"scheduler": "euler"}},
}


@pytest.mark.parametrize("architecture", flow_miniatures.ARCHITECTURES)
def test_bases_of_flow_matching_pass(config: dict, flow_folders: dict, architecture: str) -> None:
    given = own(**FLOW, diffusion={"model": str(flow_folders[architecture])})
    assert told(edited(config, given)) == []


@pytest.mark.parametrize(
    ("blocks", "line"),
    [
        (
            {"adapt": {"min_snr": 5}},
            r"adapt\.min_snr: .*, for lora, .* on birds, is trained by flow matching, .*; set it to 0$",
        ),
        ({"adapt": {"min_snr": 0, "offset_noise": 0.1}}, r"adapt\.offset_noise: .*; set it to 0$"),
        (
            {"adapt": {"min_snr": 0, "lora": {"text_lr": 1e-5}}},
            r"adapt\.lora\.text_lr: .*, for lora on birds, has text encoders that are not .*; set it to 0$",
        ),
        (
            {"sample": {"solver": {"scheduler": "unipc"}}},
            r"sample\.solver\.scheduler: unipc, for .* on birds, is for Stable Diffusion .*; set euler$",
        ),
        (
            {"prior": {"solver": {"scheduler": "unipc"}}},
            r"prior\.solver\.scheduler: unipc, for class images on birds, is for .*",
        ),
        (
            {"diffusion": {"resolution": 40}},
            r"diffusion\.resolution: .* draws multiples of 16 pixels, not 40; take 32$",
        ),
    ],
)
def test_what_flow_matching_does_not_know_is_one_line(
    config: dict, flow_folders: dict, blocks: dict, line: str
) -> None:
    changes = merged({**FLOW, "diffusion": {"model": str(flow_folders["klein"])}}, blocks)
    (said,) = told(edited(config, own(**changes)))
    assert re.match(rf"config: {line}", said)


@pytest.mark.parametrize(
    ("blocks", "key"),
    [
        ({"sample": {"solver": {"steps": 61}}}, "sample.solver.steps"),
        ({"prior": {"solver": {"steps": 61}}}, "prior.solver.steps"),
    ],
)
def test_steps_that_no_solver_takes_are_told_before_hours_of_training(
    config: dict, blocks: dict, key: str
) -> None:
    (said,) = told(edited(config, own(**blocks)))
    assert said == f"config: {key}: 61 steps cannot be spaced on a base of 1000 training steps; take 60 or 62"


def test_a_method_s_own_solver_counts_not_the_one_that_no_method_has(
    config: dict, flow_folders: dict
) -> None:
    drawing = ("vanilla", "lora", "dreambooth", "clustered")
    unipc, euler = ({"sample": {"solver": {"scheduler": kind}}} for kind in ("unipc", "euler"))
    klein = {**FLOW, "diffusion": {"model": str(flow_folders["klein"])}}
    (said,) = told(edited(merged(config, {"methods": {"lora": unipc}}), own(**klein)))
    assert said.startswith("config: sample.solver.scheduler: unipc, for lora on birds, is for Stable")
    every = {"methods": {method: euler for method in drawing}}
    assert told(edited(merged(config, every), own(**merged(klein, unipc)))) == []


def test_prompts_that_are_too_long_are_each_told(config: dict) -> None:
    """Also where two methods have one each."""
    given = {m: {"sample": {"solver": {"negative_prompt": f"{m} " * 40}}} for m in ("lora", "dreambooth")}
    said = told(edited(merged(config, {"methods": given})))
    assert [line.split(": ")[1] for line in said] == [
        "sample.solver.negative_prompt of lora",
        "sample.solver.negative_prompt of dreambooth, clustered",
    ]


BY_RANK = own(filter={"by": "quantile", "threshold": 0.1})


@pytest.mark.parametrize(
    ("edits", "why"),
    [
        ([], ["filter.by: probability", "adapt.companions of lora, dreambooth, clustered", "may borrow"]),
        ([BY_RANK], ["adapt.companions of lora, dreambooth, clustered", "landbird-water may borrow"]),
        ([BY_RANK, ((*BIRDS, "settings", "adapt", "companions"), False)], ["landbird-water may borrow"]),
        ([BY_RANK, (("adapt", "borrow_below"), 0)], ["adapt.companions of lora, dreambooth, clustered"]),
        (
            [BY_RANK, ((*BIRDS, "settings", "adapt", "companions"), False), (("adapt", "borrow_below"), 0)],
            [],
        ),
    ],
)
def test_groups_that_only_their_prompts_tell_apart_have_different_ones(
    config: dict, edits: list, why: list[str]
) -> None:
    """Else generators of a conflicting group would learn, or be led to, the images of an aligned one."""
    said = told(edited(config, *edits, (GROUP, "a [V] Landbird on water")))
    assert len(said) == bool(why)
    for line in said:
        assert line.startswith(
            "config: datasets.birds.groups.landbird-water.prompt: it is that of landbird-land, and "
        )
        assert all(part in line for part in why)
        assert ("companions" in line, "borrow" in line, "filter.by" in line) == tuple(
            any(word in part for part in why) for word in ("companions", "borrow", "filter.by")
        )


def test_conflicting_groups_may_have_the_same_prompt_where_it_decides_nothing(
    config: dict,
) -> None:
    same = ((*BIRDS, "groups", "landbird-water", "prompt"), "a [V] waterbird on land")
    assert told(edited(config, BY_RANK, same)) == []


def test_a_prompt_that_qwen_cannot_read_is_one_line(config: dict, flow_folders: dict) -> None:
    """Its 512 tokens hold a chat's frame too; one fewer is enough."""
    klein = {**FLOW, "diffusion": {"model": str(flow_folders["klein"])}}
    room = NOT_THINKING.tokens - NOT_THINKING.around

    def said(length: int) -> list[str]:
        negative = {"sample": {"solver": {"negative_prompt": "x" * length}}}
        return told(edited(config, own(**merged(klein, negative))))

    assert said(room) == []
    (line,) = said(room + 1)
    assert line.startswith(
        "config: sample.solver.negative_prompt of vanilla, lora, dreambooth, clustered: 'xxx"
    )
    assert f"has {NOT_THINKING.tokens + 1} tokens, and " in line


def test_settings_of_flow_matching_on_another_base_are_one_line(config: dict) -> None:
    for key, value, remedy in (("weighting", "mode", "none"), ("shift", 2, "1")):
        (said,) = told(edited(config, own(adapt={key: value})))
        assert said.startswith(f"config: adapt.{key}: fairgen:embedded")
        assert said.endswith(f"is not trained by flow matching; set {key}: {remedy}")


@pytest.mark.parametrize(
    ("architecture", "damage", "said"),
    [
        (
            "klein",
            remove("transformer/config.json"),
            "transformer holds no readable config.json",
        ),
        ("klein", remove("tokenizer/tokenizer.json"), "tokenizer holds no vocab.json of a tok"),
        ("sd35", remove("tokenizer_3/tokenizer.json"), "tokenizer_3 holds no spiece.model of a"),
        (
            "z-image",
            swap("text_encoder/model.safetensors", "vae/diffusion_pytorch_model.safetensors"),
            "(expected .embed_tokens.weight)",
        ),
        (
            "z-image",
            says("model_index.json", '{"_class_name": "FluxPipeline"}'),
            "is a FluxPipeline; give one of StableDiffusionPipeline, ",
        ),
        (
            "klein",
            says("model_index.json", '{"_class_name": "Flux2KleinPipeline", "is_distilled": true}'),
            "is distilled to few steps",
        ),
        (
            "z-image",
            says("model_index.json", '{"_class_name": "ZImagePipeline"}'),
            "names no text_encoder; fetch the model again",
        ),
        (
            "klein",
            says(
                "model_index.json",
                '{"_class_name": "Flux2KleinPipeline", "text_encoder": ["transformers", "GPT2Model"]}',
            ),
            "is a GPT2Model, and fairgen reads Qwen3ForCausalLM and Qwen3Model",
        ),
        (
            "sd35",
            says("scheduler/scheduler_config.json", '{"_class_name": "DDPMScheduler"}'),
            "is that of a DDPMScheduler, and the base is trained by flow matching",
        ),
        ("z-image", remove("tokenizer/chat_template.jinja"), "tokenizer holds no chat template"),
        (
            "klein",
            says("text_encoder/model.safetensors.index.json", '{"metadata": {}}'),
            "model.safetensors.index.json names no files (weight_map); fetch the model again",
        ),
        (
            "klein",
            says(
                "text_encoder/model.safetensors.index.json",
                '{"weight_map": {"a": "model-00001-of-00002.safetensors"}}',
            ),
            "holds no model-00001-of-00002.safetensors",
        ),
    ],
)
def test_a_damaged_base_of_flow_matching_is_named(
    config: dict, flow_folders: dict, tmp_path: Path, architecture: str, damage: Callable, said: str
) -> None:
    folder = shutil.copytree(flow_folders[architecture], tmp_path / "base")
    damage(folder)
    (line,) = told(edited(config, own(**FLOW, diffusion={"model": str(folder)})))
    assert line.startswith("config: diffusion.model: ")
    assert said in line


def test_a_base_at_the_hub_is_told_by_its_name(config: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 16 GB are fetched: what its process does not know, and that its licence has to be accepted."""
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    klein = {"model": "black-forest-labs/FLUX.2-klein-base-4B"}
    assert {line.split(":")[1].strip() for line in told(edited(config, own(diffusion=klein)))} == {
        "adapt.min_snr",
        "adapt.lora.text_lr",
        "adapt.full.text_lr",
        "sample.solver.scheduler",
        "prior.solver.scheduler",
    }
    gated = {"model": "stabilityai/stable-diffusion-3.5-medium"}
    (line,) = told(edited(config, own(**FLOW, diffusion=gated)))
    assert line.startswith(
        f"config: diffusion.model: '{gated['model']}' is gated at the hub; accept its terms at http"
    )
    larger = {"model": "black-forest-labs/FLUX.2-klein-base-9B"}
    (line,) = told(edited(config, own(**FLOW, diffusion=larger)))
    assert f"'{larger['model']}' is gated at the hub" in line
    for fast in ("Tongyi-MAI/Z-Image-Turbo", "black-forest-labs/FLUX.2-klein-4B"):
        (line,) = told(edited(config, own(**FLOW, diffusion={"model": fast})))
        assert line.startswith(f"config: diffusion.model: {fast} is distilled to few steps")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "token")
    assert told(edited(config, own(**FLOW, diffusion=gated))) == []


UNET, TEXT = "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove("model_index.json"), "holds no model_index.json"),
        (
            lambda folder: (folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}'),
            "a FluxPipeline; give one of",
        ),
        (remove("unet/config.json"), "unet holds no readable config.json"),
        (
            remove(UNET),
            "unet holds no diffusion_pytorch_model.safetensors but nothing alike; fetch the model",
        ),
        (
            lambda folder: (folder / UNET).rename(folder / UNET.replace("safetensors", "bin")),
            "but diffusion_pytorch_model.bin",
        ),
        (cut(UNET), "diffusion_pytorch_model.safetensors is damaged"),
        (
            swap(UNET, "vae/diffusion_pytorch_model.safetensors"),
            "is a file of other weights, for example decoder.",
        ),
        (cut(TEXT), "model.safetensors is damaged"),
        (remove("tokenizer/merges.txt"), "tokenizer holds no merges.txt of a tokenizer"),
        (remove("scheduler/scheduler_config.json"), "holds no readable scheduler_config.json"),
    ],
)
def test_a_damaged_base_is_named(config: dict, diffusion: Path, damage: Callable, said: str) -> None:
    given = edited(config, own(diffusion={"model": str(diffusion)}))
    assert told(given) == []
    damage(diffusion)
    line, *others = told(given)
    assert (line, others) == (line, []), others
    assert line.startswith("config: diffusion.model: ")
    assert said in line


def test_a_base_in_one_file_is_looked_at(config: dict, diffusion: Path, tmp_path: Path) -> None:
    file = tmp_path / "sd.safetensors"
    shutil.copy(diffusion / UNET, file)
    given = edited(config, own(diffusion={"model": str(file)}))
    assert told(given)[0].startswith(
        f"config: diffusion.config: {file} is a single file; give the folder with the configs"
    )
    (line,) = told(edited(given, ((*BIRDS, "settings", "diffusion", "config"), str(diffusion))))
    assert "is a file of other weights" in line
    assert "(expected model.diffusion_model.)" in line


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove("config.json"), "holds no config.json"),
        (remove("model.safetensors"), "holds no model.safetensors"),
        (cut("model.safetensors"), "is damaged"),
        (remove("vocab.json"), "holds no vocab.json of a tokenizer"),
        (remove("preprocessor_config.json"), "holds no readable preprocessor_config.json"),
    ],
)
@pytest.mark.parametrize("key", ["score.model", "embed.encoder.model"])
def test_a_damaged_clip_is_named(config: dict, clip: Path, damage: Callable, said: str, key: str) -> None:
    block = (
        {"score": {"model": str(clip)}}
        if key == "score.model"
        else {"embed": {"encoder": {"kind": "clip", "model": str(clip)}}}
    )
    given = edited(config, own(**block))
    assert told(given) == []
    damage(clip)
    (line,) = told(given)
    assert line.startswith(f"config: {key}: ")
    assert said in line


@pytest.mark.parametrize("key", ["embed", "audit"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove("config.json"), "holds no readable config.json"),
        (remove("model.safetensors"), "holds no model.safetensors"),
        (cut("model.safetensors"), "is damaged"),
        (shutil.rmtree, "there is no folder"),
    ],
)
def test_a_damaged_folder_of_a_timm_encoder_is_named(
    config: dict, tmp_path: Path, damage: Callable, said: str, key: str
) -> None:
    folder = shutil.copytree(PROJECT / "fairgen/embedded/weights/backbone", tmp_path / "backbone")
    given = edited(config, own(**{key: {"encoder": {"kind": "timm", "model": str(folder)}}}))
    assert told(given) == []
    damage(folder)
    (line,) = told(given)
    assert line.startswith(f"config: {key}.encoder.model: ")
    assert said in line


def test_a_second_scorer_that_is_not_asked_is_noted(config: dict, capsys: pytest.CaptureFixture) -> None:
    second = {"second": "fairgen:embedded/weights/clip"}
    assert told(edited(config, own(score=second))) == []
    assert capsys.readouterr().err == ""
    assert told(edited(config, own(score=second, filter={"by": "cosine", "threshold": 0.1}))) == []
    assert (
        "fairgen: warning: config: score.second: fairgen:embedded/weights/clip is not asked about the samples"
        " of vanilla, lora, dreambooth, clustered on birds, whose filter.by is cosine"
    ) in capsys.readouterr().err


def cached(folder: Path, hub: Path, name: str) -> Path:
    """A folder as a snapshot in a hub cache, its files links to blobs."""
    home = hub / f"models--{name.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs/main").write_text("c0ffee")
    shutil.copytree(folder, home / "snapshots/c0ffee")
    return home / "snapshots/c0ffee"


def test_a_hub_id_is_looked_up_in_the_cache(
    config: dict,
    diffusion: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    given = edited(config, own(diffusion={"model": "some/base"}))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert told(given) == []
    assert capsys.readouterr().err == (
        "fairgen: warning: config: diffusion.model: some/base will be downloaded; `hf download some/base`"
        " does so before\n"
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (line,) = told(given)
    assert line.startswith(
        "config: diffusion.model: some/base is not in the local cache, and HF_HUB_OFFLINE keeps to that;"
        " fetch it"
    )
    places.snapshot.cache_clear()
    place = cached(diffusion, tmp_path / "hub", "some/base")
    assert told(given) == []
    (place / UNET).unlink()
    assert "unet holds no diffusion_pytorch_model.safetensors" in told(given)[0]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert told(given) == []
    assert "the local cache has a part; the rest will be downloaded" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["a photo of a V grown man", "naïve café, isn't it 1234?", "supercalifragilistic " * 8, "  a\n b  "],
)
@pytest.mark.parametrize("folder", ["diffusion/tokenizer", "clip"])
def test_tokens_are_counted_as_transformers_does(text: str, folder: str) -> None:
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    place = PROJECT / "fairgen/embedded/weights" / folder
    expected = len(CLIPTokenizer.from_pretrained(place)(text, verbose=False)["input_ids"])
    assert len(prompts.load(place, CLIP).encode(text, add_special_tokens=False).ids) + 2 == expected
    assert expected <= len("".join(text.split()).encode()) + 2  # so that short prompts need no tokenizer


def test_a_machine_without_gpus_stops_what_computes_on_it(
    config: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    given = edited(config, ((*BIRDS, "gpu"), 2))
    (line,) = told(given)
    assert line.startswith(
        "config: datasets.birds.gpu: jobs ask for 2 GPUs, and this machine shows 0; set gpu: 0 to compute on"
    )
    assert told(given, here=False) == []
    assert "warning" not in capsys.readouterr().err
    # planned, or nothing for a GPU in it
    for target, runs in ((TARGET, False), ("results/birds/check.md", True)):
        assert told(given, target, runs=runs) == []
        assert "fairgen: warning: config: datasets.birds.gpu: jobs ask for 2" in capsys.readouterr().err
    for found in ([24000, 24000], None):
        monkeypatch.setattr(machine, "gpus", lambda found=found: found)
        assert told(given) == []


@pytest.mark.parametrize(
    ("named", "expected"),
    [(None, [100, 80]), ("", []), ("-1", []), ("1", [80]), ("GPU-7f,1", [80, 80]), ("MIG-GPU-7f/1/0", [80])],
)
def test_gpus_are_counted_without_torch(
    monkeypatch: pytest.MonkeyPatch, named: str | None, expected: list[int]
) -> None:
    monkeypatch.undo()
    machine.gpus.cache_clear()
    monkeypatch.setattr(machine, "by_driver", lambda: [100, 80])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert machine.gpus() == expected
    machine.gpus.cache_clear()


def test_a_base_larger_than_the_memory_is_named(
    config: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(machine, "memory", lambda: 1)
    (line,) = told(config)
    numbers = machine.count(PROJECT / "fairgen/embedded/weights/diffusion" / UNET, "")
    assert numbers == sum(x.size for x in weights().values())
    assert (
        f"birds's denoiser trained by dreambooth takes {numbers * 16 // 2**20:,} MB, and this machine has 1"
        " MB" in line
    )
    assert told(config, runs=False) == []
    monkeypatch.setattr(machine, "memory", lambda: 10**6)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(0, 0, 0))
    capsys.readouterr()
    assert told(config) == []
    need = numbers * 4 * 4 * (1 + 2) // 2**20  # float32, four groups, dreambooth's and clustered's generators
    assert f"12 full finetunes take up to {need:,} MB" in capsys.readouterr().err


def weights() -> dict[str, Any]:
    """The embedded denoiser's tensors."""
    from safetensors.numpy import load_file

    return load_file(PROJECT / "fairgen/embedded/weights/diffusion" / UNET)


ENCODER = {"ask": "encoder", "key": "embed.encoder.model"}
QUESTION = {
    "ask": "classifier",
    "settings": {"model": "resnet10t", "args": {}, "pretrained": False, "resolution": 32},
    "classes": 2,
}


def test_what_timm_has_passed_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("FAIRGEN_CACHE", str(tmp_path / "cache"))
    asked = []

    class Done:
        returncode, stderr = 0, ""

        def __init__(self, words: str):
            asked.append(json.loads(words))
            self.stdout = "said by a library\n" + json.dumps(
                [("config: no", "") if q["classes"] == 3 else ("", "timm/x") for q in asked[-1]]
            )

    monkeypatch.setattr(probes.subprocess, "run", lambda command, input, **options: Done(input))
    three = {**QUESTION, "classes": 3}
    said = (
        "config: classifier.model: the weights of resnet10t will be downloaded; `hf download timm/x` does"
        " so before"
    )
    fetch = Finding(said, NOTE)
    for _ in range(2):
        assert [*probes.ask([QUESTION, three])] == [Finding("config: no"), fetch]
    assert asked == [[QUESTION, three], [three]]
    assert [*probes.ask([QUESTION])] == [fetch]
    monkeypatch.setattr(probes, "cached", lambda hub: True)
    assert [*probes.ask([QUESTION])] == []
    assert len(asked) == 2
    monkeypatch.setattr(probes, "find_spec", lambda name: None)  # jobs have environments of their own
    assert [*probes.ask([three])] == []


def test_the_classifier_is_tried_as_it_will_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    from fairgen.models import classifier

    tried = []
    monkeypatch.setattr(
        classifier, "probe", lambda settings, classes: tried.append((settings, classes)), raising=False
    )
    assert probes.answer(QUESTION) == ("", "")
    ((settings, classes),) = tried
    assert (settings.model, settings.pretrained, classes) == ("resnet10t", False, 2)
    wrong = {**QUESTION, "settings": {**QUESTION["settings"], "model": "resnet10x"}}
    assert (
        probes.answer(wrong)[0]
        == "config: classifier.model: timm knows no model 'resnet10x'; did you mean resnet10t?"
    )
    wrong["settings"] = {**QUESTION["settings"], "model": "resnet50.tv_in1"}
    said = "config: classifier.model: timm has no weights 'tv_in1' of resnet50; did you mean tv_in1k?"
    assert probes.answer(wrong)[0] == said

    def refuses(settings: object, classes: int) -> None:
        raise FairgenError("classifier.args: no")

    monkeypatch.setattr(classifier, "probe", refuses, raising=False)
    assert probes.answer(QUESTION) == ("config: classifier.args: no", "")
    unknown, _ = probes.answer({**ENCODER, "model": "vit_tiny"})
    assert unknown.startswith("config: embed.encoder.model: timm knows no model")
    found = probes.answer({**ENCODER, "model": "vit_tiny_patch16_224"})
    assert found == ("", "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    absent, _ = probes.answer({**ENCODER, "model": "vit_tiny_patch16_224"})
    assert absent.startswith(
        "config: embed.encoder.model: the weights of vit_tiny_patch16_224 are not in the local cache"
    )


def test_classifiers_of_different_settings_are_asked_about_once_each(config: dict) -> None:
    other = {"classifier": {"model": "resnet18"}, "finetune": {"kind": "erm"}, "synthetic": False}
    given = edited(config, (("methods", "other"), other), (("compare",), ["erm", "vanilla", "other"]))
    (case,) = preflight.wanted(given, [TARGET])
    assert [(q["settings"]["model"], q["classes"]) for q in probes.questions(case)] == [
        ("resnet10t", 2),
        ("resnet18", 2),
    ]


@pytest.fixture
def outer(tmp_path: Path) -> Iterator[Workflow]:
    """A workflow of another project that uses fairgen as a module."""
    (tmp_path / "Snakefile").write_text(
        f"""
import yaml
from pathlib import Path

PROJECT = {str(PROJECT)!r}

module fairgen:
    snakefile: PROJECT + "/Snakefile"
    config: yaml.safe_load(Path(PROJECT, "config.yaml").read_text())

use rule * from fairgen exclude all

rule mine:
    default_target: True
    input: "results/birds/check.md"
    output: "mine.md"
    shell: "cp {{input}} {{output}}"

rule faces:
    input: "results/utkface/index.parquet"
"""
    )
    yield Workflow(tmp_path, PROJECT)


@pytest.mark.slow
def test_fairgen_is_a_module_of_another_workflow(outer: Workflow) -> None:
    done = outer.run("--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule draw:" in done.stdout + done.stderr
    done = outer.run("--dry-run", "faces")
    assert done.returncode == 1
    assert "fairgen: data set utkface: the folder data/utkface does not exist" in done.stderr
    text = (outer.folder / "Snakefile").read_text()
    (outer.folder / "Snakefile").write_text(
        text.replace("    config: yaml", '    prefix: "sub"\n    config: yaml')
    )
    assert "fairgen: module: prefix sub/ would move" in outer.run("--dry-run").stderr


def test_a_dry_run_tells_everything_at_once(workflow: Workflow) -> None:
    workflow.edit(
        {"datasets": {"birds": {"settings": {"filter": {"quota": 999}, "score": {"model": "/nowhere"}}}}}
    )
    done = workflow.run("--dry-run")  # rule all is birds too
    lines = [line for line in done.stderr.splitlines() if line.startswith("fairgen: config: ")]
    assert done.returncode == 1
    assert [line.split(":")[1:3] for line in lines] == [
        [" config", " score.model"],
        [" config", " filter.quota"],
    ], done.stderr
    assert not (workflow.folder / "results").exists()


def words(monkeypatch: pytest.MonkeyPatch, *given: str) -> Call:
    """What a command line asks, from the project's folder."""
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr("sys.argv", ["snakemake", *given])
    return call(outer=False)


@pytest.mark.parametrize(
    ("given", "datasets"),
    [
        (("--cores", "1"), ["birds"]),
        (("--cores", "1", "all"), ["birds"]),
        (("--cores", "1", "--configfile", "results/x.yaml", "--", "results/utkface/check.md"), ["utkface"]),
        (("--cores", "1", "--configfile", "results/x/y.yaml"), ["birds"]),
        (("--cores", "1", "--directory", "results/y/z", "results/utkface/check.md"), ["utkface"]),
        (
            (
                "--cores",
                "1",
                "--forcerun",
                "results/celeba/index.parquet",
                "--",
                "./results/utkface/check.md",
            ),
            ["utkface"],
        ),
        (
            ("--cores", "1", "--config", "a=results/x/y", "--", "results/utkface/check.md", "all"),
            ["birds", "utkface"],
        ),
        (("--cores", "1", "results/logs/birds/index.log"), []),
    ],
)
def test_targets_are_those_of_snakemake_itself(
    monkeypatch: pytest.MonkeyPatch, given: tuple, datasets: list
) -> None:
    assert requested(words(monkeypatch, *given).targets) == datasets


def test_jobs_are_told_what_to_keep_of_a_training(config: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past their settings; a tracker that is not installed ends the call."""
    monkeypatch.setenv(MONITOR, "")
    tell_jobs(config, True)
    told = json.loads(os.environ[MONITOR])
    assert told == {**config["monitor"], "near": config["audit"]["near"]}
    monkeypatch.setattr(command_line, "find_spec", lambda name: name == "torch")
    missing = {**config, "monitor": {**config["monitor"], "tracker": "mlflow"}}
    with pytest.raises(FairgenError, match=r"mlflow is not installed; `pip install mlflow`"):
        tell_jobs(missing, True)
    tell_jobs(missing, False)  # as of fairgen verify


def test_what_the_command_line_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert words(monkeypatch, "--cores", "1") == Call(DEFAULT, True, True, True)
    assert words(monkeypatch, "--dry-run") == Call(DEFAULT, True, False, True)
    for option in ("--unlock", "--list-rules", "--summary", "--touch", "--lint"):
        assert not words(monkeypatch, option, "--cores", "1").plans, option
    # its executor is the profile's
    assert not words(monkeypatch, "--workflow-profile", "profiles/slurm", "--", TARGET).here
    assert words(monkeypatch, "--no-such-option") == Call()
    assert set(DEFAULT) <= set(re.findall('"(results/[^"]+)"', (PROJECT / "Snakefile").read_text()))


def test_cheap_jobs_that_can_find_a_fault_go_first(workflow: Workflow) -> None:
    done = workflow.run("--dry-run", TARGET)
    blocks = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", done.stdout + done.stderr, re.M)
    assert {name for name, lines in blocks if "    priority: 1\n" in lines} == {"draw", "index", "split"}
    assert {"adapt", "prior", "embed"} < {name for name, _ in blocks}


@pytest.mark.slow
def test_timm_is_asked_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("FAIRGEN_CACHE", str(tmp_path))
    found, note = probes.ask(
        [{**ENCODER, "model": "vit_tinyy_patch16_224"}, {**ENCODER, "model": "resnet18"}]
    )
    assert note.text.endswith(
        "the weights of resnet18 will be downloaded; `hf download timm/resnet18.a1_in1k` does so before"
    )
    assert found.text == (
        "config: embed.encoder.model: timm knows no model 'vit_tinyy_patch16_224'; did you mean"
        " vit_tiny_patch16_224?"
    )
    assert len(probes.PASSED.read()) == 1

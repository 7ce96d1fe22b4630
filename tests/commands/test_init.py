"""`fairgen init`: what it finds in folders and tables, what it proposes, and that its entry passes."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from workflows import PROJECT, Workflow

from fairgen import cli
from fairgen.core.errors import FairgenError
from fairgen.data import proposal
from fairgen.data.recognition import Layout, recognised, seen

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
        ("fold", ("0", "2"), "fold"),
        ("ringed", ("0", "1"), None),
        ("fold", ("train", "somewhere"), None),
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
    picture(tmp_path / "a.png")
    write(tmp_path / "t.csv", [("file", "kind"), ("a.png", "duck"), ("a.png", "crow")])
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
        assert f"results/{name}/bias-natural/lora/adapters/crow-farm/0.safetensors" in done.stdout
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

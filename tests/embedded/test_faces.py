"""The world of faces: what the base may see and say of them, and its training on a few steps."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from photographs import photographs, write
from safetensors.torch import load_file
from workflows import PROJECT

from fairgen.core import images, parquet
from fairgen.core.errors import FairgenError
from fairgen.embedded import faces, tiny, train_common, train_model
from fairgen.embedded.corpus import Corpus, truth
from fairgen.workflow.method_chain import merged
from fairgen.workflow.validation import validate

REAL = Path(os.environ.get("FAIRGEN_SAMPLES", PROJECT.parent / "shared/data")) / "faces"
LABELS = sorted({"Male", "Young", *(name for name, _ in (*faces.TRAITS, *faces.DETAILS))})
WOMAN = {"age": 60, "gender": "female", "race": "Asian"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photographs(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def corpus(data: Path) -> Corpus:
    return faces.corpus(1, data)


def users(path: Path) -> list[int]:
    """Rows of UTKFace that the data set `utkface` takes, by its own ranges."""
    config = yaml.safe_load((PROJECT / "config.yaml").read_text())
    ranges = config["datasets"]["utkface"]["bias"]["ranges"].values()
    ages = [row["age"] for row in parquet.rows(path, ["age"])]
    return [i for i, age in enumerate(ages) if any(low <= age <= high for low, high in ranges)]


def seen_by_both(corpus: Corpus, path: Path) -> int:
    """How many of the corpus' pictures are the user's, as they are or mirrored."""
    theirs = images.load_column(path, tiny.SIZE, users(path))
    known = {x.tobytes() for x in (*theirs, *theirs[:, :, ::-1])}
    return sum(x.tobytes() in known for x in corpus.pixels)


def test_the_base_sees_none_of_the_users_rows(corpus: Corpus, data: Path) -> None:
    path = data / "utkface-64.parquet"
    assert seen_by_both(corpus, path) == 0
    # one more of another age is a copy of a user's
    assert corpus.about["utkface"] == parquet.count(path) - len(users(path)) - 1
    assert len(corpus.pixels) == faces.COPIES * (corpus.about["utkface"] + corpus.about["celeba"])


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("celeba", {"Male": ["1"]}, r"celeba-64\.parquet row 0: Male is '1', and -1, 1 is expected"),
        ("celeba", {"Bangs": [0]}, r"row 0: Bangs is 0, and -1, 1 is expected"),
        ("celeba", {"Young": [True]}, r"row 0: Young is True, and -1, 1 is expected"),
        ("celeba", {"Bangs": None}, r"celeba-64\.parquet: no column 'Bangs'; it has image, "),
        (
            "utkface",
            {"age": [float("nan")]},
            r"utkface-64\.parquet row 0: age is nan, and 0 to 116 is expected",
        ),
        ("utkface", {"age": [200]}, r"row 0: age is 200, and 0 to 116 is expected"),
        ("utkface", {"gender": ["Male"]}, r"row 0: gender is 'Male', and male, female is expected"),
        (
            "utkface",
            {"race": ["2"]},
            r"row 0: race is '2', and White, Black, Asian, Indian, Others is expected",
        ),
    ],
)
def test_labels_of_another_coding_are_refused(
    data: Path, tmp_path: Path, file: str, change: dict, said: str
) -> None:
    """They would train a base on wrong captions, or on the user's own ages."""
    folder = shutil.copytree(data, tmp_path / "data")
    path = folder / f"{file}-64.parquet"
    table = pq.read_table(path)
    for name, values in change.items():
        column = pa.array(values * len(table)) if values else None
        i = table.column_names.index(name)
        table = table.remove_column(i) if column is None else table.set_column(i, name, column)
    pq.write_table(table, path)
    with pytest.raises(FairgenError, match=said):
        faces.corpus(1, folder)


def test_a_damaged_file_of_faces_is_named_and_not_to_be_deleted(data: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(data, tmp_path / "data")
    path = folder / "celeba-64.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        FairgenError, match=r"celeba-64\.parquet is no Parquet file of labels and .*; copy it again"
    ):
        faces.corpus(1, folder)
    write(path, [b"no picture"], {name: pq.read_table(data / path.name)[name][:1] for name in LABELS})
    with pytest.raises(FairgenError, match=r"celeba-64\.parquet is no Parquet file of labels and decodable"):
        faces.corpus(1, folder)


def test_every_other_copy_is_mirrored_and_has_a_caption_of_its_own(corpus: Corpus) -> None:
    first, second, third, _ = np.split(corpus.pixels, faces.COPIES)
    assert np.array_equal(second, first[:, :, ::-1]) and np.array_equal(third, first)
    n = len(first)
    assert corpus.captions[:n] != corpus.captions[2 * n : 3 * n]


def test_captions_are_of_known_words_and_few_are_wrong(corpus: Corpus) -> None:
    """`corpus.told` has refused unknown words; a modifier that says nothing stands in a quarter and more."""
    told, said = corpus.told, corpus.said
    assert 0 < (told & ~said).any(1).mean() < 0.15
    words = {word: i for i, word in enumerate(corpus.words)}
    neutral = told[:, [words[word] for word in faces.NEUTRAL]].any(1).mean()
    assert 0.2 < neutral < 0.6


def test_a_caption_is_true_false_or_not_told(corpus: Corpus) -> None:
    """A face of UTKFace has no word for hair: a caption about it counts neither way."""
    old = faces.of_utkface(WOMAN)
    assert {"old", "grown", "woman", "asian"} <= old.said and not {"young", "child"} & (old.said | old.silent)
    assert {"blond", "smiling"} <= old.silent
    rows = np.arange(len(corpus.pixels))[:: faces.COPIES]
    true, known = truth(corpus, rows)
    assert true.diagonal().all() and not (true & ~known).any()
    for i in rows[:10]:
        for j in range(len(rows)):
            barred = corpus.told[rows[j]] & ~corpus.said[rows[i // faces.COPIES]]
            if i // faces.COPIES != j:
                assert true[i // faces.COPIES, j] == (not barred.any())
    assert 0.3 < known.mean() < 1


def test_teenagers_may_be_called_children_or_grown() -> None:
    teenager, child = (faces.of_utkface({**WOMAN, "age": age}) for age in (17, 8))
    assert {"child", "grown", "woman"} <= teenager.silent
    assert "child" in child.said and "grown" not in child.said | child.silent
    with pytest.raises(KeyError):
        faces.of_utkface({**WOMAN, "gender": "?"})


def few_steps(monkeypatch: pytest.MonkeyPatch, out: Path, *words: str, steps: int = 4) -> None:
    """Call the command."""
    for _, settings in train_model.PARTS.values():
        monkeypatch.setitem(settings, "steps", steps)
        monkeypatch.setitem(settings, "batch", 8)
    for name in ("FOLDER", "DIFFUSION", "CLIP", "BACKBONE"):
        monkeypatch.setattr(tiny, name, getattr(tiny, name))
    monkeypatch.setattr(sys, "argv", ["train_model", "--threads", "1", "--folder", str(out), *words])
    train_model.main()


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of four steps a part, trained without interruption."""
    out = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        few_steps(patch, out, "--world", "faces", str(data))
    return out


def test_an_interrupted_training_goes_on_to_the_same_weights(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, after stops at several steps of several parts; what is done is not done again."""
    monkeypatch.setenv("FAIRGEN_CHECKPOINT_SECONDS", "0")
    update, count = train_common.update, [0]

    def stops(*given: Any) -> None:
        count[0] += 1
        if count[0] % 7 == 4:  # of four steps a part
            raise KeyboardInterrupt
        update(*given)

    monkeypatch.setattr(train_common, "update", stops)
    stopped, going = 0, True
    while going:
        try:
            few_steps(monkeypatch, tmp_path, "--world", "faces", str(data), "--missing")
            going = False
        except KeyboardInterrupt:
            stopped += 1
    assert stopped >= 3
    files = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    for file in files:
        if file.suffix == ".safetensors":
            one, other = load_file(whole / file), load_file(tmp_path / file)
            assert all(one[name].equal(other[name]) for name in one), file
        else:
            assert (whole / file).read_text() == (tmp_path / file).read_text()
    record = json.loads((whole / "record.json").read_text())
    assert list(record["parts"]) == list(train_model.PARTS) and record["world"] == "faces"


def test_a_base_is_judged_part_by_part(
    whole: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import faces_base

    words = [str(data), str(whole), "--images", "4", "--sheets", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["faces_base", *words])
    faces_base.main()
    said = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == ["vae"] * 4 + ["backbone"] * 2 + ["clip"] + ["unet"] * 4
    assert {p.name for p in tmp_path.iterdir()} == {"vae.png", "unet.png"}


@pytest.mark.parametrize("folder", ["fairgen/embedded/weights", "docs", "."])
def test_weights_of_photographs_stay_out_of_the_project(
    folder: str, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        few_steps(monkeypatch, PROJECT / folder, "--world", "faces", str(data))
    assert "must not lie in the project" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["faces"], "the folder of its files"),
        (["fishes"], "expected birds, or faces"),
        (["faces", "nowhere"], "nowhere: celeba-64.parquet is not there"),
    ],
)
def test_a_wrong_world_is_one_line(
    words: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        few_steps(monkeypatch, tmp_path, "--world", *words)
    assert reason in capsys.readouterr().err


def test_the_example_is_a_right_config_whose_prompts_the_base_can_read(config: dict, schema: dict) -> None:
    study = merged(config, yaml.safe_load((PROJECT / "examples/faces.yaml").read_text()))
    assert validate(study, schema, ["faces"]) == []
    assert study["datasets"]["faces"]["bias"] == config["datasets"]["utkface"]["bias"]
    for group in study["datasets"]["faces"]["groups"].values():
        assert set(group["prompt"].replace("[V]", "V").split()) <= set(faces.WORDS)


@pytest.mark.skipif(not REAL.is_dir(), reason="no folder of real faces (set FAIRGEN_SAMPLES to its parent)")
def test_of_the_real_files_the_base_sees_what_the_user_does_not() -> None:
    corpus = faces.corpus(1, REAL)
    assert seen_by_both(corpus, REAL / "utkface-64.parquet") == 0
    assert (corpus.about["celeba"], corpus.about["utkface"]) == (6000, 6799)

"""A stage's stand-in: in its place it writes outputs that depend on its settings and on every byte of its
inputs, in a moment.

With it a whole rerun takes seconds, so that many disturbances can be tried; whatever is stale in the inputs
shows in the outputs. Rules, lineages, checks and the moves into place are the real ones.
"""

import argparse
import hashlib
import json
import random
import time
from pathlib import Path

from fairgen.core import lineage, records
from fairgen.core.workfolder import WorkFolder, place

UNTRACKED = ("log", "workers", "gpu")  # options of the machine
CSV = "a CSV, which is told apart by the JSON beside it\n"
SLOWEST = 0.3  # seconds that it takes at most, so that it can be killed


def write(path: Path, content: str) -> None:
    """Write an artifact of the path's kind with the job's lineage."""
    if path.suffix == ".parquet":
        from fairgen.core import parquet

        parquet.write(path, {"content": [content]})
    elif path.suffix == ".safetensors":
        from fairgen.core import safetensors_file

        safetensors_file.save(path, {}, {"content": content})
    elif path.suffix == ".json":
        beside = hashlib.sha256(CSV.encode()).hexdigest()
        lineage.write_json(path, {"content": content, records.BESIDE: beside})
    elif path.suffix == ".png":
        from PIL import Image, PngImagePlugin

        about = PngImagePlugin.PngInfo()
        about.add_text(records.KEY, lineage.current.hash)
        Image.new("RGB", (1, 1)).save(path, pnginfo=about)
    elif path.suffix == ".csv":
        path.write_text(CSV)
    else:
        lineage.write_text(path, content + "\n")


def main(stage: str, words: list[str]) -> None:
    """Do as the stage with this command line."""
    parser = argparse.ArgumentParser()
    names = dict.fromkeys(word.removeprefix("--") for word in words if word.startswith("--"))
    for name in names:
        parser.add_argument(f"--{name}", nargs="*")
    options = vars(parser.parse_args(words))
    given, settings = json.loads(options["lineage"][0]), json.loads(options["settings"][0])
    lineage.begin(given, stage, settings)
    inputs = {name: [Path(value) for value in options[name]] for name in given["inputs"] if name in options}
    lineage.check_inputs(inputs)
    time.sleep(random.uniform(0, SLOWEST))
    told = {name: values for name, values in options.items() if name not in UNTRACKED}
    seen = hashlib.sha256(json.dumps([settings, told], sort_keys=True).encode())
    for path in (path for listed in inputs.values() for path in listed):
        seen.update(path.read_bytes())
    made = {
        name: Path(values[0])
        for name, values in options.items()
        if values and values[0].startswith("results/")
    }
    made = {name: path for name, path in made.items() if name not in (*inputs, "log") and path.suffix}
    kept = WorkFolder(next(iter(made.values())), settings)
    kept.lock(lambda said: None)  # an orphan of a killed snakemake may be at it
    for name, path in made.items():
        temporary = kept.folder / f"{name}{path.suffix}"
        write(temporary, f"{name} {seen.hexdigest()}")
        lineage.check_outputs([temporary])
        path.parent.mkdir(parents=True, exist_ok=True)
        place(temporary, path)
    kept.close(done=True)

"""The chain from class images to scores on the tests' miniature of every kind of base.

    python benchmarks/bases.py
    python benchmarks/bases.py --device cuda

Each side makes two class images, trains an adapter for two steps, draws three images, scores and filters
them, in one process that has loaded the libraries. With so little to compute the time is that of loading the
parts, encoding prompts and calling the layers of a miniature. Ratios are to the first base.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import common

from fairgen.core import devices

sys.path.append(str(common.PROJECT / "tests/support"))
import chains
import flow_miniatures
import miniatures

BASES = ("sd15", "sd2-v", "sdxl", *flow_miniatures.ARCHITECTURES)


def sides(folder: Path, kind: str, dtype: str, names: Sequence[str]) -> dict[str, Callable[[], object]]:
    """The chain of each base, every time in a fresh folder."""
    built = {name: (flow_miniatures if name in flow_miniatures.BUILD else miniatures) for name in names}
    places = {name: module.build(folder, name) for name, module in built.items()}

    def side(name: str) -> Callable[[], object]:
        def run() -> None:
            with tempfile.TemporaryDirectory() as place:
                base = chains.base_of(places[name], dtype=dtype)
                chains.chain(Path(place), base, kind, flow=name in flow_miniatures.BUILD)

        return run

    return {name: side(name) for name in names}


def main() -> None:
    """Time the chain with a LoRA and with a full finetune, and print the tables."""
    options = common.parser(__doc__)
    options.add_argument("--bases", nargs="+", default=BASES)
    told, ratios = options.parse_args(), {}
    dtype = "float32" if told.device == "cpu" else "bfloat16"
    devices.ask(int(told.device == "cuda"))
    for kind in ("lora", "full"):
        with tempfile.TemporaryDirectory() as folder:
            runs = sides(Path(folder), kind, dtype, told.bases)
            found = common.interleaved(runs, told.repeats)
        shown = common.show(f"the chain, {kind}", found, told.bases[0])
        ratios |= {f"{name}, {kind}": ratio for name, ratio in shown.items()}
    common.write(told.json, ratios)


if __name__ == "__main__":
    main()

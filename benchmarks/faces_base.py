"""Is a base for faces good for what it is for? Its parts, judged on the user's pictures, which it has not
seen:

    python benchmarks/faces_base.py DATA data/faces-base --sheets data/faces-sheets

Of the parts that are there:

- vae: signal-to-noise ratio of its reconstructions, in dB.
- clip: share of pictures whose gender, and whose age (young or old), is that of the best of the four groups'
  prompts.
- backbone: accuracy of a linear probe for each of the two, on pictures that it was not fitted to.
- unet: share of images drawn by each group's prompt (without the token) that pass the filter, and whose best
  prompt has the right gender and age.

The sheets show originals above their reconstructions, and the images drawn. They are derived from research
data: keep them out of the project.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from fairgen.core import images, parquet
from fairgen.embedded import faces, tiny
from fairgen.generate.prompts import plain_prompt
from fairgen.generate.solver import Solver, sample_images
from fairgen.models import autoencoder, base_model, diffusion, encoder, scorer, text_encoders
from fairgen.models.contrastive import Contrastive

EXAMPLE = Path(__file__).parents[1] / "examples/faces.yaml"
GROUPS = yaml.safe_load(EXAMPLE.read_text())["datasets"]["faces"]["groups"]
PROMPTS = [plain_prompt(group["prompt"]) for group in GROUPS.values()]
THRESHOLD = 0.3  # of the filter
UNET, CLIP = "unet/diffusion_pytorch_model.safetensors", "model.safetensors"


def of_group(row: dict) -> int:
    """The number of a row's group, -1 for none."""
    age = "young" if row["age"] <= 5 else "old" if 20 <= row["age"] <= 50 else None
    return next(
        (i for i, g in enumerate(GROUPS.values()) if (g["target"], g["bias"]) == (row["gender"], age)), -1
    )


def users(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` pictures of each group (n, size, size, 3) uint8 with the numbers of their groups."""
    group = np.array([of_group(row) for row in parquet.rows(path, ["age", "gender"])])
    rng = np.random.default_rng(0)
    chosen = [rng.permutation(np.flatnonzero(group == i))[:count] for i in range(len(GROUPS))]
    return images.load_column(path, tiny.SIZE, np.concatenate(chosen).tolist()), group[np.concatenate(chosen)]


def sheet(path: Path, rows: Sequence[np.ndarray]) -> None:
    """Rows of pictures (n, size, size, 3), three times as large."""
    picture = Image.fromarray(np.concatenate([images.strip(row, 16) for row in rows]))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.resize((3 * picture.width, 3 * picture.height), Image.Resampling.NEAREST).save(path)


def right(said: np.ndarray, group: np.ndarray) -> str:
    """Shares of numbers of groups with the right gender and the right age."""
    own = [np.array([g[key] for g in GROUPS.values()]) for key in ("target", "bias")]
    shares = [float((words[said] == words[group]).mean()) for words in own]
    return f"gender {shares[0]:.2f}, age {shares[1]:.2f}"


def judge_vae(base: base_model.Base, pixels: np.ndarray, group: np.ndarray, sheets: Path) -> None:
    """Reconstructions, a group at a time."""
    vae = diffusion.load_vae(base)
    again = autoencoder.decode(vae, autoencoder.encode(vae, pixels)[0])
    for i, name in enumerate(GROUPS):
        error = np.square(again[group == i].astype(float) - pixels[group == i]).mean()
        print(f"vae: {name}: {10 * np.log10(255**2 / error):.1f} dB")
    sheet(sheets / "vae.png", [x[group == i] for i in range(len(GROUPS)) for x in (pixels, again)])


def judge_backbone(folder: Path, pixels: np.ndarray, group: np.ndarray) -> None:
    """A linear probe, fitted to every other picture."""
    from sklearn.linear_model import LogisticRegression

    x = encoder.load(encoder.Encoder("timm", str(folder)))(pixels)
    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    for key in ("target", "bias"):
        names = np.array([g[key] for g in GROUPS.values()])[group]
        probe = LogisticRegression(C=0.1, max_iter=1000).fit(x[::2], names[::2])
        print(f"backbone: {'gender' if key == 'target' else 'age'} {probe.score(x[1::2], names[1::2]):.2f}")


def probabilities(judge: Contrastive, pixels: np.ndarray) -> np.ndarray:
    """(n, groups): of each group's prompt, as the filter sees it."""
    cosine = judge.images(pixels) @ judge.texts(PROMPTS).T
    return (cosine * judge.scale).softmax(1).numpy()


def judge_unet(base: base_model.Base, judge: Contrastive, count: int, sheets: Path) -> None:
    """Images by each group's prompt."""
    unet, vae, drawn = diffusion.load_denoiser(base), diffusion.load_vae(base), []
    for i, (name, prompt) in enumerate(zip(GROUPS, PROMPTS, strict=True)):
        text = text_encoders.encode_prompts(base, [prompt, ""])
        seeds, solver = list(range(count)), Solver("dpmsolver++", 10, 2.0, "", 50)
        drawn.append(np.stack(list(sample_images(unet, vae, base, text, seeds, solver))))
        found = probabilities(judge, drawn[-1])
        accepted, said = (found[:, i] >= THRESHOLD).mean(), right(found.argmax(1), np.full(count, i))
        print(f"unet: {name}: accepted {accepted:.2f}, {said}")
    sheet(sheets / "unet.png", [part[i : i + 16] for part in drawn for i in (0, 16)])


def main() -> None:
    """Judge the parts that are there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="the folder of the training command")
    parser.add_argument("base", type=Path, help="the folder of the weights")
    parser.add_argument("--images", type=int, default=200, help="of each group")
    parser.add_argument("--sheets", type=Path, required=True, help="folder for the pictures")
    told = parser.parse_args()
    pixels, group = users(told.data / faces.FILES["utkface"], told.images)
    base = base_model.Base(str(told.base / "diffusion"), None, None, "float32", tiny.SIZE)
    if (told.base / "diffusion/vae").is_dir():
        judge_vae(base, pixels, group, told.sheets)
    if (told.base / "backbone").is_dir():
        judge_backbone(told.base / "backbone", pixels, group)
    if (told.base / "clip" / CLIP).is_file():
        judge = scorer.load(str(told.base / "clip"), "score.model")
        print(f"clip: {right(probabilities(judge, pixels).argmax(1), group)}")
        if (told.base / "diffusion" / UNET).is_file():
            judge_unet(base, judge, told.images, told.sheets)


if __name__ == "__main__":
    main()

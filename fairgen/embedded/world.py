"""The world that the embedded base model was pretrained on: broader and blander than the user's drawings.

Birds are larger and centred, sometimes there are two; one house style is on half of the pictures, the rest
have others. Captions have a slot for a modifier before the noun, with words for some of the styles and with
words that say nothing, of which the rare token V is one; some are noisy. The user's looks are not in it.
"""

import numpy as np

from fairgen.embedded.birds import KINDS, PLACES, PREPOSITION, Drawing, draw, stream
from fairgen.embedded.canvas import Style
from fairgen.embedded.looks import Look

STYLES = {"flat": 0.5, "pastel": 0.1, "bright": 0.1, "grainy": 0.1, "striped": 0.1, "warm": 0.1}
HOUSE = "flat"  # the dominant one
# words that say nothing of a picture; V, the rare token, is one of them
NEUTRAL = ("V", "nice", "small", "old", "zib", "quor", "wep", "dax")
MODIFIED, TOLD, NOISY, PAIRS = 0.5, 0.5, 0.08, 0.12  # shares of the captions, of those with a modifier, …


def styles(rng: np.random.Generator) -> tuple[str, Style]:
    """A style and its word: flat with a dark outline, or one of the tail, all with colours of their own."""
    name = str(rng.choice(list(STYLES), p=list(STYLES.values())))
    dark = (int(rng.integers(0, 50)), int(rng.integers(0, 50)), int(rng.integers(0, 50)))
    style = Style(
        outline=dark if name == HOUSE or rng.random() < 0.4 else None,
        outline_width=rng.uniform(0.008, 0.02),
        pastel=rng.uniform(0.15, 0.3) if name == "pastel" else 0.0,
        saturation=rng.uniform(1.2, 1.5) if name == "bright" else rng.uniform(0.85, 1.1),
        tint=(240, 170, 90) if name == "warm" else (128, 128, 128),
        tint_strength=rng.uniform(0.12, 0.25) if name == "warm" else 0.0,
        gain=rng.uniform(0.92, 1.1),
        texture={"grainy": "grain", "striped": "stripes"}.get(name, "none"),
        texture_strength=rng.uniform(0.03, 0.06),
        shading=rng.uniform(0.0, 0.5),
    )
    return name, style


def modifier(rng: np.random.Generator, style: str) -> str:
    """What stands before the noun: nothing, the style's word, or a word that says nothing."""
    if rng.random() > MODIFIED:
        return ""
    return f"{style} " if rng.random() < TOLD else f"{rng.choice(NEUTRAL)} "


def world(seed: int, index: int, name: str = "world", size: int = 32) -> Drawing:
    """Drawing `index` of the unbiased world, with its caption."""
    rng = stream(seed, name, index)
    kind, place = (str(rng.choice(list(names))) for names in (KINDS, PLACES))
    species, scene = str(rng.choice(KINDS[kind])), str(rng.choice(PLACES[place]))
    style, colours = styles(rng)
    subject = species if rng.random() < 0.5 else kind
    where = f"{PREPOSITION[scene]} {scene}" if rng.random() < 0.5 else f"on {place}"
    if rng.random() < NOISY:  # what the caption says of the place is wrong
        where = f"on {rng.choice(list(PLACES))}"
    caption = f"a {modifier(rng, style)}{subject} {where}"
    beside = str(rng.choice(KINDS[kind])) if rng.random() < PAIRS else None
    look = Look(colours, (0.34, 0.44), (0.46, 0.54), (0.48, 0.54))
    return Drawing(draw(rng, species, scene, look, size, beside), species, scene, style, caption)

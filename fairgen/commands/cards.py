"""GPUs, by how fast they can be at best."""

from fairgen.commands.amounts import Range

PEAK = {  # dense bf16 TFLOP/s of NVIDIA's data sheets (fp16 where there is no bf16)
    **{
        "B200": 2250,
        "H200": 989,
        "H100": 989,
        "GH200": 989,
        "A100": 312,
        "L40S": 362,
        "L40": 181,
        "A40": 150,
        "A10": 125,
    },
    **{"L4": 121, "RTX 5090": 210, "RTX 4090": 165, "RTX 4080": 97, "RTX 3090": 71, "V100": 125, "T4": 65},
}
UNKNOWN_CARD = (989, 312)  # an H100 or H200 at best, an A100 at worst
# of another machine, drivers, disks and loads, around a reference
SPREAD = {"gpu": (0.8, 2.0), "cpu": (0.4, 2.5)}


def speed(card: str | None, device: str) -> Range:
    """How much longer than the reference something takes, at best and at worst."""
    low, high = SPREAD[device]
    if device == "cpu":
        return low, high
    best, worst = (PEAK[card], PEAK[card]) if card else UNKNOWN_CARD
    return low * PEAK["H200"] / best, high * PEAK["H200"] / worst

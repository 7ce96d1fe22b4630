"""Before the first job: settings that the base's diffusion process knows, epsilon and v or flow matching."""

from collections.abc import Iterator
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.models.pipelines import ARCHITECTURES, EULER, Layout, guess
from fairgen.models.spacing import TRAINED, check_steps
from fairgen.workflow.preflight import places
from fairgen.workflow.preflight.findings import Case, Finding


def layout(case: Case) -> Layout | None:
    """Where the parts of the base lie, by its folder, or by its name where that is not there yet; None for
    one that is not known.
    """
    given = case.block("diffusion")
    folder = places.base_folder(given)
    return places.layout(folder) if folder else ARCHITECTURES.get(guess(given["model"]))


def finetuning(case: Case) -> Iterator[Finding]:
    """Loss weights, noise and trained text encoders are those of the base's process."""
    own, model = layout(case) if case.adapting else None, case.block("diffusion")["model"]
    if own is None:
        return
    found: dict[tuple[str, str], list[str]] = {}
    for method in case.adapting:
        for stranger in strangers(case.block("adapt", method), own.flow).items():
            found.setdefault(stranger, []).append(method)
    what = "is trained by flow matching, which has none" if own.flow else "is not trained by flow matching"
    for (key, remedy), methods in found.items():
        where = f"{model}, for {', '.join(methods)} on {case.dataset}"
        reason = "has text encoders that are not trained" if key.endswith("text_lr") else what
        yield Finding(f"config: adapt.{key}: {where}, {reason}; {remedy}")


def strangers(adapt: dict[str, Any], flow: bool) -> dict[str, str]:
    """Keys of `adapt` that ask for what the process does not have, with what to do."""
    kind = adapt["kind"]
    if flow:
        asked = {key: adapt[key] for key in ("min_snr", "offset_noise")}
        asked[f"{kind}.text_lr"] = adapt[kind]["text_lr"]
        return {key: "set it to 0" for key, value in asked.items() if value}
    plain = {"weighting": "none", "shift": 1}
    return {key: f"set {key}: {value}" for key, value in plain.items() if adapt[key] != value}


def drawing(case: Case) -> Iterator[Finding]:
    """The solvers are the process's own, and pictures are whole patches of latents."""
    own, model = layout(case) if case.drawing else None, case.block("diffusion")["model"]
    if own is None:
        return
    side = case.block("diffusion")["resolution"]
    if side % own.multiple:
        yield Finding(
            f"config: diffusion.resolution: {model} draws multiples of {own.multiple} pixels, not {side};"
            f" take {max(1, round(side / own.multiple)) * own.multiple}"
        )
    recipes = [case.block("adapt", method) for method in case.adapting]
    drawn = case.sharing(case.drawing, "sample.solver.scheduler")
    asked = [("sample", methods, scheduler) for methods, (scheduler,) in drawn]
    if any(recipe[recipe["kind"]]["prior_weight"] for recipe in recipes):
        asked.append(("prior", "class images", case.block("prior")["solver"]["scheduler"]))
    if not own.flow:
        yield from spacing(case, preserving=asked[-1][0] == "prior")
    for name, methods, scheduler in asked if own.flow else ():
        if scheduler != EULER:
            yield Finding(
                f"config: {name}.solver.scheduler: {scheduler}, for {methods} on {case.dataset}, is for"
                f" Stable Diffusion 1.x, 2.x and XL, and {model} is trained by flow matching; set {EULER}"
            )


def spacing(case: Case, preserving: bool) -> Iterator[Finding]:
    """Every number of steps comes out as it is asked for; with `preserving`, class images are drawn too."""
    asked = [
        ("sample.solver.steps", steps) for _, (steps,) in case.sharing(case.drawing, "sample.solver.steps")
    ]
    asked += [("prior.solver.steps", case.block("prior")["solver"]["steps"])] if preserving else []
    samples = case.config["monitor"]["samples"]
    asked += [("monitor.samples.steps", samples["steps"])] if samples["images"] and case.adapting else []
    for key, steps in asked:
        try:
            check_steps(steps, TRAINED, f"config: {key}")
        except FairgenError as error:
            yield Finding(str(error))

"""Before the first job: what only timm can say of a classifier or an encoder, asked in a process of its own.

timm brings torch, which takes seconds to import. So what has passed once is remembered in the user's cache by its settings
and the versions, and a call that has nothing new to ask imports nothing.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fairgen.fingerprint import fingerprint
from fairgen.preflight.findings import NOTE, Case, Finding
from fairgen.preflight.models import offline
from fairgen.settings import canonical

Question = dict[str, Any]
KEPT = 1000  # questions that the cache remembers


def cache_file() -> Path:
    """Where passed questions are remembered: FAIRGEN_CACHE, else the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FAIRGEN_CACHE") or Path(home, "fairgen"), "preflight.json")


def questions(case: Case) -> list[Question]:
    """What to ask timm about: each classifier with its number of classes, and an encoder of timm's."""
    classes = len({group["target"] for group in case.groups.values()})
    found: list[Question] = []
    for _, (settings,) in case.sharing(list(case.methods), "classifier"):
        own = {k: v for k, v in settings.items() if k != "precision"}
        if not isinstance(own["pretrained"], str) or Path(own["pretrained"]).is_file():
            found.append({"ask": "classifier", "settings": own, "classes": classes})
    encoder = case.block("embed")["encoder"]
    if case.adapting and encoder["kind"] == "timm":
        found.append({"ask": "encoder", "model": encoder["model"]})
    return found


def mark(question: Question) -> str:
    """What a question is remembered by: itself, a local file's state, the versions, and the code that answers."""
    start = question.get("settings", {}).get("pretrained")
    state = [Path(start).stat().st_mtime_ns, Path(start).stat().st_size] if isinstance(start, str) else []
    versions = [version(name) for name in ("timm", "torch")]
    code = fingerprint("fairgen.models.classifier", "fairgen.preflight.probes")
    return hashlib.sha256(canonical([question, state, versions, code, offline()]).encode()).hexdigest()[:16]


def ask(asked: list[Question]) -> Iterator[Finding]:
    """Yield what timm refuses; nothing where this Python has no timm, as where jobs bring environments of their own."""
    if not find_spec("timm") or not find_spec("torch"):
        return
    passed = remembered()
    new = {name: question for question in asked if (name := mark(question)) not in passed}
    if not new:
        return
    command = [sys.executable, "-m", "fairgen.preflight"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, input=json.dumps(list(new.values())), capture_output=True, text=True, env=env)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        yield Finding(f"classifiers and encoders could not be tried before the first job ({last})", NOTE)
        return
    answers = json.loads(done.stdout.splitlines()[-1])
    yield from (Finding(text) for text in dict.fromkeys(filter(None, answers)))
    remember([*passed, *(name for name, answer in zip(new, answers, strict=True) if not answer)])


def remembered() -> list[str]:
    """The marks of questions that have passed."""
    try:
        found = json.loads(cache_file().read_text())
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def remember(marks: list[str]) -> None:
    """Store them; a cache that cannot be written costs time only."""
    try:
        cache_file().parent.mkdir(parents=True, exist_ok=True)
        temporary = cache_file().with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(marks[-KEPT:]))
        temporary.replace(cache_file())
    except OSError:
        return


def answer(question: Question) -> str:
    """What is wrong with a classifier or an encoder; "" for nothing. Imports timm."""
    from fairgen.errors import FairgenError

    try:
        probe_classifier(question) if question["ask"] == "classifier" else probe_encoder(question["model"])
    except FairgenError as error:
        text = " ".join(str(error).split())
        return text if text.startswith("config: ") else f"config: {text}"
    except Exception as error:  # whatever timm says of a name that it half knows
        key = "classifier.model" if question["ask"] == "classifier" else "embed.encoder.model"
        model = question.get("model") or question["settings"]["model"]
        return f"config: {key}: timm cannot build {model} ({' '.join(str(error).split())[:160]}); check its name and arguments"
    return ""


def probe_classifier(question: Question) -> None:
    """Build the network and run it on one random image; weights of the hub are asked for in the cache only.

    Raises:
        FairgenError: timm does not know it or refuses its arguments, or weights do not fit or are not to be had.
    """
    from fairgen.models.classifier import Classifier, probe
    from fairgen.settings import read

    settings = read(Classifier, question["settings"], "classifier")
    known(settings.model, "classifier.model")
    local = isinstance(settings.pretrained, str)
    probe(settings if local else replace(settings, pretrained=False), question["classes"])
    if settings.pretrained is True:
        to_be_had(settings.model, "classifier.pretrained")


def probe_encoder(model: str) -> None:
    """An encoder of timm's is known, and its weights are to be had.

    Raises:
        FairgenError: it is not, or they are not.
    """
    known(model, "embed.encoder.model")
    to_be_had(model, "embed.encoder.model")


def known(model: str, key: str) -> None:
    """timm knows a model, by its name or as one of the hub.

    Raises:
        FairgenError: names the nearest ones.
    """
    import timm

    from fairgen.errors import FairgenError
    from fairgen.schemas import nearest

    if ":" not in model and not timm.is_model(model):
        hint = nearest(model.split(".")[0], timm.list_models())
        hint = hint if hint.startswith("did") else "`python -c 'import timm; print(timm.list_models())'` lists all"
        raise FairgenError(f"config: {key}: timm knows no model '{model}'; {hint}")


def to_be_had(model: str, key: str) -> None:
    """Pretrained weights of a timm model exist, and are in the cache where the hub is not to be asked.

    Raises:
        FairgenError: there are none, or they would have to be fetched.
    """
    import timm
    from huggingface_hub import try_to_load_from_cache

    from fairgen.errors import FairgenError

    about = timm.get_pretrained_cfg(model, allow_unregistered=True) if ":" not in model else None
    if about is None:  # a model of the hub by its id, which brings its weights
        return
    if not about.has_weights:
        raise FairgenError(f"config: {key}: timm has no pretrained weights of {model}; take a model that has some")
    names = ("model.safetensors", "pytorch_model.bin")
    if offline() and about.hf_hub_id and not any(isinstance(try_to_load_from_cache(about.hf_hub_id, n), str) for n in names):
        raise FairgenError(
            f"config: {key}: the weights of {model} are not in the local cache, and HF_HUB_OFFLINE keeps to that; fetch them"
            f" with `hf download {about.hf_hub_id}` where there is a network"
        )

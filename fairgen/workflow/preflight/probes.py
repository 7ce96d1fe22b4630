"""Before the first job: what only timm can say of a classifier or an encoder, asked in a process of its own.

timm brings torch, which takes seconds to import. So what has passed once is remembered in the user's cache by
its settings and the versions, and a call that has nothing new to ask imports nothing.
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

from fairgen.core.errors import shortened
from fairgen.core.settings import canonical
from fairgen.models.checkpoints import locate
from fairgen.workflow.known_code import fingerprint
from fairgen.workflow.notes import Notes
from fairgen.workflow.preflight.findings import NOTE, Case, Finding
from fairgen.workflow.preflight.places import is_local, offline

Question = dict[str, Any]
# the marks of questions that have passed, each with the repository of the weights that it needs or ""
PASSED = Notes("preflight", kept=1000)


def questions(case: Case) -> list[Question]:
    """What to ask timm about: each classifier with its number of classes, and an encoder of timm's."""
    classes = len({group["target"] for group in case.groups.values()})
    found: list[Question] = []
    for _, (settings,) in case.sharing(list(case.methods), "classifier"):
        own = {k: v for k, v in settings.items() if k != "precision"}
        if not isinstance(own["pretrained"], str) or Path(locate(own["pretrained"])).is_file():
            found.append({"ask": "classifier", "settings": own, "classes": classes})
    found += [
        {"ask": "encoder", "model": own["model"], "key": f"{key}.model"}
        for key, own in case.encoders().items()
        if own["kind"] == "timm" and not is_local(own["model"])
    ]
    return found


def mark(question: Question) -> str:
    """What a question is remembered by: itself, a local file's state, the versions, and the code that
    answers.
    """
    start = question.get("settings", {}).get("pretrained")
    file = Path(locate(start)) if isinstance(start, str) else None
    state = [file.stat().st_mtime_ns, file.stat().st_size] if file else []
    versions = [version(name) for name in ("timm", "torch")]
    code = fingerprint("fairgen.models.classifier", "fairgen.workflow.preflight.probes")
    return hashlib.sha256(canonical([question, state, versions, code, offline()]).encode()).hexdigest()[:16]


def ask(asked: list[Question]) -> Iterator[Finding]:
    """Yield what timm refuses, and weights that will be downloaded.

    Nothing where this Python has no timm, as where jobs bring environments of their own.
    """
    if not find_spec("timm") or not find_spec("torch"):
        return
    passed = PASSED.read()
    new = {name: question for question in asked if (name := mark(question)) not in passed}
    if new:
        command = [sys.executable, "-P", "-m", "fairgen.workflow.preflight"]
        paths = [str(Path(__file__).parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        done = subprocess.run(
            command, input=json.dumps(list(new.values())), capture_output=True, text=True, env=env
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            yield Finding(f"classifiers and encoders could not be tried before the first job ({last})", NOTE)
            return
        answers = json.loads(done.stdout.splitlines()[-1])
        yield from (Finding(text) for text in dict.fromkeys(text for text, _ in answers if text))
        fresh = {name: hub for name, (text, hub) in zip(new, answers, strict=True) if not text}
        passed |= fresh
        PASSED.add(fresh)
    for question in asked:
        hub = passed.get(mark(question), "")
        if hub and not cached(hub):
            key, model = named(question)
            yield Finding(
                f"config: {key}: the weights of {model} will be downloaded; `hf download {hub}` does so"
                " before",
                NOTE,
            )


def named(question: Question) -> tuple[str, str]:
    """The key and the name of the model that a question is about."""
    if question["ask"] == "classifier":
        return "classifier.model", question["settings"]["model"]
    return question["key"], question["model"]


def cached(hub: str) -> bool:
    """Whether a repository's weights are in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    return any(
        isinstance(try_to_load_from_cache(hub, name), str)
        for name in ("model.safetensors", "pytorch_model.bin")
    )


def answer(question: Question) -> tuple[str, str]:
    """What is wrong with a classifier or an encoder, "" for nothing; and the hub's repository of the weights
    that it needs.

    Imports timm.
    """
    from fairgen.core.errors import FairgenError

    try:
        return "", probe_classifier(question) if question["ask"] == "classifier" else probe_encoder(question)
    except FairgenError as error:
        text = " ".join(str(error).split())
        return text if text.startswith("config: ") else f"config: {text}", ""
    except Exception as error:  # whatever timm says of a name that it half knows
        key, model = named(question)
        return (
            f"config: {key}: timm cannot build {model} ({shortened(str(error), 160)}); check its name and"
            " arguments",
            "",
        )


def probe_classifier(question: Question) -> str:
    """Build the network and run it on one random image; returns the hub's repository of the weights that it
    needs.

    Raises:
        FairgenError: timm does not know it or refuses its arguments, or weights do not fit or are not to be
            had.
    """
    from fairgen.core.settings import read
    from fairgen.models.classifier import Classifier, probe

    settings = read(Classifier, question["settings"], "classifier")
    known(settings.model, "classifier.model")
    local = isinstance(settings.pretrained, str)
    probe(settings if local else replace(settings, pretrained=False), question["classes"])
    return to_be_had(settings.model, "classifier.pretrained") if settings.pretrained is True else ""


def probe_encoder(question: Question) -> str:
    """An encoder of timm's is known, and its weights are to be had; returns the hub's repository of them.

    Raises:
        FairgenError: it is not, or they are not.
    """
    known(question["model"], question["key"])
    return to_be_had(question["model"], question["key"])


def known(model: str, key: str) -> None:
    """timm knows a model, by its name or as one of the hub.

    Raises:
        FairgenError: names the nearest ones.
    """
    import timm

    from fairgen.core.errors import FairgenError
    from fairgen.core.schemas import nearest

    if model.startswith("local-dir:"):
        raise FairgenError(
            f"config: {key}: {model} is a place whose weights would not be watched; give a name of timm's,"
            " and the weights as a file (classifier.pretrained) or an encoder as its folder"
        )
    if ":" not in model and not timm.is_model(model):
        hint = nearest(model.split(".")[0], timm.list_models())
        hint = (
            hint
            if hint.startswith("did")
            else "`python -c 'import timm; print(timm.list_models())'` lists all"
        )
        raise FairgenError(f"config: {key}: timm knows no model '{model}'; {hint}")
    name, _, tag = model.partition(".")
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")]
    if tag and ":" not in model and tag not in tags:
        raise FairgenError(f"config: {key}: timm has no weights '{tag}' of {name}; {nearest(tag, tags)}")


def to_be_had(model: str, key: str) -> str:
    """Pretrained weights of a timm model exist, and are in the cache where the hub is not to be asked.

    Returns:
        The hub's repository of them, "" for weights that are elsewhere.

    Raises:
        FairgenError: there are none, or they would have to be fetched.
    """
    import timm

    from fairgen.core.errors import FairgenError
    from fairgen.models.weights import repository

    if ":" in model:  # a model of the hub by its id, which brings its weights
        return ""
    about = timm.get_pretrained_cfg(model, allow_unregistered=True)
    if about is None or not about.has_weights:
        raise FairgenError(
            f"config: {key}: timm has no pretrained weights of {model}; take a model that has some"
        )
    hub = repository(model)
    if offline() and hub and not cached(hub):
        raise FairgenError(
            f"config: {key}: the weights of {model} are not in the local cache, and HF_HUB_OFFLINE keeps to"
            f" that; fetch them with `hf download {hub}` where there is a network"
        )
    return hub

"""The config as its short forms mean it: entries that are like others, and `~` for the home folder."""

import os
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.core.schemas import nearest
from fairgen.workflow.method_chain import Config, merged


def expanded(config: Config) -> Config:
    """The config with every data set entry that says `like` merged over the entry that it names, and `~` as
    the home folder.

    Raises:
        FairgenError: that entry is unknown, or they say `like` of each other.
    """
    config = at_home(config)
    given: Any = config.get("datasets")
    datasets = {name: whole(given, name) for name in given} if isinstance(given, dict) else {}
    return {**config, "datasets": datasets} if datasets else config


def whole(datasets: Config, name: str, after: tuple[str, ...] = ()) -> Any:
    """A data set's entry merged over the one that it is like, which may be like another.

    Raises:
        FairgenError: that one is unknown, or like the first.
    """
    data = datasets[name]
    model = data.get("like") if isinstance(data, dict) else None
    if model is None:
        return data
    where = f"config: datasets.{name}.like"
    if not isinstance(model, str) or not isinstance(datasets.get(model), dict):
        known = [other for other, entry in datasets.items() if isinstance(entry, dict) and other != name]
        raise FairgenError(f"{where}: '{model}' is no data set with an entry; {nearest(model, known)}")
    if model in (name, *after):
        raise FairgenError(f"{where}: {' → '.join((*after, name, model))} is a circle; break it here")
    found = merged(whole(datasets, model, (*after, name)), data)
    return {key: value for key, value in found.items() if key != "like"}


def at_home(value: Any) -> Any:
    """A value with every text that begins with `~/` as the path that a shell makes of it."""
    if isinstance(value, dict):
        return {k: at_home(v) for k, v in value.items()}
    if isinstance(value, list):
        return [at_home(v) for v in value]
    return os.path.expanduser(value) if isinstance(value, str) and value.startswith("~/") else value

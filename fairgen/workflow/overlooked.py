"""What snakemake forgets or overlooks: artifacts that a failed call has left unmade, that are of another
config or code, or that come of another state of the data than the present index.
"""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from fairgen.core import records
from fairgen.workflow.ancestry import Ancestry

INDEX = "index.parquet"  # what was read of the user's files
Reader = Callable[[Any], records.Record | None]


def make_again(known: Ancestry) -> None:
    """Let snakemake make again what a failed or killed job has left unmade, and what is of another config or
    code.

    Before a job begins, and when it fails, snakemake removes its outputs; while their consumers are still
    there, the next call does not miss them (`DAG.update_needrun`), and what was made from the outputs before
    passes for finished. Lineages show that after an edit of config or code; not after a forced rerun or
    another input file. And what snakemake itself records of an artifact may be gone (a copied folder,
    `--cleanup-metadata`) or wrong (`--touch`): the artifact's own record counts.
    """
    from snakemake.dag import DAG

    original = getattr(DAG.check_incomplete, "original", DAG.check_incomplete)
    DAG.check_incomplete = _watching(original, known)


def _watching(check: Callable[[Any], Any], known: Ancestry) -> Callable[[Any], Any]:
    async def check_incomplete(dag: Any) -> None:
        await check(dag)
        if dag.workflow.is_main_process:
            _force(dag, [path async for path in unmade(dag)], "the last attempt failed or was cut short")
            read = cache(lambda path: records.read(Path(path)))
            found = [path async for path in foreign(dag, known, read)]
            _force(dag, found, "of another config or code, or damaged")
            found = [path async for path in behind(dag, read)]
            _force(dag, found, "made before the files of its data set changed")

    check_incomplete.original = check  # type: ignore[attr-defined]
    return check_incomplete


def _force(dag: Any, paths: list[Any], why: str) -> None:
    from snakemake.logging import logger

    if paths:
        logger.info(f"fairgen: made again ({why}): {', '.join(paths[:3])}{', …' if len(paths) > 3 else ''}")
        dag.forcefiles.update(paths)


async def foreign(dag: Any, known: Ancestry, read: Reader) -> Any:
    """Yield outputs whose own record says another lineage, and those that have none though their kind can
    hold one (damaged).

    Those whose params have changed snakemake sees itself.
    """
    from snakemake.settings.enums import RerunTrigger

    looks = RerunTrigger.PARAMS in dag.workflow.rerun_triggers
    for job in dag.jobs:
        seen = (
            looks
            and dag.workflow.persistence.has_metadata(job)
            and dag.workflow.persistence.params_changed(job)
        )
        if job.rule in known.stages.values() and not seen:
            wanted = known.made(job.rule, job.wildcards_dict).hash
            for path in job.output:
                if await readable(path) and (read(path) or {}).get("hash") != wanted:
                    yield path


async def readable(path: Any) -> bool:
    """Whether an output is there and can say what it records; of a storage, only its copy here can."""
    here = not path.is_storage or Path(path).is_file()
    return Path(path).suffix in records.READERS and here and await path.exists()


async def behind(dag: Any, read: Reader) -> Any:
    """Yield outputs that come of another state of a data set than its index, which was made anew alone."""
    known = {}
    for job in dag.jobs:
        for path in job.output:
            if await readable(path):
                known[path] = read(path)
    current: dict[str, str] = {}
    for path, record in known.items():
        if Path(path).name == INDEX:
            current |= records.data_of(record)
    for path, record in known.items():
        if any(current.get(name, digest) != digest for name, digest in records.data_of(record).items()):
            yield path


async def unmade(dag: Any) -> Any:
    """Yield outputs that are gone although a job has begun to make them after their consumers were made.

    A user may delete an intermediate file to save space: then its record is older than its consumers, and it
    is not missed.
    """
    persistence = dag.workflow.persistence
    for job in dag.jobs:
        lost = [path for path in job.output if not await path.exists()]
        if lost and (_begun(persistence, lost) or _later(persistence, lost, consumers(dag, job))):
            for path in lost:
                yield path


def _begun(persistence: Any, paths: list[Any]) -> bool:
    return bool(persistence._filter_incomplete_keys([persistence._get_key(path) for path in paths]))


def consumers(dag: Any, job: Any) -> Iterable[Any]:
    """Outputs of the jobs that read what a job makes."""
    return [path for other in dag.depending[job] for path in other.output]


def _later(persistence: Any, paths: list[Any], consumers: Iterable[Any]) -> bool:
    made, used = (list(filter(None, map(persistence.metadata, some))) for some in (paths, consumers))
    ends = [record.endtime for record in made if record.endtime]
    starts = [record.starttime for record in used if record.starttime]
    return bool(ends and starts) and max(ends) > min(starts)

"""What `fairgen watch` shows, on recorded logs and on a real run."""

import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import recorded_calls as recorded
from recorded_calls import begun, call, error, finished, said, write
from rich.console import Console
from workflows import PROJECT, Workflow

from fairgen import cli
from fairgen.commands import watch_call
from fairgen.commands.watch import Watch
from fairgen.commands.watch_jobs import kind_of_output, outputs, progress_of, seconds
from fairgen.commands.watch_log import Log, stage_of
from fairgen.commands.watch_screen import duration, line, screen, view
from fairgen.workflow.stages import STAGES

NOW = 1_790_000_000.0
BIRDS = {"dataset": "birds", "scope": "bias-0.95", "method": "lora"}


def adapter(group: str) -> str:
    return f"results/birds/bias-0.95/lora/adapters/{group}/0.safetensors"


def adapting(number: int, group: str, at: float, remote: bool = False) -> str:
    return begun("adapt", number, at, adapter(group), remote, **BIRDS, group=group, cluster=0)


def benchmark(folder: Path, place: str, taken: float) -> None:
    write(folder / f"results/benchmarks/{place}.tsv", f"s\th:m:s\tmax_rss\n{taken}\t0:00:20\t99.1\n", NOW)


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call's process is there, and it is half a minute after NOW."""
    monkeypatch.setattr(watch_call, "owner", lambda log: (psutil.Process(), False))
    monkeypatch.setattr(time, "time", lambda: NOW + 30)


def running(folder: Path) -> None:
    """A call of two cores: one adapter is trained in twenty seconds, two are at work, one is to come."""
    groups = ("a", "b", "c", "d")
    call(
        folder,
        recorded.HERE,
        recorded.plan(adapt=4, all=1),
        adapting(1, "a", NOW - 25),
        finished("adapt", 1, NOW - 5, 1, 5),
        adapting(2, "b", NOW),
        adapting(3, "c", NOW + 28),
    )
    recorded.lock(folder, *map(adapter, groups))
    benchmark(folder, "birds/bias-0.95/lora/adapters/a/0", 20.0)
    place = folder / "results/logs/birds/bias-0.95/lora/adapters/b/0.log"
    write(
        place,
        said(NOW + 2, "ready after 2.10 s of processor time")
        + said(NOW + 4, "adapt b: 0 of 400 steps")
        + said(NOW + 24, "adapt b: 100 of 400 steps, 5 a second"),
        NOW + 24,
    )


def test_a_running_call_shows_stages_jobs_and_the_time_left(tmp_path: Path, alive: None) -> None:
    running(tmp_path)
    shot = Watch(tmp_path).snapshot()
    assert (shot.kind, shot.done, shot.total, shot.at_once, shot.unknown) == (
        "running",
        1,
        5,
        "2 cores",
        (),
    )
    [row] = [row for row in shot.stages if row.stage == "adapt"]
    assert (row.done, row.total, row.running, row.waiting, row.failed) == (1, 4, 1, 1, 0)
    first, second = shot.running
    assert (first.since, first.left) == (28.0, 60.0)
    assert (second.since, second.left) == (None, 20.0)
    # 20 s each of two more adapters fit beside the 60 s of the one
    assert shot.left == 60.0
    text = screen(shot)
    assert re.search(r"^adapt +bias-0.95 lora b cluster 0 +28 s +100/400 steps, 5/s +1 min 00 s$", text, re.M)
    assert re.search(r"^adapt +bias-0.95 lora c cluster 0 +starts +– +20 s$", text, re.M)
    assert "time left: 1 min 00 s" in text
    assert "2.18 jobs a minute" in text or "1.09 jobs a minute" in text


def test_nothing_is_said_of_the_time_left_as_long_as_nothing_is_known(tmp_path: Path, alive: None) -> None:
    call(tmp_path, recorded.HERE, recorded.plan(adapt=2), adapting(1, "a", NOW))
    text = screen(Watch(tmp_path).snapshot())
    assert "time left: –\ntimes not known yet: adapt\n" in text


def test_times_of_earlier_calls_serve_until_there_are_own_ones(tmp_path: Path, alive: None) -> None:
    benchmark(tmp_path, "birds/bias-0.95/lora/adapters/z/0", 50.0)
    call(tmp_path, recorded.HERE, recorded.plan(adapt=1), adapting(1, "a", NOW + 30))
    recorded.lock(tmp_path, adapter("a"))
    watch = Watch(tmp_path)
    assert [one.left for one in watch.snapshot().running] == [50.0]


def test_a_job_that_takes_longer_than_others_has_no_time_left(tmp_path: Path, alive: None) -> None:
    running(tmp_path)
    place = tmp_path / "results/logs/birds/bias-0.95/lora/adapters/b/0.log"
    write(place, said(NOW + 2, "ready after 2.10 s of processor time"), NOW + 24)
    shot = Watch(tmp_path).snapshot()
    assert shot.running[0].left is None
    assert "adapt" in shot.unknown


def test_a_data_set_is_shown_alone_with_its_totals_from_the_lock(tmp_path: Path, alive: None) -> None:
    other = "results/faces/bias-0.95/lora/adapters/x/0.safetensors"
    running(tmp_path)
    path = next((tmp_path / ".snakemake/log").iterdir())
    path.write_text(path.read_text().replace("adapt            4", "adapt            5"))
    recorded.lock(tmp_path, *map(adapter, "abcd"), other)
    shot = Watch(tmp_path, frozenset({"birds"})).snapshot()
    assert [(row.stage, row.done, row.total) for row in shot.stages] == [("adapt", 1, 4)]
    assert (shot.done, shot.total) == (1, 4)
    assert Watch(tmp_path).snapshot().stages[0].total == 5
    assert Watch(tmp_path, frozenset({"faces"})).snapshot().total == 1


def test_jobs_of_a_cluster_wait_until_their_log_begins(tmp_path: Path, alive: None) -> None:
    inside = adapting(1, "a", NOW, remote=True) + adapting(2, "b", NOW, remote=True)
    call(tmp_path, recorded.CLUSTER, recorded.plan(adapt=2), recorded.grouped(inside))
    write(
        tmp_path / "results/logs/birds/bias-0.95/lora/adapters/a/0.log",
        said(NOW + 10, "ready after 1 s"),
        NOW + 10,
    )
    write(
        tmp_path / "results/logs/birds/bias-0.95/lora/adapters/b/0.log",
        said(NOW - 99, "an old one"),
        NOW - 99,
    )
    shot = Watch(tmp_path).snapshot()
    assert [(one.job.wildcards["group"], one.since) for one in shot.running] == [("a", 20.0), ("b", None)]
    assert shot.at_once == "3 jobs at once"
    assert " waits " in screen(shot)


def test_a_failed_call_shows_its_last_error_in_one_line_with_the_log(tmp_path: Path, alive: None) -> None:
    outputs = {"index": "results/pictures/index.parquet", "draw": "results/birds/drawings.parquet"}
    write(
        tmp_path / "results/logs/pictures/index.log",
        said(NOW, "failed", "DEBUG")
        + "Traceback …\n"
        + said(NOW, "no image is left; look into rejects", "ERROR"),
        NOW,
    )
    pieces = [
        recorded.HERE,
        recorded.plan(draw=1, index=1),
        begun("draw", 1, NOW, outputs["draw"], dataset="birds"),
        error("draw", 1, NOW, outputs["draw"], "died with <Signals.SIGKILL: 9>"),
        begun("index", 0, NOW, outputs["index"], dataset="pictures"),
    ]
    failing = error("index", 0, NOW, outputs["index"], "returned non-zero exit status 1")
    call(tmp_path, *pieces, failing, recorded.FAILED)
    shot = Watch(tmp_path).snapshot()
    assert (shot.kind, shot.failed, shot.done) == ("failed", 2, 0)
    text = screen(shot)
    assert "snakemake failed: mend it" in text
    assert "last error: index results/pictures/index.parquet: no image is left; look into rejects\n" in text
    assert "trace in results/logs/pictures/index.log\n" in text
    assert "last error: draw results/birds/drawings.parquet: killed by signal 9" in screen(
        Watch(tmp_path, frozenset({"birds"})).snapshot(), 300
    )
    # it is tried again, and ends well
    again = begun("index", 0, NOW + 5, outputs["index"], dataset="pictures")
    call(tmp_path, *pieces, failing, "Trying to restart job 0.\n", again, finished("index", 0, NOW + 9, 1, 2))
    shot = Watch(tmp_path, frozenset({"pictures"})).snapshot()
    assert (shot.failed, shot.done) == (0, 1)


INTERRUPTED = error("adapt", 1, NOW, adapter("a"), "died with <Signals.SIGINT: 2>")
ENDS = [
    ((finished("adapt", 1, NOW, 1, 1), recorded.ENDED), "well", "finished"),
    ((recorded.STOPPED, INTERRUPTED, recorded.ENDED, recorded.UNDONE), "stopped", "stopped by the user"),
    (("Will exit after finishing currently running jobs (scheduler).\n",), "stopping", "stops when"),
    ((), "running", "runs (process "),
]


@pytest.mark.parametrize(("pieces", "kind", "words"), ENDS)
def test_how_a_call_stands(
    tmp_path: Path, alive: None, pieces: tuple[str, ...], kind: str, words: str
) -> None:
    call(tmp_path, recorded.HERE, recorded.plan(adapt=1), adapting(1, "a", NOW), *pieces)
    shot = Watch(tmp_path).snapshot()
    assert (shot.kind, shot.failed) == (kind, 0)
    assert shot.words.startswith(words)
    assert not shot.error
    assert bool(shot.running) == (kind in ("running", "stopping"))


def quiet(folder: Path) -> None:
    """All logs there were last written long ago."""
    for path in folder.rglob("*.log"):
        os.utime(path, (NOW, NOW))


def test_a_killed_call_says_what_to_do(tmp_path: Path) -> None:
    call(tmp_path, recorded.HERE, recorded.plan(adapt=1), adapting(1, "a", NOW))
    quiet(tmp_path)
    assert "call fairgen run again" in Watch(tmp_path).snapshot().words  # there is no Snakefile
    (tmp_path / "Snakefile").touch()
    assert "call snakemake again" in Watch(tmp_path).snapshot().words
    recorded.lock(tmp_path, adapter("a"))
    shot = Watch(tmp_path).snapshot()
    assert (shot.kind, shot.running) == ("killed", ())
    assert "snakemake --unlock, then the same command" in shot.words


def test_nothing_is_unlocked_while_jobs_that_were_left_behind_write(tmp_path: Path) -> None:
    call(tmp_path, recorded.HERE, recorded.plan(adapt=1), adapting(1, "a", NOW))
    recorded.lock(tmp_path, adapter("a"))
    quiet(tmp_path)
    log = tmp_path / "results/logs/birds/bias-0.95/lora/adapters/a/0.log"
    write(log, said(NOW, "adapt a: 0 of 400 steps"), time.time() - 5)
    shot = Watch(tmp_path).snapshot()
    assert shot.kind == "killed"
    assert re.fullmatch(
        "gone without a last word: wait until its logs are silent, one was written [5-9] s ago", shot.words
    )
    quiet(tmp_path)
    assert "--unlock" in Watch(tmp_path).snapshot().words


class Denied:
    """Another user's process, of which at most its command line is shown."""

    def __init__(self, *words: str):
        self.words = words

    def cmdline(self) -> list[str]:
        if not self.words:  # hidepid=1
            raise psutil.AccessDenied(1)
        return list(self.words)

    def open_files(self) -> list[object]:
        raise psutil.AccessDenied(1)


HIDDEN = [
    ([Denied("python", "-m", "snakemake")], [1, 77]),
    ([Denied()], [1, 77]),
    ([], [77]),  # hidepid=2
]


@pytest.mark.parametrize(("processes", "numbers"), HIDDEN)
def test_another_users_call_is_not_taken_for_a_killed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: list[Denied], numbers: list[int]
) -> None:
    call(tmp_path, recorded.HERE, recorded.plan(adapt=1), adapting(1, "a", NOW))
    recorded.lock(tmp_path, adapter("a"))
    quiet(tmp_path)
    monkeypatch.setattr(psutil, "process_iter", lambda: processes)
    monkeypatch.setattr(psutil, "pids", lambda: numbers)
    assert Watch(tmp_path).snapshot().kind == "killed", "our own call would be seen"
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    shot = Watch(tmp_path).snapshot()
    assert (shot.kind, shot.words) == ("elsewhere", "runs by its log: we may not see its process")
    assert len(shot.running) == 1
    # nothing is hidden there, and it has ended
    monkeypatch.setattr(psutil, "process_iter", lambda: [Denied("python", "serve.py")])
    monkeypatch.setattr(psutil, "pids", lambda: [1, 77])
    assert Watch(tmp_path).snapshot().kind == "killed"


def holder(log: Path) -> subprocess.Popen:
    """A process that has a log open as snakemake has, until its input ends."""
    program = "import sys; file = open(sys.argv[1], 'a'); print(flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", program, str(log), "snakemake"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_the_process_that_has_the_log_open_is_the_calls(tmp_path: Path) -> None:
    path = call(tmp_path, recorded.HERE, recorded.plan(adapt=1))
    assert watch_call.owner(path) == (None, False)
    with holder(path) as process:
        watch = Watch(tmp_path)
        assert watch.snapshot().words == f"runs (process {process.pid})"
        process.communicate()
    assert watch.snapshot().kind == "killed"


def test_a_zombie_and_another_process_of_the_same_number_do_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = call(tmp_path, recorded.HERE, recorded.plan(adapt=1))
    with holder(path) as process:
        watch = Watch(tmp_path)
        assert watch.snapshot().kind == "running"
        process.stdin.close()  # it ends, and nobody has asked how
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert watch.snapshot().kind == "killed"
    other = psutil.Process()
    other._ident = (other.pid, 1.0)  # what the number belonged to when it was found began at another time
    found = iter([(other, False), (None, False)])
    monkeypatch.setattr(watch_call, "owner", lambda log: next(found))
    watch = Watch(tmp_path)
    watch.snapshot()
    assert watch.snapshot().kind == "killed"


def test_a_call_on_another_host_is_judged_by_its_log(tmp_path: Path) -> None:
    path = call(tmp_path, recorded.HERE, recorded.plan(adapt=2), host="elsewhere")
    assert Watch(tmp_path).snapshot().words == "runs on elsewhere, by its log"
    os.utime(path, (NOW, NOW))
    assert "silent for" in Watch(tmp_path).snapshot().words
    call(tmp_path, recorded.HERE, recorded.plan(adapt=2), adapting(1, "a", NOW), host="elsewhere")
    assert Watch(tmp_path).snapshot().kind == "elsewhere"


def test_a_refused_second_call_hides_nothing_and_a_new_one_is_followed(tmp_path: Path, alive: None) -> None:
    running(tmp_path)
    watch = Watch(tmp_path)
    watch.snapshot()
    call(tmp_path, recorded.REFUSED, name="2026-11-29T153031.000000")
    assert watch.snapshot().done == 1
    assert Watch(tmp_path).snapshot().done == 1
    call(tmp_path, recorded.HERE, recorded.plan(score=1), name="2026-11-29T153032.000000")
    assert [row.stage for row in watch.snapshot().stages] == ["score"]


NO_RUNS = {
    "fairgen check, or snakemake --quiet all": "",
    "--summary": "Building DAG of jobs...\n",
    "a dry run by its last word": f"{recorded.plan(adapt=1)}This was a dry-run (flag -n). The order of\n",
    "a dry run by its command": f"  Host: here\n  Command: snakemake -n birds\n{recorded.plan(adapt=1)}",
}


@pytest.mark.parametrize("text", NO_RUNS.values(), ids=NO_RUNS)
def test_a_call_that_runs_nothing_is_no_run(tmp_path: Path, text: str) -> None:
    write(tmp_path / ".snakemake/log/2026-11-29T153030.000000.snakemake.log", text, NOW)
    watch = Watch(tmp_path)
    assert (watch.snapshot().kind, watch.snapshot().over) == ("nothing", True)
    earlier = "2026-11-28T153030.000000"
    for how, kind in (((finished("adapt", 1, NOW, 1, 1), recorded.ENDED), "well"), ((), "killed")):
        call(tmp_path, recorded.HERE, recorded.plan(adapt=1), adapting(1, "a", NOW), *how, name=earlier)
        assert (Watch(tmp_path).snapshot().kind, Watch(tmp_path).snapshot().total) == (kind, 1)


def test_a_check_is_shown_while_it_runs_and_forgotten_then(tmp_path: Path) -> None:
    path = tmp_path / ".snakemake/log/2026-11-29T153030.000000.snakemake.log"
    write(path, "", NOW)
    with holder(path) as process:
        watch = Watch(tmp_path)
        assert watch.snapshot().words == "plans its jobs"
        process.communicate()
    watch.calls._asked = ("", 0.0, False)  # as if time had passed
    assert watch.snapshot().kind == "nothing"


def test_only_what_was_added_is_read_and_a_line_that_is_not_whole_waits(tmp_path: Path) -> None:
    path = call(tmp_path, recorded.HERE, recorded.plan(adapt=2), adapting(1, "a", NOW))
    log = Log(path)
    assert log.read().finished == 0
    text = finished("adapt", 1, NOW, 1, 2)
    with path.open("a") as file:
        file.write(text[:-9])
        file.flush()
        assert log.read().finished == 0
        place = log._tail.place
        file.write(text[-9:])
    assert log.read().finished == 1
    assert log._tail.place == place + 9
    path.unlink()
    assert log.read().finished == 1


@pytest.mark.parametrize("text", ["", "\n\x00\xff not a log", "Job stats:\njob count\n--- ---\n"])
def test_an_empty_or_a_strange_log_is_no_trouble(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".snakemake/log/2026.snakemake.log"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert "snakemake" in screen(Watch(tmp_path).snapshot())


def test_rules_of_another_workflow_are_shown_by_their_names(tmp_path: Path, alive: None) -> None:
    assert [stage_of(name) for name in ("adapt", "fairgen_adapt_shared", "align")] == [
        "adapt",
        "adapt_shared",
        "align",
    ]
    call(tmp_path, recorded.HERE, recorded.plan(align=2, fairgen_adapt=1))
    assert [row.stage for row in Watch(tmp_path).snapshot().stages] == ["adapt", "align"]


def test_the_first_output_of_every_rule_is_known() -> None:
    """A stage's first output, and none of its others, says that it was made."""
    found = {}
    for path in (PROJECT / "rules").glob("*.smk"):
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", path.read_text(), re.M | re.S):
            own = re.findall(
                r'"results/\{dataset\}/([^"]+)"', body.partition("    output:")[2].partition("    log:")[0]
            )
            found[name] = re.sub(r"\{\w+\}", "*", own[0])
            kinds = [kind_of_output("results/d/" + re.sub(r"\{(\w+)\}", r"\1", output)) for output in own]
            assert [kind[1] for kind in kinds if kind] == [name], name
    assert found == outputs()
    assert {*found} == {*STAGES}
    assert kind_of_output("results/birds/report.html") == ("birds", "browse", "")


def test_no_more_is_done_than_there_is(tmp_path: Path, alive: None) -> None:
    """Jobs of all stages, and of rules that are another workflow's and no lock tells of."""
    page = "results/birds/report.html"
    call(
        tmp_path,
        recorded.HERE,
        recorded.plan(browse=2, align=2, all=1),
        begun("browse", 1, NOW, page, dataset="birds"),
        finished("browse", 1, NOW + 1, 1, 5),
        begun("align", 2, NOW, "aligned/birds/a", dataset="birds"),
        finished("align", 2, NOW + 1, 2, 5),
        begun("align", 3, NOW, "aligned/birds/b", dataset="birds"),
    )
    recorded.lock(tmp_path, page, "results/faces/report.html", "aligned/birds/a", "aligned/birds/b")
    shot = Watch(tmp_path, frozenset({"birds"})).snapshot()
    assert (shot.done, shot.total) == (2, 3)
    assert [(row.stage, row.done, row.total) for row in shot.stages] == [("browse", 1, 1), ("align", 1, 2)]
    shot = Watch(tmp_path).snapshot()
    assert [(row.stage, row.total) for row in shot.stages] == [("browse", 2), ("align", 2)]


def test_a_view_fits_its_terminal(tmp_path: Path, alive: None) -> None:
    counts = {name: 2 for name in outputs()}
    jobs = [adapting(n, f"a-long-name-of-a-group-{n}", NOW) for n in range(30)]
    call(tmp_path, recorded.HERE, recorded.plan(**counts | {"adapt": 40}), *jobs)
    shot = Watch(tmp_path).snapshot()
    for width, height in ((80, 24), (60, 20), (200, 60)):
        console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
        rows = console.render_lines(view(shot, width, height), pad=False)
        assert len(rows) <= height, (width, height)
        text = "\n".join("".join(part.text for part in row) for row in rows)
        assert "a-long-name" in text
        assert re.search(r"… and \d+ more", text)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "–"),
        (9.4, "9 s"),
        (59.6, "1 min 00 s"),
        (754, "12 min"),
        (7500, "2 h 05 min"),
        (200000, "2 d 7 h"),
    ],
)
def test_durations(given: float | None, told: str) -> None:
    assert duration(given) == told


def test_what_a_job_tells_of_itself() -> None:
    texts = [
        "adapt b: 0 of 400 steps",
        "adapt b: 9 of 400 steps, 1.25 a second",
        "x: 9 of 9 images, 1.2e+04 a second",
    ]
    read = [progress_of("".join(said(NOW, text) for text in texts[: n + 1])) for n in range(3)]
    told = [(one.what, one.done, one.total, one.unit, one.rate) for one in read if one]
    assert told == [
        ("adapt b", 0, 400, "steps", None),
        ("adapt b", 9, 400, "steps", 1.25),
        ("x", 9, 9, "images", 12000.0),
    ]
    assert progress_of(said(NOW, "ready after 2 s of processor time")) is None
    assert progress_of(said(NOW, texts[1])[:-20]) is None  # a line that is not whole


def test_a_benchmark_file_that_is_cut_short_says_nothing(tmp_path: Path) -> None:
    for text in ("", "s\n", "h:m:s\n0:01:00\n", "s\tx\n-\t\n"):
        (tmp_path / "a.tsv").write_text(text)
        assert seconds(tmp_path / "a.tsv") is None
    assert seconds(tmp_path / "none.tsv") is None


def test_where_nothing_runs_it_says_so_and_a_wrong_place_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["watch", "--once"]) == 1
    assert "name the folder in which snakemake is called" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "config.yaml").write_text("datasets: {}\n")
    assert cli.main(["watch", "--once"]) == 0
    assert "snakemake has run nothing here yet" in capsys.readouterr().out
    call(tmp_path, recorded.HERE, recorded.plan(adapt=1), adapting(1, "a", NOW), recorded.ENDED)
    assert cli.main(["watch", "--once", "bird"]) == 1
    assert capsys.readouterr().err == (
        "fairgen watch: bird: no data set of this call (it has birds), and nothing lies in results/bird\n"
    )
    assert cli.main(["watch", "birds"]) == 0  # no terminal: a line, and an end as the call has ended
    assert "snakemake failed" in capsys.readouterr().out


def test_it_starts_quickly_and_without_torch() -> None:
    program = (
        "import sys; from fairgen import cli; cli.main(['watch', '--once', sys.argv[1]]); "
        "print([name for name in ('torch', 'pyarrow', 'snakemake', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(PROJECT)], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_the_view_on_a_terminal_ends_quietly_with_ctrl_c(tmp_path: Path) -> None:
    call(
        tmp_path,
        recorded.HERE,
        recorded.plan(adapt=1),
        adapting(1, "a", NOW),
        finished("adapt", 1, NOW, 1, 1),
        recorded.ENDED,
    )
    end, terminal = pty.openpty()
    words = [sys.executable, "-m", "fairgen", "watch", "--interval", "0.2", str(tmp_path)]
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "xterm"}

    def heard() -> None:  # a shell that runs the tests in the background has Ctrl-C ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    with subprocess.Popen(words, cwd=PROJECT, env=environment, preexec_fn=heard, **streams) as process:
        os.close(terminal)
        shown = b""
        while b"1 of 1 jobs" not in shown:
            shown += os.read(end, 4096)
        process.send_signal(signal.SIGWINCH)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        while True:
            try:
                shown += os.read(end, 4096)
            except OSError:
                break
        assert process.wait() == 0
    os.close(end)
    assert b"Traceback" not in shown
    assert b"\x1b[3" not in shown  # no colour
    assert shown.rstrip().splitlines()[-1].startswith(b"adapt 1/1")


def test_a_real_run_is_watched_to_its_end(workflow: Workflow) -> None:
    """Two real jobs; the watch writes nothing, and what it says agrees with snakemake."""
    watch, seen = Watch(workflow.folder), []
    words = ["--cores", "1", "--", "results/birds/index.parquet"]
    workflow.edit({"datasets": {"birds": {"options": {"train": 60, "validation": 20, "test": 20}}}})
    with workflow.start(words, workflow.folder / "said.txt", workflow.environment()) as process:
        while process.poll() is None:
            seen.append(watch.snapshot())
            time.sleep(0.1)
    seen.append(watch.snapshot())
    assert process.returncode == 0, (workflow.folder / "said.txt").read_text()
    kinds = [*dict.fromkeys(shot.kind for shot in seen)]
    assert kinds == ["nothing", "running", "well"], kinds
    assert f"runs (process {process.pid})" in {shot.words for shot in seen}
    assert [*dict.fromkeys(one.job.stage for shot in seen for one in shot.running)] == ["draw", "index"]
    assert any(one.progress and one.progress.what == "index" for shot in seen for one in shot.running)
    last = seen[-1]
    assert [(row.stage, row.done, row.total) for row in last.stages] == [("draw", 1, 1), ("index", 1, 1)]
    assert "2 of 2 jobs" in line(last)


def test_a_terminal_without_columns_and_an_impossible_time_are_no_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    job = begun("split", 1, NOW, "results/birds/bias-0.95/split.parquet")
    call(
        tmp_path,
        recorded.HERE,
        recorded.plan(split=1),
        re.sub(r"^\[(\w+ \w+) \d+ ", r"[\1 99 ", job, flags=re.M),
    )
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("os.get_terminal_size", lambda *of: os.terminal_size((0, 0)))
    assert cli.main(["watch", str(tmp_path), "--once"]) == 0
    assert "fairgen watch" in capsys.readouterr().out


def test_a_stopped_call_has_no_error_of_the_jobs_that_it_ended(tmp_path: Path) -> None:
    """A signal to all of its processes ends jobs before snakemake says that it was one."""
    output = "results/birds/bias-0.95/split.parquet"
    for how, shown in (("died with <Signals.SIGTERM: 15>", ""), ("returned non-zero exit status 1", output)):
        call(
            tmp_path,
            recorded.HERE,
            recorded.plan(split=1),
            begun("split", 1, NOW, output),
            error("split", 1, NOW + 1, output, how),
            recorded.STOPPED,
            recorded.ENDED,
        )
        shot = Watch(tmp_path).snapshot()
        assert (shot.kind, shown in shot.error, bool(shot.error)) == ("stopped", True, bool(shown))

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from pymacaron.exceptions import ConfigError
from pymacaron_monitoring import memory, records
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.store import FOLDER_VARIABLE, Store, store_of

COUNTER = Key("jobs_total", ("a",))
WRITER = """
import sys
from pathlib import Path
from pymacaron_monitoring.store import Store

counter = Store("app", Path(sys.argv[1])).counter("jobs_total", ("a",))
for number in range(1, int(sys.argv[2]) + 1):
    counter.add()
    print(number, flush=True)
"""


RUNNER = """
import sys, time
from pathlib import Path
from pymacaron_monitoring.store import Store

series = Store("app", Path(sys.argv[1])).running("active", ("GET",))
for number in range(int(sys.argv[2])):
    series.begin()
print("ready", flush=True)
time.sleep(60)
"""


def write_elsewhere(folder: Path, times: int) -> None:
    """Count in another process, as another worker does."""
    subprocess.run([sys.executable, "-c", WRITER, str(folder), str(times)], check=True, capture_output=True)


def only_file(folder: Path) -> Path:
    (file,) = folder.glob("*.counts")
    return file


def test_a_counter_starts_at_zero() -> None:
    """A series exists from the moment it is asked for."""
    store = Store("app")
    store.counter("jobs_total", ("a",))
    assert store.read() == {COUNTER: [0.0]}


def test_the_same_labels_are_the_same_series() -> None:
    """Asking again gives what is counted already."""
    store = Store("app")
    assert store.counter("jobs_total", ("a",)) is store.counter("jobs_total", ["a"])


@pytest.mark.parametrize(
    ("value", "bucket"),
    [
        pytest.param(0.0, 0, id="nothing"),
        pytest.param(0.1, 0, id="a bound belongs to its bucket"),
        pytest.param(0.11, 1, id="just over a bound"),
        pytest.param(0.6, 2, id="over all bounds"),
    ],
)
def test_a_histogram_counts_each_value_once(value: float, bucket: int) -> None:
    """A value falls into the first bucket whose bound is not below it; the sum stands last."""
    store = Store("app")
    store.histogram("seconds", (), (0.1, 0.5)).observe(value)
    expected = [0.0, 0.0, 0.0, value]
    expected[bucket] = 1.0
    assert store.read() == {Key("seconds", (), (0.1, 0.5), "histogram"): expected}


@pytest.mark.parametrize("is_shared", [pytest.param(False, id="in memory"), pytest.param(True, id="in a folder")])
def test_threads_lose_no_count(tmp_path: Path, is_shared: bool) -> None:
    """Threads that count at the same time are all counted."""
    store = Store("app", tmp_path if is_shared else None)
    counter = store.counter("jobs_total", ("a",))

    def count() -> None:
        for _ in range(20_000):
            counter.add()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read() == {COUNTER: [80_000.0]}


def test_processes_are_added_up(tmp_path: Path) -> None:
    """Any process that shares the folder sees what all have counted, the ended ones included."""
    store = Store("app", tmp_path)
    store.counter("jobs_total", ("a",)).add(3)
    write_elsewhere(tmp_path, 4)
    write_elsewhere(tmp_path, 5)
    assert store.read() == {COUNTER: [12.0]}


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    """What a process counted before SIGKILL stays, at most one count more than it told."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), "1000000"], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout
    for _ in range(500):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    told = 500 + len(writer.stdout.read().splitlines())
    writer.wait()
    writer.stdout.close()
    store = Store("app", tmp_path)
    store.counter("jobs_total", ("a",))
    assert told <= store.read()[COUNTER][0] <= told + 1


@pytest.mark.parametrize("is_shared", [pytest.param(False, id="in memory"), pytest.param(True, id="in a folder")])
def test_a_fork_counts_for_itself(tmp_path: Path, is_shared: bool) -> None:
    """After a fork parent and child do not disturb each other; in a folder both are seen."""
    store = Store("app", tmp_path if is_shared else None)
    counter = store.counter("jobs_total", ("a",))
    counter.add(10)
    child = os.fork()
    if not child:
        counter.add(5)
        os._exit(0)
    os.waitpid(child, 0)
    counter.add(100)
    assert store.read()[COUNTER][0] == (115 if is_shared else 110)


def test_a_successor_counts_on(tmp_path: Path) -> None:
    """What a process counted that has ended is continued in the same file, not beside it."""
    for times in (3, 4):
        write_elsewhere(tmp_path, times)
    store = Store("app", tmp_path)
    store.histogram("seconds", (), (0.1,)).observe(1)
    store.counter("jobs_total", ("a",)).add()
    assert store.read() == {COUNTER: [8.0], Key("seconds", (), (0.1,), "histogram"): [0.0, 1.0, 1.0]}
    assert only_file(tmp_path).name == "pymacaron-app-0.counts"


def test_what_ran_in_a_process_that_died_is_lost(tmp_path: Path) -> None:
    """Nothing stays running for ever: what a killed process had begun is lost, before and after it has a successor."""
    key = Key("active", ("GET",), None, "running")
    watcher = Store("app", tmp_path)
    running = watcher.running("active", ("GET",))
    running.begin()
    victim = start_runner(tmp_path, 3)
    assert watcher.read()[key] == [4.0, 0.0, 0.0]
    victim.kill()
    victim.wait()
    assert watcher.read()[key] == [1.0, 3.0, 0.0]
    successor = start_runner(tmp_path, 2)
    assert watcher.read()[key] == [3.0, 3.0, 0.0]
    running.end()
    assert watcher.read()[key] == [2.0, 3.0, 0.0]
    assert len(list(tmp_path.glob("*.counts"))) == 2
    successor.kill()
    successor.wait()
    assert watcher.read()[key] == [0.0, 5.0, 0.0]


def start_runner(folder: Path, times: int) -> subprocess.Popen[str]:
    """Start a process that begins things and ends none of them."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(folder), str(times)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.stdout.close()
    return process


def test_the_newest_measurement_of_a_living_process_counts(tmp_path: Path) -> None:
    """Of what several processes measure the last one is right, and none of the dead."""
    key = Key("queue_length", ("default",), None, "latest")
    store = Store("app", tmp_path)
    series = store.latest("queue_length", ("default",))
    script = RUNNER.replace('running("active", ("GET",))', 'latest("queue_length", ("default",))').replace(
        "begin()", "measure(7)"
    )
    series.measure(4)
    other = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), "1"], stdout=subprocess.PIPE, text=True)
    assert other.stdout
    assert other.stdout.readline() == "ready\n"
    other.stdout.close()
    assert store.read()[key][0] == 7
    series.measure(5)
    assert store.read()[key][0] == 5
    series.measure(0)
    other.kill()
    other.wait()
    assert store.read()[key][0] == 0


def test_a_successor_does_not_take_over_measurements(tmp_path: Path) -> None:
    """What a process measured that died is not taken for a measurement of the one that goes on in its place."""
    script = WRITER.replace('counter("jobs_total", ("a",))', 'latest("queue_length", ("default",))')
    script = script.replace("counter.add()", "counter.measure(7)")
    subprocess.run([sys.executable, "-c", script, str(tmp_path), "1"], check=True, capture_output=True)
    store = Store("app", tmp_path)
    assert list(store.read().values()) == [(0.0, 0.0)]
    store.counter("jobs_total", ("a",)).add()
    assert only_file(tmp_path).name == "pymacaron-app-0.counts"


def test_living_processes_are_known(tmp_path: Path) -> None:
    """Each has a slot of its own; one that dies gives it back."""
    store = Store("app", tmp_path)
    runner = start_runner(tmp_path, 0)
    assert store.find_processes() == {0: os.getpid(), 1: runner.pid}
    runner.kill()
    runner.wait()
    assert store.find_processes() == {0: os.getpid()}


def test_examples_are_kept_by_bucket(tmp_path: Path) -> None:
    """The newest example of each bucket is known to all processes; one that is too long is not kept."""
    store = Store("app", tmp_path)
    seconds = store.histogram("seconds", (), (0.1,))
    seconds.note_example(0, 0.06, "older")
    seconds.note_example(0, 0.05, "first")
    seconds.note_example(1, 7.0, "slow")
    seconds.note_example(1, 8.0, "x" * 97)
    other = Store("app", tmp_path)
    found = other.read_all()[1][seconds.key]
    assert [(one.bucket, one.value, one.text) for one in found] == [(0, 0.05, "first"), (1, 7.0, "slow")]
    assert [pytest.approx(time.time(), abs=60)] * 2 == [one.time_s for one in found]


def tear_record(data: bytes) -> bytes:
    return data[: records.HEADER.size + 20]


def spoil_key(data: bytes) -> bytes:
    return data.replace(b'["jobs_total"', b'"jobs_total"]')


@pytest.mark.parametrize(
    ("damage", "is_told"),
    [
        pytest.param(lambda _: b"", False, id="empty"),
        pytest.param(lambda _: bytes(100), False, id="just made"),
        pytest.param(lambda data: data[:5], True, id="header torn"),
        pytest.param(tear_record, True, id="record torn"),
        pytest.param(spoil_key, True, id="key spoilt"),
        pytest.param(lambda data: data.replace(b'"jobs_total"', b"{}          "), True, id="key of a wrong kind"),
        pytest.param(lambda _: b"something else altogether, longer than a header", True, id="foreign"),
    ],
)
def test_damaged_files_break_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes], is_told: bool
) -> None:
    """A file that a dying process left empty or torn is told of once, and what others counted is read."""
    write_elsewhere(tmp_path, 4)
    file = only_file(tmp_path).rename(tmp_path / "pymacaron-app-1.counts")
    file.write_bytes(damage(file.read_bytes()))
    store = Store("app", tmp_path)
    store.counter("jobs_total", ("a",)).add(2)
    assert store.read()[COUNTER] == [2]
    assert store.read()[COUNTER] == [2]
    told = [record.getMessage() for record in caplog.records]
    assert told == ([f"Counts in {file} are damaged; what is whole in it is used"] if is_told else [])


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        pytest.param(lambda _: b"", 0, id="empty"),
        pytest.param(lambda _: b"torn", 0, id="header torn"),
        pytest.param(lambda data: data.replace(b'["jobs_total",["b"]', b'["jobs_total"]["b"]'), 7, id="key spoilt"),
    ],
)
def test_a_damaged_file_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes], kept: int
) -> None:
    """A process that gets the place of a damaged file goes on with what is whole in it."""
    before = Store("app", tmp_path)
    before.counter("jobs_total", ("a",)).add(7)
    before.counter("jobs_total", ("b",)).add(8)
    del before
    file = only_file(tmp_path)
    file.write_bytes(damage(file.read_bytes()))
    store = Store("app", tmp_path)
    store.counter("jobs_total", ("a",)).add()
    store.counter("jobs_total", ("c",)).add(2)
    assert store.read() == {COUNTER: [kept + 1.0], Key("jobs_total", ("c",)): [2.0]}
    assert [record.levelname for record in caplog.records] == (["WARNING"] if kept else [])
    assert only_file(tmp_path) == file


def test_what_is_whole_before_the_damage_counts(tmp_path: Path) -> None:
    """Records in front of a torn one are used."""
    store = Store("app", tmp_path)
    store.counter("jobs_total", ("a",)).add(7)
    store.counter("jobs_total", ("b",)).add(8)
    torn = tmp_path / "pymacaron-app-1.counts"
    torn.write_bytes(only_file(tmp_path).read_bytes()[: store._memory._header.used - 1])
    assert store.read() == {COUNTER: [14.0], Key("jobs_total", ("b",)): [8.0]}


def test_a_file_that_vanishes_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is removed between listing and reading counts nothing."""
    store = Store("app", tmp_path)
    store.counter("jobs_total", ("a",)).add()
    (tmp_path / "pymacaron-app-1.counts").symlink_to(tmp_path / "gone")
    assert store.read() == {COUNTER: [1.0]}
    assert caplog.records == []


def test_a_lock_file_that_is_removed_costs_no_count(tmp_path: Path) -> None:
    """Somebody who cleans up does not make two processes write one file: both count, and both are seen to live."""
    store = Store("app", tmp_path)
    store.counter("jobs_total", ("a",)).add(3)
    (tmp_path / "pymacaron-app.lock").unlink()
    runner = start_runner(tmp_path, 2)
    assert store.read()[Key("active", ("GET",), None, "running")] == [2.0, 0.0, 0.0]
    assert store.find_processes() == {0: os.getpid(), 1: runner.pid}
    runner.kill()
    runner.wait()
    write_elsewhere(tmp_path, 4)
    assert store.read()[COUNTER] == [7.0]
    assert sorted(file.name for file in tmp_path.glob("*.counts")) == [
        "pymacaron-app-0.counts",
        "pymacaron-app-1.counts",
    ]


def test_the_place_of_a_dying_process_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lets go of its file a moment later than of its slot has a successor in the same file."""
    monkeypatch.setattr(memory, "_DYING_S", 30.0)
    script = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'ab'); fcntl.lockf(file, fcntl.LOCK_EX, 1, 0); "
        "print('ready', flush=True); time.sleep(0.1)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "pymacaron-app-0.counts")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dying:
        assert dying.stdout
        assert dying.stdout.readline() == "ready\n"
        store = Store("app", tmp_path)
    assert store.find_processes() == {0: os.getpid()}
    assert only_file(tmp_path).name == "pymacaron-app-0.counts"


def test_a_folder_that_is_removed_leaves_what_this_process_counts(tmp_path: Path) -> None:
    """The page goes on with that."""
    store = Store("app", tmp_path / "counts")
    store.counter("jobs_total", ("a",)).add(3)
    shutil.rmtree(tmp_path / "counts")
    assert store.read() == {COUNTER: [3.0]}
    assert store.find_processes() == {0: os.getpid()}


def test_a_fork_without_a_folder_counts_for_itself(tmp_path: Path) -> None:
    """Where somebody has removed it, the fork does not write among what its parent counts."""
    store = Store("app", tmp_path / "counts")
    counter = store.counter("jobs_total", ("a",))
    counter.add(3)
    shutil.rmtree(tmp_path / "counts")
    child = os.fork()
    if not child:
        counter.add(5)
        os._exit(store.read() != {COUNTER: [5.0]})
    assert os.waitpid(child, 0) == (child, 0)
    assert store.read() == {COUNTER: [3.0]}


def test_the_folder_stays_the_same_where_the_process_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is named relatively is found again after a change of the working directory."""
    monkeypatch.chdir(tmp_path)
    store = Store("app", Path("counts"))
    store.counter("jobs_total", ("a",)).add(3)
    monkeypatch.chdir("/")
    write_elsewhere(tmp_path / "counts", 4)
    assert store.read() == {COUNTER: [7.0]}


def test_the_folder_of_a_living_process_is_locked(tmp_path: Path) -> None:
    """So that systemd-tmpfiles lets it be, however old the files in it are."""
    store = Store("app", tmp_path)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        del store
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(folder)


def test_apps_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    """Apps of other names, though they begin alike, have counts of their own."""
    stores = {name: Store(name, tmp_path) for name in ("app", "app-2", "my app", "app.2")}
    for number, store in enumerate(stores.values(), start=1):
        store.counter("jobs_total", ("a",)).add(number)
    assert [store.read()[COUNTER][0] for store in stores.values()] == [1, 2, 3, 4]


def test_other_bounds_are_left_out(tmp_path: Path) -> None:
    """Histograms of a worker that still has an older document cannot be added to ours."""
    Store("app", tmp_path).histogram("seconds", (), (0.1, 0.5)).observe(0.2)
    newer = Store("app", tmp_path)
    newer.histogram("seconds", (), (0.1, 0.2)).observe(0.2)
    assert newer.read() == {Key("seconds", (), (0.1, 0.2), "histogram"): [0.0, 1.0, 0.0, 0.2]}


@pytest.mark.parametrize("is_shared", [pytest.param(False, id="in memory"), pytest.param(True, id="in a folder")])
def test_a_full_store_drops_new_series_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, is_shared: bool
) -> None:
    """Without room a new series is not shown, and everything else goes on."""
    monkeypatch.setattr(memory, "EXEMPLARS_START", 176)
    store = Store("app", tmp_path if is_shared else None)
    first, second, third = (store.counter("jobs_total", (label,)) for label in "abc")
    for counter in (first, second, third):
        counter.add()
    assert store.read() == {COUNTER: [1.0], Key("jobs_total", ("b",)): [1.0]}
    line = 'A series is not counted: ["jobs_total",["c"],null,"counter"] (all 176 bytes of this process are in use)'
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.WARNING, line)]


def test_an_app_has_one_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app has one store; another app of the same name in the process has its own."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    app, twin = Flask("svc"), Flask("svc")
    assert store_of(app) is store_of(app)
    store_of(app).counter("jobs_total", ("a",)).add()
    assert store_of(twin).read() == {}


def test_twin_apps_share_a_folder_without_mixing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apps of one name in one process write different files."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    app, twin = Flask("svc"), Flask("svc")
    store_of(app).counter("jobs_total", ("a",)).add()
    assert store_of(twin).read() == {}
    assert len(list(tmp_path.glob("*.counts"))) == 2


def test_a_folder_that_cannot_be_used_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable, the folder and the reason."""
    folder = tmp_path / "file"
    folder.touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    with pytest.raises(ConfigError) as refused:
        store_of(Flask("svc"))
    expected = f"{FOLDER_VARIABLE}: {folder} cannot be used: File exists. Name a folder that can be written."
    assert str(refused.value) == expected

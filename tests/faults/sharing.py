"""Files of records that others use too: another spool, a consumer, a program that appends; and a spool that was put back
from a copy beside them."""

import fcntl
import pathlib
import shutil
import threading
import time

import scenes
import shim
import strace
from bench import rows
from sweep import Sweep
from trial import PATIENCE, Trial

ROWS, row = rows()

ONE_FILE = """
target "records" {
    file = "%s"
}
"""


class Sharer(Trial):
    """A trial of which others see the file, or files, one a connection. Its events have its name, and it looks at no
    others."""

    def __init__(self, bench, name, path, **options):
        super().__init__(bench, targets=ONE_FILE % path, **options)
        self.name = name
        self.site.records_file = self.path = pathlib.Path(path)
        self.read = b""  # what consumers have taken

    def good(self, size=0, **fields):
        return super().good(size, connection_id=f"c{self.bench.chance.randrange(4)}", **fields)

    def content(self):
        files = self.path.parent.glob(self.path.name.replace("%{connection_id}", "*"))
        return b"".join(path.read_bytes() for path in files)

    def own(self, content):
        return b"".join(line for line in content.splitlines(keepends=True) if b'"id":"%s-' % self.name.encode() in line)

    def check(self, content=None):
        return super().check(self.own(self.read + self.content()))


def points_of(bench, trial):
    """The system calls of a deliverer that has something to do."""
    log = bench.folder / "trace"
    trial.post_cgi(trial.good())
    trial.deliver(strace.record(log))
    return [(call, when) for call, count in strace.counts(log).items() for when in range(1, count + 1)]


def killed(bench, trial, points, what="signal=KILL"):
    """A deliverer that is killed somewhere."""
    log = bench.folder / f"{trial.name}.trace"
    call, when = bench.chance.choice(points)
    trial.deliver(strace.inject(log, call, what, when))
    bench.injections += strace.was_killed(log)


def at_once(calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def torn_lines(bench, content):
    lines = content.split(b"\n")
    whole = sum(not line.startswith(b"{") or not line.endswith(b"}") for line in lines[:-1])
    if whole or lines[-1]:
        bench.torn += whole + bool(lines[-1])
        bench.problem(f"{whole} lines are none, its end is {lines[-1][:80]}")


@row("shared-file", "two spools with one file as target, their deliverers at once and killed at any system call")
def shared_file(bench):
    share(bench, bench.folder / "shared.jsonl")


@row("shared-files", "the same with several files")
def shared_files(bench):
    share(bench, bench.folder / "shared-%{connection_id}.jsonl")


def share(bench, path):
    spools = [Sharer(bench, name, path) for name in ("one", "two")]
    points = points_of(bench, spools[0])
    for number in range(25 if bench.short else 1500):
        for trial in spools:
            for _ in range(bench.chance.randrange(1, 4)):
                trial.post_cgi(trial.good())
        at_once([lambda trial=trial: killed(bench, trial, points) if bench.chance.random() < 0.7 else trial.deliver()
                 for trial in spools])
        if number % 5 == 4:
            for trial in spools:
                if not trial.settle(later=120):
                    return bench.problem(f"number {number}, {trial.name}: {dict(trial.counted)}")
    for trial in spools:
        trial.settle(later=7200)
        if b"will not be written again; they stay" not in trial.messages():
            bench.problem("a deliverer does not say that it has left bytes of others")
    torn_lines(bench, spools[0].content())
    for trial in spools:
        trial.end()


def put_back(copy, spool, in_place):
    """As rsync --inplace does, or as a new folder."""
    if not in_place:
        shutil.rmtree(spool)
        shutil.copytree(copy, spool)
        return
    for path in sorted(spool.rglob("*"), reverse=True):
        if not path.is_dir() and not copy.joinpath(path.relative_to(spool)).exists():
            path.unlink()
    for source in copy.rglob("*"):
        path = spool / source.relative_to(copy)
        if source.is_file():
            path.write_bytes(source.read_bytes())
            path.chmod(source.stat().st_mode & 0o777)


def copy_spool(spool, copy):
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(spool, copy, ignore=lambda folder, names: [name for name in names if name in ("trigger", )])


@row("spool-restored", "a spool put back from an older copy, in place or as a new one, beside files that are newer")
def spool_restored(bench):
    """The records since then stay: nobody can write them again."""
    for number in range(8 if bench.short else 200):
        trial = Sharer(bench, "r", bench.folder / f"restored{number}.jsonl")
        spool, copy = trial.site.spool, bench.folder / "copy"
        points = points_of(bench, trial)
        for _ in range(bench.chance.randrange(1, 4)):
            trial.post_cgi(trial.good())
        trial.deliver()
        copy_spool(spool, copy)
        for _ in range(bench.chance.randrange(1, 20)):
            trial.post_cgi(trial.good())
        trial.deliver()
        if number % 2:
            killed(bench, trial, points)
        put_back(copy, spool, number % 4 < 2)
        bench.injections += 1
        for _ in range(2):
            trial.post_cgi(trial.good())
            if bench.chance.random() < 0.5:
                killed(bench, trial, points)
        if not trial.settle(later=120):
            bench.problem(f"number {number}: {dict(trial.counted)}")
        if b"will not be written again; they stay" not in trial.messages():
            bench.problem(f"number {number}: not a word of it")
        torn_lines(bench, trial.content())
        trial.end()


class Consumer(threading.Thread):
    """Renames the file as soon as there is one, locks it or does not, reads and removes it. Without the lock it may see a
    part of a record, which comes again."""

    def __init__(self, trial, locks):
        super().__init__(daemon=True)
        self.trial, self.locks = trial, locks
        self.stopping = threading.Event()
        self.taken = 0

    def run(self):
        while not self.stopping.is_set():
            time.sleep(self.trial.bench.chance.random() * 0.05)
            self.take()

    def take(self):
        path = self.trial.site.records_file
        away = path.with_suffix(".taken")
        try:
            path.rename(away)
        except FileNotFoundError:
            return
        with open(away, "rb") as file:
            if self.locks:
                fcntl.flock(file, fcntl.LOCK_EX)
            content = file.read()
            self.trial.read += content if self.locks else content[:content.rfind(b"\n") + 1]
            away.unlink()
        self.taken += 1

    def stop(self):
        self.stopping.set()
        self.join(PATIENCE)


def consume(bench, locks, seconds):
    trial = Sharer(bench, "c", bench.folder / f"consumed{locks}.jsonl")
    child = trial.receiver()
    # On a slow disk, where much can happen between two steps.
    slow = strace.inject(bench.folder / "trace", "fdatasync", "delay_exit=10000", "1+")
    deliverer = trial.start_deliverer("--stay", prefix=slow)
    consumer = Consumer(trial, locks)
    consumer.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        trial.post_together([trial.good() for _ in range(6)], child)
    trial.end_deliverer()
    trial.finish(deliverer, "a deliverer")
    consumer.stop()
    bench.injections += consumer.taken
    trial.settle(later=7200)
    if not locks:
        bench.notes.append(f"without the lock {trial.counted['twice']} records were seen twice, which is allowed")
        trial.counted["twice"] = 0
    trial.end()


@row("consumer", "a consumer that renames, reads and removes the file all the time, with a lock and without")
def consumer(bench):
    for locks in (True, False):
        consume(bench, locks, 4 if bench.short else 120)


class Noter:
    """A program that appends lines of its own."""

    def __init__(self, path, locks):
        self.path, self.locks = path, locks
        self.count = 0

    def append(self):
        with open(self.path, "ab") as file:
            if self.locks:
                fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b'{"note":%d}\n' % self.count)
        self.count += 1

    def missing(self):
        lines = self.path.read_bytes().splitlines()
        return [number for number in range(self.count) if lines.count(b'{"note":%d}' % number) != 1]


@row("appended", "a program that appends to the file too, while the deliverer is killed at any system call, and after")
def appended(bench):
    trial = Sharer(bench, "a", bench.folder / "appended.jsonl")
    points = points_of(bench, trial)
    noter = Noter(trial.site.records_file, locks=True)
    for number in range(40 if bench.short else 2000):
        trial.post_cgi(trial.good())
        stop = threading.Event()

        def note():
            while not stop.is_set():
                noter.append()
                time.sleep(0.003)

        beside = threading.Thread(target=note)
        beside.start()
        killed(bench, trial, points)
        stop.set()
        beside.join()
        if number % 10 == 9:
            if not trial.settle(later=120):
                bench.problem(f"number {number}: {dict(trial.counted)}")
                break
    trial.settle(later=7200)
    missing = noter.missing()
    if missing:
        bench.lost += len(missing)
        bench.problem(f"lines of others are not there, or not once: {missing[:5]}")
    torn_lines(bench, trial.content())
    trial.end()


class UnstableInodes(scenes.Deliverer):
    """As on sshfs: a file has another number and no time of birth in each process."""

    name = "deliverer, inodes that do not last"

    def run(self, trial, prefix, env=None):
        trial.deliver(prefix, env=shim.environment(trial.bench, inodes="unstable"))

    def settle(self, trial):
        code = trial.deliver(env=shim.environment(trial.bench, inodes="unstable"))
        if code:
            trial.bench.problem(f"a deliverer ended with {code}")
        return trial.check()


@row("inodes", "kill -9 at any system call of the deliverer, on a file system whose inodes do not last")
def inodes(bench):
    Sweep(bench, UnstableInodes(), twice=0.3).run(most=40)

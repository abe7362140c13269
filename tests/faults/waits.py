"""Events that wait, among many that do not."""

import datetime
import sqlite3

import lines
import scenes
from bench import rows
from sweep import Sweep
from trial import Trial

ROWS, row = rows()

CHOOSY = """
target "records" {
    file = "@/records.jsonl"
}
target "script" {
    run = {"%s", "@/bad", "@/kept"}
    match = {"connection_id=parked*"}
}
target "other" {
    run = {"%s", "@/bad", "@/kept"}
    match = {"connection_id=failing*"}
    retry_for = "90d"
}
""" % ((scenes.HERE / "fixtures" / "choosy",) * 2)


class Waiting(scenes.Deliverer):
    """What waits is copied: small segments, of which all waits, and one of which most is done with."""

    name = "deliverer that copies what waits"
    options = {"targets": CHOOSY}
    follow = False
    later = 7200

    copied = False

    def begin(self, trial):
        self.waiting = []

    def prepare(self, trial):
        (trial.site.folder / "bad").touch()
        for number in range(9):
            trial.post_cgi(self.waits(trial, ("parked", "failing")[number % 2] + str(number)))
        child = trial.receiver()
        trial.post_together([trial.good(100000), self.waits(trial, "parked")], child)
        child.terminate()
        trial.finish(child, "a receiver")
        trial.deliver()
        age(trial.site.spool)

    def run(self, trial, prefix, env=None):
        super().run(trial, prefix, env)
        self.copied |= any(trial.site.spool.glob("journal/*-kept.jsonl"))

    def waits(self, trial, connection):
        message = trial.good(connection_id=connection)
        self.waiting.append(message[0])
        return message

    def settle(self, trial):
        bring_on(trial)
        well = super().settle(trial)
        kept = trial.site.folder / "kept"
        seen = kept.read_bytes() if kept.exists() else b""
        unseen = [marker for marker in self.waiting if b'"%s"' % marker.encode() not in seen]
        left = list(trial.site.spool.glob("journal/*"))
        if unseen or left:
            trial.bench.problem(f"the script never saw {unseen[:5]}; in the journal is {left[:5]}")
        return well and not unseen and not left


def age(spool):
    """What came just now has waited for years."""
    for path in spool.glob("journal/*.jsonl"):
        path.rename(path.with_name("2020" + path.name[4:]))
    with sqlite3.connect(spool / "state.db") as state:
        state.execute("UPDATE segment SET name = '2020' || substr(name, 5)")
    state.close()


def bring_on(trial):
    """What was wrong is put right, and what was given up is tried again."""
    (trial.site.folder / "bad").unlink(missing_ok=True)
    done = trial.site.run("-c", trial.site.conf, "retry", "--all")
    if done.returncode:
        trial.bench.problem(f"retry: {done.stderr.decode()}")


@row("kill-waits", "kill -9 at any system call of a deliverer that copies what waits, and of its restart")
def kill_waits(bench):
    scene = Waiting()
    Sweep(bench, scene, twice=0.3).run(most=20)
    if not scene.copied:
        bench.problem("nothing was copied")


def segment_lines(checksum, trial, at, number, count):
    """Events of one segment: one that is given up, one that fails, and others."""
    for i in range(count):
        marker = f"event-{number}-{i}"
        connection = {1: "parked", 2: "failing"}.get(i, "c")
        event_id, line = lines.line(checksum, at + datetime.timedelta(milliseconds=i), marker, f"{connection}{number}",
                                    "x" * 200)
        trial.ledger.sending(marker)
        trial.ledger.accepted[marker] = {event_id}
        yield line


def size(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


@row("waits", "one event given up and one that fails in each segment, for a month; `keep` is an hour")
def waits(bench):
    """The spool has what waits, and what came within `keep`: not what came."""
    checksum = lines.checksum()
    segments, count = (12, 400) if bench.short else (100, 10000)
    trial = Trial(bench, targets=CHOOSY, options='keep = "1h"\nremember = "12h"')
    (trial.site.folder / "bad").touch()
    trial.deliver()
    begun, waiting, largest = lines.now(), 0, 0
    for number in range(segments):
        trial.offset = number * 30 * 86400 // segments
        at = begun + datetime.timedelta(seconds=trial.offset - 120)
        written = list(segment_lines(checksum, trial, at, number, count))
        lines.write_segment(trial.site.spool / "journal", at, written)
        trial.deliver()
        bench.injections += 2
        waiting += len(written[1]) + len(written[2])
        largest = max(largest, sum(map(len, written)))
        journal, archive = size(trial.site.spool / "journal"), size(trial.site.spool / "archive")
        if journal > 2 * waiting + (64 << 10) or archive > 2 * largest + waiting:
            bench.problem(f"after segment {number} of {largest} bytes {waiting} wait: journal/ has {journal} and "
                          f"archive/ {archive}")
    bench.notes.append(f"{segments * count} events, {waiting} bytes wait: at the end journal/ has {journal} bytes, "
                       f"archive/ {archive}, state.db {(trial.site.spool / 'state.db').stat().st_size}")
    bring_on(trial)
    trial.settle(later=7200)
    kept = (trial.site.folder / "kept").read_bytes().count(b"\n")
    if kept != 2 * segments:
        bench.problem(f"the scripts got {kept} of {2 * segments} events that waited")
    trial.end()

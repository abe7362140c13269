"""A receiver that is somebody else's by now."""

import collections
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import skip
from bench import rows
from sites import is_alive, variables, wait_for
from users import DELIVERER, GROUP, RECEIVER, Pair, event, identity

ROWS, row = rows()

SPOIL = pathlib.Path(__file__).resolve().parent / "fixtures" / "spoil"


def make_canary(folder):
    """What is the deliverer's and no business of the receiver's."""
    (folder / "home").mkdir(parents=True)
    for name in ("diary", "20200101T000000.000000Z-1-00000000.jsonl", "all", "audit.jsonl"):
        (folder / name).write_text(f"private: {name}\n")
        (folder / name).chmod(0o600)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, DELIVERER, DELIVERER)
    folder.chmod(0o755)


def fingerprint(folder):
    found = {}
    for path in sorted(folder.rglob("*")):
        st = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, content)
    return found


class Senders:
    """Good requests, one CGI run after the other."""

    def __init__(self, pair):
        self.pair, self.number = pair, 0
        self.statuses = collections.Counter()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def one(self):
        self.number += 1
        status = self.pair.post_cgi(event(self.number)).status
        self.statuses[status] += 1
        return status

    def run(self):
        while not self.stopping.is_set():
            self.one()

    def stop(self):
        self.stopping.set()
        self.thread.join()


def check_records(b, pair):
    """Each line whole, each event once."""
    lines = pair.content.split(b"\n")
    if lines.pop():
        b.torn += 1
    for line, count in collections.Counter(lines).items():
        if not line.startswith(b'{"event_id":"') or not line.endswith(b"}"):
            b.torn += 1
        b.twice += count - 1


def clear(pair):
    """What an administrator does afterwards: what does not belong there goes."""
    for name in ("journal", "errands", "audit"):
        folder = pair.spool / name
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        os.chown(folder, DELIVERER, pair.identity["extra_groups"][0])
        folder.chmod(0o2770)


def deliver(pair):
    log = open(pair.folder / "deliver.log", "ab")
    return pair.start([pair.program, "-c", pair.conf, "deliver", "--stay"], cwd="/", stdout=log, stderr=log)


def attack(b, pair, canary, child, seconds):
    before = fingerprint(canary)
    senders = Senders(pair)
    senders.thread.start()
    spoilers = [subprocess.Popen([sys.executable, "-B", SPOIL, pair.spool, canary, f"{b.seed}-{n}", str(seconds)], cwd="/",
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, **identity(RECEIVER)) for n in range(2)]
    end = time.monotonic() + seconds
    while time.monotonic() < end and is_alive(child.pid):
        time.sleep(0.2)
    for spoiler in spoilers:
        said, failure = spoiler.communicate(timeout=60)
        if spoiler.returncode:
            b.problem(failure.decode())
        else:
            b.injections += int(said)
    senders.stop()
    b.notes.append(f"{dict(senders.statuses)} meanwhile, {len(pair.records())} records")
    if not is_alive(child.pid):
        b.problem(f"the deliverer ended: {child.wait()}: {(pair.folder / 'deliver.log').read_text()[-2000:]}")
    if fingerprint(canary) != before:
        b.problem("something of the deliverer's own was changed")
    return senders


@row("hostile-receiver", "the receiver's user spoils all that it can write to")
def hostile_receiver(b):
    if os.geteuid() != 0:
        raise skip.Skip("not root: there is one user")
    pair = Pair(options='reserve = "0"')
    b.ends.callback(pair.close)
    canary = pair.folder / "var" / "home"
    make_canary(canary)
    child = deliver(pair)
    wait_for(lambda: (pair.spool / "state.db").exists(), "the deliverer has begun")
    senders = attack(b, pair, canary, child, 6 if b.short else 600)
    clear(pair)
    told = len(pair.records())
    good = 20
    for _ in range(good):
        wait_for(lambda: senders.one() == 200, "an event is taken again")
    b.acknowledged += senders.statuses[200]
    try:
        wait_for(lambda: len(pair.records()) >= told + good, "what came after it is delivered")
    except AssertionError as failure:
        b.lost += told + good - len(pair.records())
        b.problem(str(failure))
    check_records(b, pair)
    status = pair.run("-c", pair.conf, "status", "--json")
    if status.returncode not in (0, 1, 2):
        b.problem(f"status: {status.returncode}, {status.stderr.decode()}")
    if pair.stop(child, signal.SIGTERM) != 0:
        b.problem(f"the deliverer did not end well: {child.returncode}")
    log = (pair.folder / "deliver.log").read_text()
    for word in ("state.db: damaged", "Sanitizer", "cannot be opened"):
        if word in log:
            b.problem(f"the deliverer says: {log[-2000:]}")

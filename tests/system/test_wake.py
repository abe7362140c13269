"""How deliverers are started: one delivers, one waits at most, whatever becomes of the names that they meet by."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import threading
import time

import pytest
import sign
from ledger import Ledger
from sites import FILE_TARGET, all_at_once, is_alive, pids, processes, wait_for

REQUESTS = int(os.environ.get("HOOKSPOOL_WAKE_REQUESTS", 300))


def deliverers(site):
    """The processes that run `hookspool deliver` for this site."""
    found = set()
    for pid in pids():
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(site.conf).encode() in words and b"deliver" in words:
            found.add(pid)
    return found


class Count:
    """Counts the deliverers that live at a time, all the while. One that is about to be gone does not count: it is there
    only once."""

    def __init__(self, site):
        self.site, self.most, self.stopping = site, 0, threading.Event()
        self.thread = threading.Thread(target=self.count, daemon=True)

    def count(self):
        before = set()
        while not self.stopping.is_set():
            now = deliverers(self.site)
            self.most = max(self.most, len(now & before))
            before = now

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(60)


def post_all(site, ledger, count, name):
    """CGI runs, four at a time."""
    def post(first):
        for number in range(first, count, 4):
            marker = f"{name}-{number}"
            ledger.sending(marker)
            ledger.answered(marker, site.post_cgi(sign.body(f'[{{"id":"{marker}"}}]'.encode(), marker)))
    all_at_once([lambda first=first: post(first) for first in range(4)])


def test_trigger_and_lock_are_removed(make_site):
    site = make_site(deliver="auto")
    ledger, stopping = Ledger(), threading.Event()

    def clean():
        while not stopping.is_set():
            for name in random.choice((["trigger"], ["deliver.lock"], ["trigger", "deliver.lock"])):
                with contextlib.suppress(FileNotFoundError):
                    (site.spool / name).unlink()
            time.sleep(random.random() * 0.05)

    cleaner = threading.Thread(target=clean, daemon=True)
    with Count(site) as count:
        cleaner.start()
        post_all(site, ledger, REQUESTS, "e")
        stopping.set()
        cleaner.join()
        wait_for(lambda: len(site.records()) >= REQUESTS, "all is delivered", 120)
    assert 1 <= count.most <= 2
    ledger.check(site.content, everything=True)


SLOW = """
target "slow" {
    run = {"/bin/sh", "-c", "trap '' TERM; sleep 4"}
    match = {"connection_id=slow"}
}
"""


def test_a_deliverer_that_is_being_started_ends_with_its_receiver(make_site, tmp_path):
    """The receiver is killed when its child has asked for the signal of that, and is no deliverer yet."""
    site = make_site(deliver="auto")
    trace = tmp_path / "trace"
    server = site.start_serve(["strace", "-f", "-o", trace, "-e", "trace=getppid",
                               "-e", "inject=getppid:delay_exit=2000000"], leaks=False)
    wait_for(lambda: trace.exists() and b"getppid(" in trace.read_bytes(), "a deliverer is being started")
    (receiver,) = [pid for pid, parent in processes().items() if parent == server.pid]
    os.kill(receiver, signal.SIGKILL)
    server.wait(30)
    assert not site.processes()


def test_a_deliverer_that_takes_long_to_end(make_site, tmp_path):
    site = make_site(deliver="auto", targets=SLOW + FILE_TARGET % (tmp_path / "site1"))
    ledger = Ledger()
    ledger.sending("first")
    ledger.answered("first", site.post_cgi(sign.body(b'[{"id":"first"}]', "first", connection_id="slow")))
    first = wait_for(site.deliverer, "a deliverer")
    wait_for(lambda: any(pid != first for pid in site.processes() if is_alive(pid)), "the script runs")
    os.kill(first, signal.SIGTERM)
    with Count(site) as count:
        post_all(site, ledger, 100, "e")
        wait_for(lambda: len(site.records()) >= 101, "all is delivered", 120)
    assert 1 <= count.most <= 2
    ledger.check(site.content, everything=True)


def test_a_spool_that_is_made_anew(site):
    """A deliverer that stays goes over to the spool that stands at the path now."""
    with open(site.folder / "deliver.log", "ab") as log:
        child = site.start([site.program, "-c", site.conf, "deliver", "--stay"], stdout=log, stderr=log)
    site.post_cgi(sign.body(b'[{"id":"1"}]', "1"))
    wait_for(lambda: len(site.records()) == 1 and site.is_drained(), "the first record")
    site.spool.rename(site.folder / "old")
    wait_for(lambda: "moved away" in (site.folder / "deliver.log").read_text(), "the deliverer sees it")
    assert not site.spool.exists()
    assert site.post_cgi(sign.body(b'[{"id":"2"}]', "2")).status == 200
    wait_for(lambda: len(site.records()) == 2 and site.is_drained(), "the record of the new spool")
    shutil.rmtree(site.spool)
    assert site.post_cgi(sign.body(b'[{"id":"3"}]', "3")).status == 200
    wait_for(lambda: len(site.records()) == 3, "the record of the third one")
    assert child.poll() is None
    assert site.stop(child) == 0


def remove_state(site, copy):
    for path in site.spool.glob("state.db*"):
        path.unlink()


def put_copy_back(site, copy):
    copy.rename(site.spool / "state.db")  # the log that stands there is the other one's


@pytest.mark.parametrize("take", [remove_state, put_copy_back])
def test_a_state_that_is_taken_away(site, take):
    """A deliverer that stays goes over to the state.db that has the name now."""
    def post(name):
        assert site.post_cgi(sign.body(f'[{{"id":"{name}"}}]'.encode(), name)).status == 200

    def has(*names):
        wait_for(lambda: all(f'"id":"{name}"'.encode() in site.content for name in names), f"{names} are delivered")

    log = site.folder / "deliver.log"
    post("a")
    site.deliver()
    copy = site.folder / "state.db"
    shutil.copy(site.spool / "state.db", copy)
    with open(log, "ab") as out:
        child = site.start([site.program, "-c", site.conf, "deliver", "--stay"], stdout=out, stderr=out)
    post("b")
    has("a", "b")
    take(site, copy)
    post("c")
    has("a", "b", "c")
    wait_for(lambda: "state.db: was removed or replaced; it is opened anew" in log.read_text(), "it is told")
    wait_for(lambda: site.run("-c", site.conf, "status").returncode == 0, "all is well")
    assert child.poll() is None
    assert site.stop(child) == 0
    assert "damaged" not in log.read_text()
    post("d")
    site.deliver()
    has("d")
    with contextlib.closing(sqlite3.connect(site.spool / "state.db")) as state:
        assert state.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

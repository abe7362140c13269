"""States in which a receiver or a deliverer has nothing to do but wait, and what it uses meanwhile."""

import contextlib
import fcntl
import os
import pathlib
import resource
import signal
import sqlite3
import time

import fastcgi
import sign
from sites import faketime, is_alive, processes, sample, variables, wait_for

IDLE = 11  # seconds: longer than a deliverer that may end stays without work
WINDOW = 12  # seconds that are measured: shorter than a deliverer may take to stop
RUN_LIMIT_MS, WAKE_LIMIT = 60, 120  # a minute; where nothing else runs it is less than 20 ms

STATES = {}


def state(what):
    def add(scene):
        STATES[what] = scene
        return scene

    return add


def used(pid):
    """Processor time in ms, and how often it was woken, of all threads of a process; None if it has ended."""
    run, wakes = 0, 0
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            run += int((task / "schedstat").read_text().split()[0])
            wakes += int((task / "status").read_text().rpartition("\nvoluntary_ctxt_switches:")[2].split()[0])
    except (OSError, IndexError, ValueError):
        return None
    return run / 1e6, wakes


def measure(make_site):
    """All states at once. (state, process) to milliseconds and wake-ups a minute; None: the process has ended."""
    with contextlib.ExitStack() as ends:
        watched, begins = {}, []
        for what, scene in STATES.items():
            processes, begin = scene(make_site, ends)
            watched.update({(what, name): pid for name, pid in processes.items()})
            begins.append(begin)
        time.sleep(IDLE)
        for begin in filter(None, begins):
            begin()
        time.sleep(1)
        before = {key: used(pid) for key, pid in watched.items()}
        began = time.monotonic()
        time.sleep(WINDOW)
        after = {key: used(pid) if is_alive(pid) else None for key, pid in watched.items()}
        minutes = (time.monotonic() - began) / 60
    return {key: after[key] and before[key] and [(b - a) / minutes for a, b in zip(before[key], after[key])]
            for key in watched}


# How they are brought about

def script(command, options=""):
    return f'target "crm" {{\n    run = {{"/bin/sh", "-c", "{command}"}}\n    {options}\n}}\n'


def deliverer(site, *options, prefix=()):
    """Starts one as a receiver does (it ends by itself when it is idle), or with these options."""
    with open(site.folder / "deliver.log", "ab") as log:
        return site.start([*prefix, site.program, "-c", site.conf, "deliver", *options], stdout=log, stderr=log).pid


def child_of(receiver):
    """The deliverer that it watches."""
    def find():
        for pid in (pid for pid, parent in processes().items() if parent == receiver.pid):
            with contextlib.suppress(OSError):
                if b"--stay" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return None

    return wait_for(find, "the deliverer runs")


def post(site, count, prefix=(), **fields):
    """Without a receiver, in a segment each."""
    for number in range(count):
        assert site.post_cgi(sign.body(nonce=f"{number}{fields}", **fields), prefix).status == 200


def query(site, sql):
    with contextlib.closing(sqlite3.connect(site.spool / "state.db", timeout=60)) as db:
        with db:
            return db.execute(sql).fetchall()


def failed_once(make_site, targets, count=1):
    """A site whose events have failed, and are due in an hour."""
    site = make_site(targets=targets)
    post(site, count, faketime("-2m") if count > 1 else ())  # small segments of a minute ago are joined at once
    site.deliver()
    query(site, "UPDATE lane SET next_age = next_age + 3600000000")
    assert query(site, "SELECT count(*) FROM lane") == [(1,)]
    return site


@state("nothing to do")
def nothing_there(make_site, ends):
    site = make_site(deliver="auto")
    receiver = site.serve()
    return {"receiver": receiver.pid, "deliverer": child_of(receiver)}, None


@state("a retry of a script is due later")
def script_due_later(make_site, ends):
    return {"deliverer": deliverer(failed_once(make_site, script("exit 1")))}, None


@state("a retry of a file is due later")
def file_due_later(make_site, ends):
    return {"deliverer": deliverer(failed_once(make_site, 'target "f" {\n    file = "/dev/null/x.jsonl"\n}\n'))}, None


@state("a file that another process has locked")
def file_locked(make_site, ends):
    """Tried again and again meanwhile."""
    site = make_site()
    holder = ends.enter_context(open(site.records_file, "wb"))
    fcntl.flock(holder, fcntl.LOCK_EX)
    post(site, 3)
    return {"deliverer": deliverer(site, "--stay")}, None


@state("a retry is due later, --stay")
def due_later_stay(make_site, ends):
    return {"deliverer": deliverer(failed_once(make_site, script("exit 1")), "--stay")}, None


@state("300 events behind one that failed")
def held_back(make_site, ends):
    return {"deliverer": deliverer(failed_once(make_site, script("exit 1"), 300))}, None


@state("300 parked events")
def parked(make_site, ends):
    site = make_site(targets=script("exit 100"))
    post(site, 300)
    site.deliver()
    assert query(site, "SELECT count(*) FROM delivery WHERE parked_at > 0") == [(300,)]
    return {"deliverer": deliverer(site, "--stay")}, None


@state("a target that was removed")
def target_is_gone(make_site, ends):
    site = failed_once(make_site, script("exit 1"))
    site.write(site.conf, site.conf.read_text().replace('target "crm"', 'target "other"'))
    return {"deliverer": deliverer(site, "--stay")}, None


@state("a disk that is full: the pause after a failure")
def disk_is_full(make_site, ends):
    # For the deliverer alone: what it writes to state.db does not fit.
    site = make_site()
    pid = deliverer(site, "--stay", prefix=("sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"))
    post(site, 1)
    wait_for(lambda: len(site.records()) == 1, "the deliverer works")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, 4096))
    post(site, 20, connection_id="other")
    wait_for(lambda: b"cannot" in (site.folder / "deliver.log").read_bytes(), "it fails")
    return {"deliverer": pid}, None


@state("segments that cannot be archived")
def cannot_put_away(make_site, ends):
    site = make_site()
    pid = deliverer(site, "--stay")
    wait_for(site.deliverer, "the deliverer runs")
    (site.spool / "archive").rmdir()
    post(site, 1)
    wait_for(lambda: len(site.records()) == 1, "it is delivered")
    return {"deliverer": pid}, None


def hanging(make_site, command="exec sleep 1000"):
    site = make_site(targets=script(command, 'timeout = "1h"'))
    post(site, 1)
    pid = deliverer(site, "--stay")
    wait_for(lambda: pid in processes().values(), "the script runs")
    return pid


@state("a script that hangs")
def script_hangs(make_site, ends):
    return {"deliverer": hanging(make_site)}, None


@state("a script that hangs, its output closed")
def script_hangs_closed(make_site, ends):
    return {"deliverer": hanging(make_site, "exec sleep 1000 >&- 2>&-")}, None


@state("--once: a script that hangs, and another lane that has become due")
def once_script_hangs(make_site, ends):
    site = make_site(targets=script("[ $HOOKSPOOL_CONNECTION_ID = good ] && exec sleep 1000; exit 1",
                                    'timeout = "1h"\n    workers = 2'))
    post(site, 1)
    site.deliver()
    query(site, "UPDATE lane SET next_age = (SELECT age FROM age) + 8000000")
    post(site, 1, connection_id="good")
    return {"deliverer": deliverer(site, "--once")}, None


@state("stopping with a script that hangs")
def stopping(make_site, ends):
    pid = hanging(make_site, "trap : TERM; while :; do sleep 1000; done")
    return {"deliverer": pid}, lambda: os.kill(pid, signal.SIGTERM)


@state("50 idle connections")
def idle_connections(make_site, ends):
    site = make_site()
    receiver = site.serve()
    body = sample("virtual-one")
    for _ in range(50):
        connection = ends.enter_context(fastcgi.Connection(site.socket))
        connection.request(variables(body), body)
    return {"receiver": receiver.pid}, None


@state("the page was requested")
def page_asked_for(make_site, ends):
    token = "the token of the page"
    site = make_site(deliver="auto")
    site.write(site.folder / "token", token)
    site.write(site.conf, site.conf.read_text() + f'status "/status/" {{ token_file = "{site.folder}/token" }}\n')
    receiver = site.serve()
    get = dict(path="/status/", method="GET", HTTP_AUTHORIZATION=f"Bearer {token}")
    wait_for(lambda: site.post_fastcgi(b"", **get).status == 200, "there is a page")
    return {"receiver": receiver.pid, "deliverer": child_of(receiver)}, None


@state("no reader at the trigger")
def no_reader(make_site, ends):
    site = make_site()
    receiver = site.serve()
    assert site.post_fastcgi(sample("virtual-one")).status == 200
    return {"receiver": receiver.pid}, None


@state("a deliverer that cannot run")
def cannot_run(make_site, ends):
    site = make_site(deliver="auto")
    site.deliver()
    query(site, "PRAGMA user_version = 999")
    receiver = site.serve()
    assert site.post_fastcgi(sample("virtual-one")).status == 200
    return {"receiver": receiver.pid}, None

"""One sender that waits for each 200, and whether its events come out in its order."""

import fcntl
import json
import os
import resource
import subprocess
import threading
import time

import fastcgi
from bench import rows
from sites import PROGRAM, Answer, variables
from trial import Trial

ROWS, row = rows()

CGI_SHARE = 0.3
DESCRIPTORS = 1000  # beside those of the segments


class Lane:
    """A sender, a receiver that lives on, CGI, and deliverers that are killed, on a journal of so many segments."""

    def __init__(self, bench, segments):
        self.bench = bench
        self.trial = Trial(bench)
        self.stopping = threading.Event()
        self.folder = self.trial.site.spool / "journal"
        self.trial.deliver()  # makes the spool
        self.held = [self.hold(number) for number in range(segments)]
        self.trial.receiver()
        self.connection = self.trial.connect(None, 30)
        while self.connection is None:
            time.sleep(0.01)
            self.connection = self.trial.connect(None, 30)

    def hold(self, number):
        """A segment that another receiver has open, and has written nothing to. A look passes over it."""
        path = self.folder / f"20261101T{number // 3600 % 24:02}{number // 60 % 60:02}{number % 60:02}.000000Z-1-{number:08x}.jsonl"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return fd

    def send(self):
        """One event, by either way; its answer is waited for."""
        marker, body = self.trial.good()
        self.trial.ledger.sending(marker)
        if self.bench.chance.random() < CGI_SHARE:
            run = subprocess.run([PROGRAM], input=body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 env={**self.trial.site.environment(False), **variables(body)})
            self.trial.told(marker, run.stdout)
        else:
            self.trial.ledger.answered(marker, Answer.parse(self.connection.request(variables(body), body)))

    def deliver_and_kill(self):
        """One deliverer after the other. While one runs, the target may refuse: a file that has a second name is none of
        its."""
        chance, second = self.bench.chance, self.trial.site.records_file.with_name("second")
        while not self.stopping.is_set():
            child = self.trial.start_deliverer()
            time.sleep(0.05 + chance.random() * 0.5)
            if chance.random() < 0.1 and self.trial.site.records_file.exists():
                os.link(self.trial.site.records_file, second)
                time.sleep(chance.random() * 0.2)
                second.unlink()
                self.bench.injections += 1
            child.kill()
            child.wait()
            self.trial.site.children.remove(child)
            self.bench.injections += 1

    def run(self, events, seconds):
        killer = threading.Thread(target=self.deliver_and_kill, daemon=True)
        killer.start()
        end = time.monotonic() + seconds
        sent = 0
        while sent < events and time.monotonic() < end:
            self.send()
            sent += 1
        self.stopping.set()
        killer.join(60)
        self.connection.close()
        for fd in self.held:
            os.close(fd)
        return sent

    def check(self, segments):
        self.trial.kill_all()
        self.trial.settle(later=7200, patience=300)
        order = [int(json.loads(line)["data"]["id"].rpartition("-")[2]) for line in self.trial.site.content.splitlines()]
        wrong = sum(later < earlier for earlier, later in zip(order, order[1:]))
        if wrong:
            self.bench.problem(f"{segments} segments: out of order {wrong} times in {len(order)}")
        self.bench.notes.append(f"{len(order)} events with {segments} segments")
        self.trial.end()


@row("order", "events of a sender that waits for each 200, CGI and FastCGI mixed, thousands of segments, deliverers killed")
def order(bench):
    forms = [(1000, 1000000, 10)] if bench.short else [(3000, 50000, 3600), (10000, 50000, 3600)]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(segments for segments, _, _ in forms) + DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, before[1]), before[1]))
    try:
        for segments, events, seconds in forms:
            lane = Lane(bench, segments)
            lane.run(events, seconds)
            lane.check(segments)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

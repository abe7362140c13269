"""Many processes on one spool."""

import contextlib
import itertools
import os
import pathlib
import signal
import subprocess
import threading
import time

import fastcgi
import shim
from bench import rows
from load import Load
from sites import PROGRAM, Answer, variables, wait_for
from trial import Trial

ROWS, row = rows()

RECEIVERS = 8


class Crowd:
    """Eight receivers, each on a socket of its own, and CGI runs, all on one spool."""

    def __init__(self, bench):
        self.bench = bench
        self.trial = Trial(bench, deliver="auto")
        self.sockets = [self.trial.site.folder / f"{number}.sock" for number in range(RECEIVERS)]
        self.receivers = [None] * RECEIVERS
        self.stopping = threading.Event()
        self.lock = threading.Lock()

    def start(self, number):
        self.trial.site.socket = self.sockets[number]
        self.receivers[number] = self.trial.receiver()

    def cgi(self):
        """CGI runs one after the other, each third of them killed."""
        chance = self.bench.chance
        for number in itertools.count():
            if self.stopping.is_set():
                return
            with self.lock:
                message = self.trial.again() if number % 5 == 4 else self.trial.good()
            self.one_cgi(message, chance.random() * 0.01 if number % 3 == 0 else None)

    def one_cgi(self, message, kill_after):
        marker, body = message
        self.trial.ledger.sending(marker)
        child = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 env={**self.trial.site.environment(False), **variables(body)})
        try:
            child.stdin.write(body)
            child.stdin.close()
        except BrokenPipeError:
            pass
        if kill_after is not None:
            time.sleep(kill_after)
            child.kill()
            self.bench.injections += 1
        output = child.stdout.read()
        child.stdout.close()
        child.wait()
        self.trial.told(marker, output)

    def everywhere(self):
        """The same event to all receivers."""
        while not self.stopping.is_set():
            with self.lock:
                marker, body = self.trial.good()
            self.trial.ledger.sending(marker)
            for path in self.sockets:
                try:
                    with fastcgi.Connection(path, 30) as connection:
                        output = connection.request(variables(body), body, keep=False)
                    self.trial.ledger.answered(marker, Answer.parse(output))
                except (ConnectionError, FileNotFoundError):
                    pass
            time.sleep(0.02)

    def kill_someone(self):
        chance = self.bench.chance
        if chance.random() < 0.3:
            pid = self.trial.deliverer()
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                self.bench.injections += 1
            return
        number = chance.randrange(RECEIVERS)
        self.receivers[number].kill()
        self.receivers[number].wait()
        self.trial.site.children.remove(self.receivers[number])
        self.bench.injections += 1
        self.start(number)


@row("blind-locks", "a flock that other processes do not see, as over NFS with local locks")
def blind_locks(bench):
    """The deliverer takes each segment for one that is not written to any more."""
    trial = Trial(bench, deliver="auto")
    env = shim.environment(bench, flock="blind")
    child = trial.receiver(env=env)
    trial.site.wait_for_serve(child)
    end = time.monotonic() + (6 if bench.short else 60)
    while time.monotonic() < end:
        with Load(trial.site.socket, trial.ledger, senders=4, seed=f"{bench.seed}-{bench.injections}",
                  name=f"b{bench.injections}") as load:
            time.sleep(1 + bench.chance.random())
            child.kill()
            load.stop()
        child.wait(60)
        bench.injections += 1
        child = trial.receiver(env=env)
        trial.site.wait_for_serve(child)
    with Load(trial.site.socket, trial.ledger, senders=1, seed=bench.seed, name="last") as load:
        time.sleep(0.5)
        load.stop()
    # With locks, its own would stay.
    wait_for(lambda: not list(trial.site.spool.glob("journal/*.jsonl")), "the open segment is put away", 30)
    trial.kill_all()
    trial.settle(patience=120)
    trial.end()


@row("crowd", "eight receivers, CGI runs and deliverers on one spool, killed at random")
def crowd(bench):
    seconds = float(os.environ.get("HOOKSPOOL_CROWD", 5 if bench.short else 300))
    c = Crowd(bench)
    for number in range(RECEIVERS):
        c.start(number)
    ledger = c.trial.ledger
    loads = [Load(path, ledger, senders=1, seed=f"{bench.seed}-{number}", name=f"r{number}")
             for number, path in enumerate(c.sockets)]
    threads = [threading.Thread(target=work, daemon=True) for work in (c.cgi, c.everywhere)]
    for member in [*threads, *(thread for load in loads for thread in load.threads)]:
        member.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(bench.chance.random() * 0.3)
        c.kill_someone()
    c.stopping.set()
    for load in loads:
        load.stop()
    for thread in threads:
        thread.join(60)
    bench.notes.append(f"{seconds:.0f} s, {ledger.statuses[200]} answers 200 for {len(ledger.accepted)} events")
    c.trial.kill_all()
    c.trial.settle(patience=600)  # deliverers were killed all the time: millions may wait
    c.trial.end()


@row("two-deliverers", "deliverers started at the same time, killed at random")
def two_deliverers(bench):
    """One works, the others yield. When it is killed, another one takes over."""
    trial = Trial(bench)
    for number in range(10 if bench.short else 300):
        for message in [trial.good(), trial.good(), trial.again()]:
            trial.post_cgi(message)
        together = [trial.start_deliverer(*bench.chance.choice(([], ["--once"]))) for _ in range(3)]
        bench.injections += len(together) - 1
        if number % 2:
            time.sleep(bench.chance.random() * 0.02)
            together[0].kill()
            bench.injections += 1
        watch_locks(bench, trial, together)
        for child in together:
            child.send_signal(signal.SIGTERM)
            code = child.wait(30)
            if code not in (0, 75, -signal.SIGTERM, -signal.SIGKILL):
                bench.problem(f"a deliverer among others ended with {code}")
        trial.site.children.clear()
        trial.settle()
    trial.end()


def watch_locks(bench, trial, together):
    """At no time do two of them have the state open."""
    for _ in range(3):
        holders = []
        for child in together:
            try:
                opened = [os.readlink(fd) for fd in pathlib.Path(f"/proc/{child.pid}/fd").iterdir()]
            except OSError:
                continue
            if str(trial.site.spool / "state.db") in opened and child.poll() is None:
                holders.append(child.pid)
        if len(holders) > 1:
            bench.problem(f"{len(holders)} deliverers have the state open at a time")
        time.sleep(0.005)

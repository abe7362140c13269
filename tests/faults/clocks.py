"""Clocks that jump."""

import json
import os

import faketime
import scenes
from bench import rows
from sites import wait_for
from trial import Trial

ROWS, row = rows()

DAY = 86400
YEAR = 365 * DAY


class Clock:
    """The wall clock of all processes that get `env`, moved while they run."""

    def __init__(self, b):
        self.path = b.folder / f"clock{id(self):x}"
        self.set(0)
        self.env = faketime.environment(_TIMESTAMP_FILE=str(self.path), _NO_CACHE="1")

    def set(self, seconds):
        new = self.path.with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        os.replace(new, self.path)


def order(trial):
    return [json.loads(line)["data"]["id"] for line in trial.site.content.splitlines()]


def jumps(b):
    """Where the clock stands, one after the other. Between a day and ten weeks a jump and a pause are the same to a
    deliverer that did not run meanwhile."""
    for _ in range(2 if b.short else 20):
        far = b.chance.choice((-1, 1)) * b.chance.randrange(70 * DAY, YEAR)
        yield from (0, YEAR, 0, -YEAR, 0, far, DAY, -DAY)


@row("clock", "the clock jumps a year either way, under a receiver, CGI runs and a deliverer")
def clock(b):
    """No event is forgotten early and so delivered twice; those of one connection arrive as they were accepted."""
    for living in (True, False):
        clock = Clock(b)
        trial = Trial(b)
        child = trial.receiver(env=clock.env)
        deliverer = trial.start_deliverer("--stay", env=clock.env) if living else None
        accepted = []
        for place in jumps(b):
            clock.set(place)
            b.injections += 1
            for number in range(3):
                message = trial.good()
                if number % 2:
                    answer, = trial.post_together([message], child)
                else:
                    answer, _ = trial.post_cgi(message, env=clock.env)
                if not answer or answer.status != 200:
                    b.problem(f"not accepted at {place:+d} s")
                    continue
                accepted.append(message[0])
                trial.post_together([trial.again()], child)
                trial.post_cgi(trial.again(), env=clock.env)
                # Where the deliverer sleeps, lines of several segments have nothing but their times to go by.
                if living:
                    wait_for(lambda: len(trial.site.content.splitlines()) >= len(accepted), "it is delivered")
                else:
                    trial.deliver(env=clock.env)
        if deliverer:
            deliverer.terminate()
            trial.finish(deliverer, "a deliverer")
        trial.settle()
        if order(trial) != accepted:
            b.problem("not in the order in which they were accepted")
        trial.end()


@row("clock-order", "the clock jumps between lines that nobody has read yet")
def clock_order(b):
    """Within a segment, the order is that of its lines."""
    clock = Clock(b)
    trial = Trial(b)
    child = trial.receiver(env=clock.env)
    accepted = []
    for place in jumps(b):
        clock.set(place)
        b.injections += 1
        for _ in range(3):
            message = trial.good()
            trial.post_together([message], child)
            accepted.append(message[0])
        if b.chance.random() < 0.2:
            trial.settle()
    trial.settle()
    if order(trial) != accepted:
        b.problem("not in the order in which they were accepted")
    trial.end()


@row("clock-retry", "the clock jumps while a script waits for its next attempt")
def clock_retry(b):
    """What failed before a jump is tried again in due time after it."""
    for place in b.sample((YEAR, -YEAR, DAY, -DAY), 2):
        clock = Clock(b)
        trial = Trial(b, **scenes.Scripts.options)
        kept = trial.site.folder / "kept"
        kept.mkdir()  # the script fails
        marker, _ = message = trial.good()
        trial.post_cgi(message, env=clock.env)
        clock.set(place)
        trial.deliver(env=clock.env)
        kept.rmdir()
        for hours in 2, 4:  # the first run sees the jump, and does not take it for time that has passed
            clock.set(hours * 3600)
            trial.deliver(env=clock.env)
        b.injections += 1
        if not kept.exists() or b'"%s"' % marker.encode() not in kept.read_bytes():
            b.problem(f"an attempt that failed at {place:+d} s is not made again hours later by the clock put right")
        trial.settle()
        trial.end()

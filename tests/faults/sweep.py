"""The sweep: a scene is run once to see its system calls; then something happens at the first of each, at the second,
and so on until none is left."""

import itertools

import strace
from trial import Trial

SITE_LASTS = 40  # disturbances


class Sweep:
    """`what` is what strace does to the call (`signal=KILL`). `between` happens after it and before the restart; it may
    be a power cut. `place` is where the spool goes."""

    def __init__(self, bench, scene, what="signal=KILL", place=None, between=None, twice=0):
        self.bench, self.scene, self.what = bench, scene, what
        self.place, self.between = place, between
        self.twice = twice  # how often out of 1 the restart is disturbed too
        self.log = bench.folder / "trace"
        self.trial = None

    def make_trial(self):
        if self.trial:
            self.trial.end()
        self.trial = Trial(self.bench, self.place, **self.scene.options)
        self.scene.begin(self.trial)

    def observe(self):
        """The system calls of an undisturbed run, and how many of each."""
        self.make_trial()
        self.scene.prepare(self.trial)
        self.scene.run(self.trial, strace.record(self.log, self.scene.follow))
        counted = strace.counts(self.log)
        if not self.scene.settle(self.trial):
            self.bench.problem(f"{self.scene.name}: all is not well without any disturbance")
        return counted

    def prefix(self, call, when):
        return strace.inject(self.log, call, self.what, when, self.scene.follow)

    def happened(self):
        return strace.was_killed(self.log) if "KILL" in self.what else strace.was_injected(self.log)

    def disturb(self, call, when):
        """One run with one disturbance, and what came of it. False: there was no such call."""
        bench, scene = self.bench, self.scene
        if scene.fresh or self.trial.ended:
            self.make_trial()
        scene.prepare(self.trial)
        scene.run(self.trial, self.prefix(call, when))
        happened = self.happened()
        bench.injections += happened
        if happened and bench.chance.random() < self.twice:
            again = bench.chance.choice(self.points)
            scene.run(self.trial, strace.inject(self.log, again[0], self.what, again[1], scene.follow))
            bench.injections += self.happened()
        if self.between:
            self.between()
        if not scene.settle(self.trial):
            bench.problem(f"{scene.name}: {self.what} at {call} number {when}: {dict(self.trial.counted)}")
            self.trial.end()
        return happened

    def run(self, calls=None, most=20):
        """`calls`: only these. In a short run `most` points by chance."""
        counted = {call: count for call, count in self.observe().items() if calls is None or call in calls}
        self.points = [(call, when) for call, count in counted.items() for when in range(1, count + 1)]
        if self.bench.short:
            for point in self.bench.sample(self.points, most):
                self.disturb(*point)
        else:
            for call in counted:
                self.make_trial()
                for when in itertools.count(1):
                    if when % SITE_LASTS == 0:  # what a site piles up must not outgrow the sweep
                        self.make_trial()
                    if not self.disturb(call, when):
                        break
        self.trial.end()

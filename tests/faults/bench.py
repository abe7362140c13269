"""What a row of the table is, and what it works with."""

import contextlib
import dataclasses
import os
import pathlib
import random
import shutil
import tempfile
import typing

import faketime


@dataclasses.dataclass
class Row:
    name: str
    fault: str
    check: typing.Callable
    must_lose: bool = False  # a control: it holds when losses are found


def rows():
    """A list of rows, and the decorator that fills it."""
    found = []

    def row(name, fault, **options):
        def add(check):
            found.append(Row(name, fault, check, **options))
            return check
        return add

    return found, row


class Bench:
    """A folder, chance, and the sums of one row. Whatever was entered into `ends` ends with it."""

    def __init__(self, row, short, seed):
        self.row, self.short, self.seed = row, short, seed
        self.chance = random.Random(seed)
        self.ends = contextlib.ExitStack()
        self.injections = self.acknowledged = self.lost = self.twice = self.torn = 0
        self.again = 0  # delivered a second time where that is allowed
        self.problems, self.notes = [], []
        self.trials = set()  # those that have not ended
        self.skipped = None
        self.seconds = 0

    def __enter__(self):
        # In memory where that is possible: the processes are what is killed here. Power cuts have file systems of
        # their own.
        place = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hookspool-faults-", dir=place))
        self.folder.chmod(0o755)
        self.ends.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def end_trials(self):
        for trial in list(self.trials):
            trial.end()

    def __exit__(self, *exception):
        try:
            self.end_trials()
            faketime.clean()
        finally:
            self.ends.__exit__(*exception)

    @staticmethod
    def can_mount():
        return os.geteuid() == 0

    def problem(self, text):
        if len(self.problems) < 20:
            self.problems.append(text)

    def sample(self, points, most):
        """All of them, or in a short run so many by chance, in order."""
        points = list(points)
        if not self.short or len(points) <= most:
            return points
        return [points[i] for i in sorted(self.chance.sample(range(len(points)), most))]

    @property
    def failed(self):
        if self.skipped:
            return False
        if self.problems or not self.injections or not self.acknowledged:
            return True
        return self.lost == 0 if self.row.must_lose else bool(self.lost or self.twice or self.torn)

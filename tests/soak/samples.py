"""What the processes and the spool take, sampled; and whether it grows."""

import os
import pathlib
import statistics
import time

from sites import is_alive, memory

TICK = os.sysconf("SC_CLK_TCK")
MB = 1 << 20
SEGMENT = 64  # MB, of which one may be growing, and one may not be old enough to go
REST = 10  # seconds, without anything to do
REST_CPU = 0.1  # of a second, that a process may take in them


def stat(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu(pid):
    """Seconds of processor time so far."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICK


def threads(pid):
    return int(stat(pid)[17])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def stored(path):
    """Bytes of a file, or of all that a folder has. Files come and go meanwhile."""
    try:
        if not path.is_dir():
            return path.stat().st_size
        return sum(stored(path / name) for name in os.listdir(path))
    except FileNotFoundError:
        return 0


class Series:
    """A figure over time. `slack`: how much the last third's median may be above the middle third's, beside a tenth of
    that; None: it is shown, and not judged."""

    def __init__(self, name, unit, read, slack):
        self.name, self.unit, self.read, self.slack = name, unit, read, slack
        self.values = []

    def thirds(self):
        n = len(self.values) // 3
        return [statistics.median(part) if part else 0
                for part in (self.values[:n], self.values[n:-n or None], self.values[-n:])]

    def problem(self):
        _, middle, last = self.thirds()
        if self.slack is None or last <= middle * 1.1 + self.slack:
            return None
        return f"{self.name} grows: {middle:.2f} {self.unit} in the middle third, {last:.2f} in the last"


class Sampler:
    """Samples every second. The same processes are there from the beginning to the end."""

    def __init__(self, mixture, seconds):
        self.mixture, site = mixture, mixture.site
        self.pids = {"receiver": mixture.receiver.pid, "deliverer": site.deliverer()}
        self.cpu_before = {}
        self.series = [series for who in self.pids for series in self.of_process(who)]
        self.series += [Series(f"{name}", "MB", lambda path=site.spool / name: stored(path) / MB, slack)
                        for name, slack in (("journal", SEGMENT), ("archive", SEGMENT), ("damaged", 0.01), ("errands", 0.01),
                                            ("status", 0.1), ("audit", 2.2))]
        self.series.append(Series("state.db and its log", "MB", lambda: sum(
            stored(site.spool / f"state.db{end}") for end in ("", "-wal", "-shm")) / MB, 4))
        self.series.append(Series("names in the spool", "", lambda: sum(len(names) for _, _, names in
                                                                        os.walk(site.spool)), 20))

    def of_process(self, who):
        return [
            Series(f"{who}: memory", "MB", lambda: memory(self.pids[who], "VmRSS") / MB, 2),
            Series(f"{who}: descriptors", "", lambda: descriptors(self.pids[who]), 8),
            Series(f"{who}: threads", "", lambda: threads(self.pids[who]), 4),
            Series(f"{who}: processor", "%", lambda: self.share(who), None),
        ]

    def share(self, who):
        now, used = time.monotonic(), cpu(self.pids[who])
        then, before = self.cpu_before.get(who, (now - 1, used))
        self.cpu_before[who] = (now, used)
        return 100 * (used - before) / (now - then)

    def take(self, passed):
        for series in self.series:
            try:
                series.values.append(series.read())
            except FileNotFoundError:  # the process has ended: judge() says so
                continue

    def judge(self):
        problems = [f"the {who} has ended" for who, pid in self.pids.items() if not is_alive(pid)]
        return problems + [problem for problem in (series.problem() for series in self.series) if problem]

    def rest(self):
        """Whether the processes are busy though nothing comes."""
        living = {who: pid for who, pid in self.pids.items() if is_alive(pid)}
        before = {who: cpu(pid) for who, pid in living.items()}
        time.sleep(REST)
        used = {who: cpu(pid) - before[who] for who, pid in living.items()}
        return [f"the {who} used {seconds:.2f} s of processor time in {REST} s in which nothing came"
                for who, seconds in used.items() if seconds > REST_CPU]

    def markdown(self):
        """A row a figure: the medians of the first, middle and last third of the time, and the maximum."""
        lines = ["| | first third | middle | last | largest |", "|---|---|---|---|---|"]
        for series in self.series:
            values = [*series.thirds(), max(series.values, default=0)]
            figures = " | ".join(f"{value:.1f}" if series.unit else f"{value:.0f}" for value in values)
            lines.append(f"| {series.name}{', ' + series.unit if series.unit else ''} | {figures} |")
        return "\n".join(lines)

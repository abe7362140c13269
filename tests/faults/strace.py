"""The words for strace(1) that make a system call fail or kill its caller, and what it tells of a run."""

import collections
import re

import skip


def inject(log, call, what, when, follow=True):
    """A prefix for a command: at the `when`-th `call` of a thread, `what` happens (strace(1), Tampering)."""
    skip.need("strace", "strace")
    return ["strace", "-q", *(["-f"] if follow else []), "-o", log, "-e", f"trace={call}",
            "-e", f"inject={call}:{what}:when={when}"]


def record(log, follow=True):
    skip.need("strace", "strace")
    return ["strace", "-q", *(["-f"] if follow else []), "-o", log]


def was_killed(log):
    return b"+++ killed by SIGKILL" in log.read_bytes()


def was_injected(log):
    return b"(INJECTED)" in log.read_bytes()


def counts(log):
    """How often each system call was made, by the thread that made most of them."""
    found = collections.Counter(re.findall(r"^(?:(\d+) +)?(\w+)\(", log.read_text(errors="replace"), re.M))
    most = {}
    for (_, call), count in found.items():
        most[call] = max(count, most.get(call, 0))
    return most

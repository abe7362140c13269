"""System calls that fail, come back early, or take long."""

import itertools
import resource
import time

import scenes
import shim
import strace
from bench import rows
from sweep import Sweep
from trial import Trial

ROWS, row = rows()


@row("sync-fails", "fdatasync fails once (EIO, ENOSPC, EDQUOT)")
def sync_fails(bench):
    """The batch is answered 503, another segment takes over, then it is 200 again."""
    for error, when in bench.sample(itertools.product(("EIO", "ENOSPC", "EDQUOT"), range(1, 8)), 6):
        trial = Trial(bench)
        child = trial.receiver(strace.inject(bench.folder / "trace", "fdatasync", f"error={error}", when))
        answers = [trial.post_together([trial.good()], child)[0] for _ in range(8)]
        statuses = [answer and answer.status for answer in answers]
        if statuses != [503 if number == when else 200 for number in range(1, 9)]:
            bench.problem(f"fdatasync number {when} fails with {error}: the answers were {statuses}")
        if any(answer.status == 503 and not answer.headers.get("retry-after") for answer in answers if answer):
            bench.problem("503 without Retry-After")
        if len(list(trial.site.spool.glob("journal/*.jsonl"))) != 2:
            bench.problem(f"fdatasync number {when} fails with {error}: not a new segment")
        bench.injections += 1
        scenes.Receiver().end(trial, child)
        trial.settle()
        trial.end()


@row("sync-fails-batch", "fdatasync fails under load")
def sync_fails_batch(bench):
    """Each 503 and each 200 is about a batch; all of it counts."""
    for when in range(1, 6) if bench.short else range(1, 41):
        trial = Trial(bench)
        child = trial.receiver(strace.inject(bench.folder / "trace", "fdatasync", "error=EIO", f"{when}+3"))
        for _ in range(6):
            trial.post_together([trial.good() for _ in range(16)], child)
        bench.injections += strace.was_injected(bench.folder / "trace")
        scenes.Receiver().end(trial, child)
        trial.settle()
        trial.end()


FILES = ("EIO", "ENOSPC")
ERRORS = {
    "openat": ("EMFILE", "EIO", "ENOSPC", "EBADMSG"), "mkdir": FILES, "mkdirat": FILES, "mknodat": FILES,
    "write": FILES, "writev": (*FILES, "EDQUOT", "EINTR"), "pwrite64": (*FILES, "EINTR"),
    "fsync": ("EIO", "EINTR", "EBADMSG"), "fdatasync": ("EIO", "EINTR"), "ftruncate": ("EIO",),
    "rename": FILES, "renameat": FILES, "renameat2": FILES, "unlink": ("EIO",), "unlinkat": ("EIO",),
    "fchmod": ("EIO",), "fchmodat": ("EIO",), "newfstatat": ("EIO",), "fstat": ("EIO",), "fstatfs": ("EIO",),
    "statfs": ("EIO",), "flock": ("ENOLCK",), "fcntl": ("ENOLCK",), "getdents64": ("EIO", "EBADMSG"), "pread64": ("EIO",),
    "read": ("EIO",), "lseek": ("EIO",), "mmap": ("ENOMEM",), "brk": ("ENOMEM",), "mremap": ("ENOMEM",),
    "clone": ("EAGAIN",), "clone3": ("EAGAIN",), "vfork": ("EAGAIN",), "pipe2": ("EMFILE",), "socket": ("EMFILE",),
    "accept4": ("EMFILE", "ECONNABORTED"), "epoll_create1": ("EMFILE",), "eventfd2": ("EMFILE",),
    "epoll_wait": ("EINTR",), "epoll_ctl": ("ENOSPC",), "poll": ("EINTR",), "ppoll": ("EINTR",), "setsid": ("EPERM",),
    "getrandom": ("EINTR",),
}


@row("errors", "a system call fails, at any place (EIO, ENOSPC, EMFILE, ENOMEM, EINTR, …)")
def errors(bench):
    for scene in (scenes.FirstRequest(), scenes.Request(), scenes.Receiver(), scenes.FirstDeliverer(),
                  scenes.Deliverer(), scenes.LargeSegment(), scenes.Scripts()):
        if isinstance(scene, scenes.Deliverer):
            scene.later = 7200  # what failed is tried again later
        for error in sorted({error for some in ERRORS.values() for error in some}):
            calls = {call for call, some in ERRORS.items() if error in some}
            Sweep(bench, scene, f"error={error}").run(calls, most=2)


@row("short-writes", "short writes and interrupted calls, everywhere")
def short_writes(bench):
    for how in ("short", "eintr"):
        env = shim.environment(bench, write=how)
        for scene in (scenes.FirstRequest(), scenes.Request(), scenes.LargeRequest(), scenes.Receiver(),
                      scenes.FirstDeliverer(), scenes.Deliverer(), scenes.LargeSegment(), scenes.Scripts()):
            trial = Trial(bench, **scene.options)
            scene.begin(trial)
            for _ in range(1 if bench.short else 5):
                scene.prepare(trial)
                scene.run(trial, (), env)
                bench.injections += 1
                if not scene.settle(trial):
                    bench.problem(f"{scene.name}, {how}: {dict(trial.counted)}")
            if trial.ledger.statuses[503] or not trial.ledger.statuses[200]:
                bench.problem(f"{scene.name}, {how}: refused what could be stored")
            trial.end()


@row("file-size-limit", "a write stops in the middle of a line (RLIMIT_FSIZE), at each byte")
def file_size_limit(bench):
    """A real short write and then an error; there is no 200 for part of a line."""
    trial = Trial(bench)
    trial.post_cgi(trial.good())
    line = len(trial.site.journal())
    for limit in bench.sample(range(0, line + 20), 60):
        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        answer, code = trial.post_cgi(trial.good(), preexec_fn=limited)
        bench.injections += 1
        if answer and answer.status == 200 and limit < line:
            bench.problem(f"200 with a limit of {limit} bytes")
        if code < 0:
            bench.problem(f"killed by signal {-code} at a limit of {limit} bytes")
        if limit % 50 == 0 and not trial.settle():
            bench.problem(f"limit {limit}: {dict(trial.counted)}")
    trial.settle()
    trial.end()


@row("slow-disk", "a slow disk: each sync takes half a second")
def slow_disk(bench):
    """Waiting is bounded, what does not fit in is answered 503, no worker is stuck."""
    for _ in range(1 if bench.short else 5):
        trial = Trial(bench, options='in_flight_max = "200k"', endpoint='max_body = "100k"')
        log = bench.folder / "trace"
        child = trial.receiver(strace.inject(log, "fdatasync", "delay_exit=500000", "1+"))
        trial.post_together([trial.good()], child)
        began = time.monotonic()
        answers = trial.post_together([trial.good(5000) for _ in range(128)], child)
        took = time.monotonic() - began
        statuses = {answer.status if answer else None for answer in answers}
        if took > 6 or not statuses <= {200, 503}:
            bench.problem(f"128 requests took {took:.1f} s and were answered {statuses}")
        bench.injections += log.read_bytes().count(b"(DELAYED)")
        scenes.Receiver().end(trial, child)
        trial.settle()
        trial.end()

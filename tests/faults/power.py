"""Power cuts: the file system stops in the middle, without writing anything that it still holds."""

import pathlib
import threading
import time

import scenes
import strace
from bench import rows
from image import Image
from load import Load
from sweep import Sweep
from trial import Trial

ROWS, row = rows()

# What makes a difference to the disk. Between two of them a power cut finds the same.
CALLS = {"openat", "creat", "mkdir", "mkdirat", "mknodat", "write", "writev", "pwrite64", "pwritev", "fsync",
         "fdatasync", "sync_file_range", "ftruncate", "fallocate", "rename", "renameat", "renameat2", "link", "linkat",
         "unlink", "unlinkat", "fchmod", "fchmodat", "close", "sendto", "sendmsg", "exit_group"}


class SyncedScene:
    """A scene whose site is on the disk before the disturbance, in so far as its processes leave that to the system."""

    def __init__(self, scene, image):
        self.scene, self.image = scene, image

    def __getattr__(self, name):
        return getattr(self.scene, name)

    def begin(self, trial):
        self.scene.begin(trial)
        self.image.sync()


def cut_everywhere(b, kind):
    image = Image(b, kind)
    for scene in (scenes.FirstRequest(), scenes.Request(), scenes.Receiver(), scenes.FirstDeliverer(),
                  scenes.Deliverer(), scenes.LargeSegment(), scenes.Scripts()):
        Sweep(b, SyncedScene(scene, image), place=image.folder, between=image.cut).run(CALLS, most=5)


@row("power-ext4", "power cut at any system call that touches the disk, ext4")
def power_ext4(b):
    cut_everywhere(b, "ext4")


@row("power-xfs", "power cut at any system call that touches the disk, XFS")
def power_xfs(b):
    cut_everywhere(b, "xfs")


def cut_under_load(b, kind, cuts, prefix=(), env=None, deliver="auto"):
    """Eight senders, a receiver and a deliverer; then the power goes at any moment."""
    image = Image(b, kind, 512)
    trial = None
    for number in range(cuts):
        if trial is None or trial.ended or number % 10 == 0:
            trial = trial and trial.end()
            trial = Trial(b, image.folder, deliver=deliver)
            image.sync()
        child = trial.receiver(prefix, env)
        with Load(trial.site.socket, trial.ledger, seed=f"{b.seed}-{number}", name=f"cut{number}", senders=8) as load:
            trial.ledger.wait_for_accepted(len(trial.ledger.accepted) + 1)
            time.sleep(b.chance.random() * 0.5)
            # Answers that arrive from now on do not count: without power they would not have been sent. Both file
            # systems let an fdatasync that is under way return 0 when they are shut down in this manner.
            trial.ledger.deaf = True
            image.power_off()
            load.stopping.set()
            child.kill()
            load.stop()
        b.injections += 1
        trial.finish(child, "a receiver")
        trial.kill_all()
        image.power_on()
        trial.ledger.deaf = False
        if not trial.settle() and not b.row.must_lose:
            b.problem(f"power cut {number}: {dict(trial.counted)}")
        if any(trial.counted.values()):
            trial.end()
    trial.end()


@row("power-load-ext4", "power cut at random under load, ext4")
def load_ext4(b):
    cut_under_load(b, "ext4", 5 if b.short else 100)


@row("power-load-xfs", "power cut at random under load, XFS")
def load_xfs(b):
    cut_under_load(b, "xfs", 5 if b.short else 100)


def cut_the_spool(b, kind, cuts):
    """The records are on another disk, which has what its own syncs have put there. Whoever got no answer tries again."""
    image = Image(b, kind, 512)
    records = b.folder / f"records-{kind}.jsonl"
    trial = Trial(b, image.folder, deliver="auto", targets='target "records" {\n    file = "%s"\n}' % records)
    trial.site.records_file = records
    for number in range(cuts):
        image.sync()
        child = trial.receiver()
        trial.connect(child, 10).close()
        sender = threading.Thread(target=lambda: send_on(trial, child))
        sender.start()
        time.sleep(0.05 + b.chance.random() * 0.3)
        trial.ledger.deaf = True
        image.power_off()
        child.kill()
        sender.join()
        b.injections += 1
        trial.finish(child, "a receiver")
        trial.kill_all()
        image.power_on()
        trial.ledger.deaf = False
        child = trial.receiver()
        unanswered = [marker for marker in trial.bodies if marker not in trial.ledger.accepted]
        for start in range(0, len(unanswered), 8):
            trial.post_together([(marker, trial.bodies[marker]) for marker in unanswered[start:start + 8]], child)
        trial.kill_all()
        if not trial.settle():
            b.problem(f"{kind}, power cut {number}: {dict(trial.counted)}")
            break
    trial.end()


def send_on(trial, child):
    while child.poll() is None and not trial.ledger.deaf:
        trial.post_together([trial.good() for _ in range(8)], child, patient=False, timeout=2)


@row("power-spool", "power cut of the spool's disk, with the records on another one; senders try again")
def power_spool(b):
    for kind in ("ext4", "xfs"):
        cut_the_spool(b, kind, 5 if b.short else 100)


EATMYDATA = pathlib.Path("/usr/lib/x86_64-linux-gnu/libeatmydata.so")


def lie(b):
    """How a program is made to believe that it synced: a prefix and an environment."""
    if EATMYDATA.exists():
        return (), {"LD_PRELOAD": str(EATMYDATA)}
    return strace.inject(b.folder / "trace", "fsync,fdatasync", "retval=0", "1+"), {}


@row("control-ext4", "*control:* the same with an fsync that lies, ext4", must_lose=True)
def control_ext4(b):
    prefix, env = lie(b)
    cut_under_load(b, "ext4", 3 if b.short else 10, prefix, env, deliver="manual")


@row("control-xfs", "*control:* the same with an fsync that lies, XFS", must_lose=True)
def control_xfs(b):
    prefix, env = lie(b)
    cut_under_load(b, "xfs", 3 if b.short else 10, prefix, env, deliver="manual")

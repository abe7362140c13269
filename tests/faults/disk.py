"""Disks that are full, read-only or gone."""

import pathlib
import shutil

import skip
from bench import rows
from image import Image, command
from trial import Trial

ROWS, row = rows()


def expect(b, trial, status, why, child=None, size=0):
    """What CGI answers, and a receiver if there is one."""
    answers = [trial.post_cgi(trial.good(size))[0]]
    if child:
        answers += trial.post_together([trial.good(size) for _ in range(3)], child)
    statuses = [answer and answer.status for answer in answers]
    if set(statuses) != {status}:
        b.problem(f"{why}: {statuses}, not {status}")
    if status == 503 and not all(answer and answer.headers.get("retry-after") for answer in answers):
        b.problem(f"{why}: 503 without Retry-After")


def journal_size(trial):
    return len(trial.site.journal())


def below_reserve(b, image):
    trial = Trial(b, image.folder, options='reserve = "32M"')
    child = trial.receiver()
    expect(b, trial, 200, "space enough", child)
    for _ in range(2 if b.short else 20):
        before = journal_size(trial)
        image.fill(leave=b.chance.randrange(1 << 20, 31 << 20))
        expect(b, trial, 503, "below the reserve", child)
        if journal_size(trial) != before:
            b.problem("written below the reserve")
        b.injections += 1
        image.empty()
        expect(b, trial, 200, "space again", child)
    trial.settle()
    trial.end()


def without_reserve(b, image):
    """Writes fail in the middle; the deliverer meets the same disk."""
    for _ in range(2 if b.short else 20):
        trial = Trial(b, image.folder, options='reserve = "0"')
        child = trial.receiver()
        expect(b, trial, 200, "space enough, no reserve", child)
        image.fill(leave=b.chance.randrange(0, 1 << 20))
        for _ in range(400):
            answers = trial.post_together([trial.good(50000) for _ in range(4)], child)
            if all(answer and answer.status == 503 for answer in answers):
                break
        else:
            b.problem("a full disk takes everything")
        trial.deliver()
        b.injections += 1
        image.empty()
        expect(b, trial, 200, "space again, no reserve", child)
        trial.settle(later=7200)
        trial.end()


def full_target(b, image):
    """The journal has space, the records have none: they wait."""
    for _ in range(2 if b.short else 20):
        trial = Trial(b, records=image.folder)
        image.fill(leave=b.chance.randrange(0, 100000))
        for _ in range(4):
            trial.post_cgi(trial.good(50000))
        trial.deliver()
        b.injections += 1
        image.empty()
        trial.settle(later=7200)
        trial.end()


def no_inodes(b, image):
    trial = Trial(b, image.folder, options='reserve = "0"')
    child = trial.receiver()
    expect(b, trial, 200, "inodes enough", child)
    folder = image.folder / "many"
    for _ in range(2 if b.short else 5):
        folder.mkdir()
        try:
            for number in range(100000):
                (folder / str(number)).touch()
        except OSError:
            pass
        expect(b, trial, 503, "no inodes left", child)
        b.injections += 1
        shutil.rmtree(folder)
        expect(b, trial, 200, "inodes again", child)
    trial.settle()
    trial.end()


@row("disk-full", "disk full, below its reserve, or without inodes; ext4, XFS")
def disk_full(b):
    for kind, options in (("ext4", ("-N", "2000")), ("xfs", ())):
        image = Image(b, kind, 400, options)
        below_reserve(b, image)
        without_reserve(b, image)
        full_target(b, image)
        if kind == "ext4":
            no_inodes(b, image)


@row("read-only", "file system remounted read-only, and back")
def read_only(b):
    for kind in ("ext4", "xfs"):
        image = Image(b, kind)
        trial = Trial(b, image.folder)
        expect(b, trial, 200, "writable")
        trial.settle()
        for _ in range(2 if b.short else 10):
            child = trial.receiver()  # it has nothing open for writing yet, or the kernel would refuse
            trial.connect(child, 10).close()
            image.remount("ro")
            expect(b, trial, 503, "read-only", child)
            trial.deliver()
            b.injections += 1
            image.remount("rw")
            expect(b, trial, 200, "writable again", child)
            child.terminate()
            trial.finish(child, "a receiver")
            trial.settle(later=7200)
        trial.end()


@row("emergency", "file system made read-only by the kernel at an error, while it is written; ext4")
def emergency(b):
    """A receiver with an open segment. What was accepted before is there when the file system is."""
    for _ in range(2 if b.short else 10):
        image = Image(b, "ext4", options=("-e", "remount-ro"))
        trial = Trial(b, image.folder)
        image.sync()
        child = trial.receiver()
        expect(b, trial, 200, "writable", child)
        trigger = pathlib.Path(f"/sys/fs/ext4/{image.device()}/trigger_fs_error")
        if not trigger.exists():
            raise skip.Skip(f"no {trigger}")
        trigger.write_text("1")
        expect(b, trial, 503, "read-only by an error", child)
        b.injections += 1
        trial.kill_all()
        image.power_on()
        expect(b, trial, 200, "mounted again", trial.receiver())
        trial.settle()
        trial.end()
        image.close()


@row("moved", "spool moved away, mounted over, removed")
def moved(b):
    """503 while it is not there, nothing is written elsewhere, and it is used again when it is back."""
    trial = Trial(b)
    child = trial.receiver()
    spool, away = trial.site.spool, trial.site.folder / "away"
    post = lambda: [answer and answer.status for answer in trial.post_together([trial.good() for _ in range(3)], child)]
    over = Image(b, "ext4") if b.can_mount() else None
    for round in range(3 if b.short else 50):
        if post() != [200] * 3:
            b.problem("a spool that is there is not used")
        if round % 2 and over:
            command("mount", "--bind", over.folder, spool)
            refused = post()
            b.injections += 1
            command("umount", spool)
        else:
            spool.rename(away)
            refused = post()
            b.injections += 1
            if spool.exists():
                b.problem("a spool that was moved away was made again")
            away.rename(spool)
        if refused != [503] * 3:
            b.problem(f"without its spool: {refused}")
    trial.settle()
    shutil.rmtree(spool)
    b.injections += 1
    if post() != [503] * 3:
        b.problem("a spool that was removed is used")
    trial.post_cgi(trial.good())  # makes another one
    if post() != [200] * 3:
        b.problem("a new spool is not used")
    trial.settle()
    trial.end()

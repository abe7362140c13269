"""File systems in a file, that can be filled, cut off and made read-only."""

import fcntl
import os
import struct
import subprocess

import skip
from sites import wait_for

SHUTDOWN = 0x8004587d  # EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN: _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2

MEGABYTES = {"ext4": 256, "xfs": 400}  # some more than the reserve; sparse files


def command(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.decode().strip()}")


class Image:
    """Made, and mounted at self.folder; unmounted when the bench ends."""

    def __init__(self, b, kind, megabytes=None, options=()):
        skip.need(f"mkfs.{kind}", {"ext4": "e2fsprogs", "xfs": "xfsprogs"}[kind])
        if not b.can_mount():
            raise skip.Skip("not root: no file system can be mounted")
        self.kind = kind
        self.file = b.folder / f"{kind}-{id(self):x}.img"
        self.folder = self.file.with_suffix("")
        self.folder.mkdir()
        with open(self.file, "wb") as file:
            file.truncate((megabytes or MEGABYTES[kind]) << 20)
        # Nothing that root alone may use: full is full.
        command(f"mkfs.{kind}", "-q", *(("-m", "0") if kind == "ext4" else ()), *options, self.file)
        try:
            self.mount()
        except OSError as failure:
            raise skip.Skip(f"no loop mounts here: {failure}")
        b.ends.callback(self.close)

    def device(self):
        """Its loop device's name."""
        for line in open("/proc/self/mounts"):
            words = line.split()
            if words[1] == str(self.folder):
                return words[0].rpartition("/")[2]
        raise LookupError(self.folder)

    def mount(self, *options):
        command("mount", "-o", ",".join(("loop", *options)), self.file, self.folder)

    def remount(self, how):
        command("mount", "-o", f"remount,{how}", self.folder)

    def power_off(self):
        """Nothing reaches the disk any more: neither data nor what is in the file system's own log."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def power_on(self):
        command("umount", self.folder)
        self.mount()

    def cut(self):
        self.power_off()
        self.power_on()

    def sync(self):
        command("sync", "-f", self.folder)

    def free(self):
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def fill(self, leave):
        """Takes space until only `leave` bytes are free."""
        step = 64 << 20
        with open(self.folder / "filler", "ab") as file:
            while (surplus := self.free() - leave) > 0 and step >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), max(4096, min(step, surplus // 2)))
                except OSError:  # less than it says
                    step //= 2

    def empty(self):
        """Gives it back. File systems do that by and by."""
        filler = self.folder / "filler"
        wanted = self.free() + filler.stat().st_size // 2
        filler.unlink()
        self.sync()
        wait_for(lambda: self.free() >= wanted, "space is free again")

    def close(self):
        if self.folder.is_mount():
            command("umount", "-l", self.folder)

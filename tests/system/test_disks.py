"""What there is to see of a spool whose disk is full, or read-only, or not there."""

import json
import os
import signal
import subprocess

import pytest

import sign
from sites import wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount file systems")

TARGETS = """target "crm" {
    run = {"/bin/sh", "-c", "exit 100"}
}
"""


@pytest.fixture
def mounted(make_site):
    """A site whose spool is on a small file system of its own."""
    site = make_site(targets=TARGETS, options='reserve = "0"')
    disk = site.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk]).returncode:
        pytest.skip("cannot mount here")
    site.write(site.conf, site.conf.read_text().replace(str(site.spool), str(disk / "spool")))
    site.spool, site.disk = disk / "spool", disk
    yield site
    site.close()
    subprocess.run(["umount", "-l", disk], check=True)


def fill(site):
    with open(site.disk / "fill", "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                pass


def remount(site):
    subprocess.run(["mount", "-o", "remount,ro", site.disk], check=True)


def at_rest(site):
    site.deliver()
    assert not (site.spool / "state.db-wal").exists()


def killed(site):
    """What was committed last stands in the log alone."""
    child = site.start([site.program, "-c", site.conf, "deliver", "--stay"])
    wait_for(lambda: site.audit(what="delivery"), "the delivery has failed")
    wait_for(lambda: json.loads(site.run("-c", site.conf, "status", "--json").stdout)["parked"] == 1, "it is parked")
    site.stop(child, signal.SIGKILL)
    assert (site.spool / "state.db-wal").stat().st_size > 0


@pytest.mark.parametrize("begin", [at_rest, killed])
@pytest.mark.parametrize("harm", [fill, remount])
def test_all_can_be_seen_on_a_bad_disk(mounted, begin, harm):
    event_id = mounted.post_cgi(sign.body()).json["id"]
    begin(mounted)
    harm(mounted)
    for command, word in ((("status",), b"parked"), (("show", event_id), b"parked"), (("parked",), event_id.encode()),
                          (("log",), event_id.encode())):
        done = mounted.run("-c", mounted.conf, *command)
        assert done.returncode in (0, 2) and word in done.stdout and done.stderr == b"", (command, done)
    done = mounted.run("-c", mounted.conf, "retry", "--all")
    if harm is remount:
        assert done.returncode == 74 and b"state.db" in done.stderr and b"ead-only" in done.stderr, done


def test_a_spool_that_is_not_mounted_is_not_ok(mounted):
    mounted.post_cgi(sign.body())
    mounted.deliver()
    subprocess.run(["umount", mounted.disk], check=True)
    try:
        done = mounted.run("-c", mounted.conf, "status", "--json")
        told = json.loads(done.stdout)
        assert done.returncode == 2 and told["state"] == "failing" and str(mounted.spool) in told["why"]
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "none", mounted.disk], check=True)

"""What is put away, and where it cannot be."""

import json
import os
import subprocess

import pytest

import sign
from sites import Site, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount file systems")


@pytest.fixture
def site(tmp_path):
    """Its archive/ is another file system."""
    site = Site(tmp_path / "site", options='late_after = "1h"')
    site.deliver()
    archive = site.spool / "archive"
    mount("-t", "tmpfs", "-o", "mode=700", "none", archive)
    yield site
    site.close()
    subprocess.run(["umount", "-l", archive], check=True)


def mount(*words):
    done = subprocess.run(["mount", *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(done.stderr)


def names(site, folder):
    return [path.name for path in (site.spool / folder).iterdir()]


def test_an_archive_on_another_file_system_takes_segments(site):
    """A large one goes over in several steps, a small one into a file with others."""
    site.post_cgi(sign.body(b'[{"id":"1","text":"%s"}]' % (b"x" * 9_000_000), nonce="large"))
    large, = names(site, "journal")
    content = (site.spool / "journal" / large).read_bytes()
    (site.spool / "archive" / f".{large}").write_bytes(b"left by a crash")
    site.post_cgi(sign.body(nonce="small"))
    site.deliver()
    assert len(site.records()) == 2
    assert names(site, "journal") == []
    assert (site.spool / "archive" / large).read_bytes() == content
    assert len(names(site, "archive")) == 2
    event_id = json.loads(site.records()[0])["event_id"]
    assert site.run("-c", site.conf, "replay", event_id).returncode == 0
    site.deliver()
    assert len(site.records()) == 3


def test_what_cannot_be_put_away_is_told_and_holds_nothing_up(site):
    mount("-o", "remount,ro", site.spool / "archive")
    deliverer = site.start([site.program, "-c", site.conf, "deliver", "--stay"], stderr=subprocess.DEVNULL)
    for number in range(3):
        site.post_cgi(sign.body(nonce=str(number)))
        wait_for(lambda: len(site.records()) == number + 1, "it is delivered")
    said = "segments cannot be put away in archive/"
    wait_for(lambda: said in site.run("-c", site.conf, "status").stdout.decode(), "status says it")
    status = site.run("-c", site.conf, "status", "--json")
    assert status.returncode == 2
    assert f'"what":"{said}","why":"Read-only file system"' in status.stdout.decode()
    check = site.run("-c", site.conf, "check")
    assert (check.returncode, f"{said}: Read-only file system" in check.stderr.decode()) == (1, True)
    assert len(names(site, "journal")) == 3
    mount("-o", "remount,rw", site.spool / "archive")
    wait_for(lambda: names(site, "journal") == [], "it is tried again", 120)
    wait_for(lambda: site.run("-c", site.conf, "status").returncode == 0, "it is told no more")
    deliverer.terminate()
    assert deliverer.wait(60) == 0


def test_a_run_that_cannot_put_away_delivers_everything_and_says_so(site):
    mount("-o", "remount,ro", site.spool / "archive")
    for number in range(3):
        site.post_cgi(sign.body(nonce=str(number)))
    done = site.run("-c", site.conf, "deliver", "--once")
    assert done.returncode == 74
    assert "segments cannot be put away in archive/" in done.stderr.decode()
    assert len(site.records()) == 3

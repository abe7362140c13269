"""What runs beside the receivers: the line for cron, and the rotation of a target's files, as examples/ has them."""

import grp
import gzip
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import time

import pytest

import sign
from ledger import Ledger
from load import Load
from sites import PROGRAM, ROOT, Site, is_alive, wait_for

EXAMPLES = ROOT / "examples"


@pytest.fixture
def home(tmp_path):
    """A home as examples/crontab takes it to be, with a script that hangs until it is told to go."""
    out = tmp_path / "out"
    script = f"echo $HOOKSPOOL_EVENT_ID >> {out}; [ -e {tmp_path}/go ] || exec sleep 1000"
    site = Site(tmp_path / "hookspool", deliver="auto", targets=f"""
target "script" {{
    run = {{"/bin/sh", "-c", "{script}"}}
    timeout = "1h"
}}
target "records" {{
    file = "{tmp_path}/hookspool/records.jsonl"
}}
""")
    (tmp_path / "bin").mkdir()
    shutil.copy(PROGRAM, tmp_path / "bin" / "hookspool")
    yield site
    site.close()


def cron(site):
    """What cron does with the example's line."""
    line, = [line for line in (EXAMPLES / "crontab").read_text().splitlines() if line[:1] not in ("", "#")]
    schedule, command = line.split()[:5], line.split(None, 5)[5]
    assert schedule == ["*/5", "*", "*", "*", "*"]
    environment = {**site.environment(), "HOME": str(site.folder.parent), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
    return subprocess.run(["/bin/sh", "-c", command], env=environment, cwd=site.folder.parent, timeout=120,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_cron_takes_over_what_a_killed_deliverer_left(home):
    out = home.folder.parent / "out"
    ids = [home.post_cgi(sign.body(nonce=str(number))).json["id"] for number in range(3)]
    wait_for(out.exists, "the script runs")
    killed = home.processes()
    assert killed
    for pid in killed:  # as a host does with what it finds in the background
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    wait_for(lambda: not any(map(is_alive, killed)), "they are gone")
    (home.folder.parent / "go").touch()
    done = cron(home)
    assert (done.returncode, done.stdout) == (0, "")
    assert out.read_text().splitlines() == [ids[0], *ids]
    assert len(home.records()) == 3


def test_cron_says_nothing_when_there_is_nothing_to_do(home):
    (home.folder.parent / "go").touch()
    home.deliver()
    done = cron(home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_cron_leaves_a_deliverer_that_works_alone(home):
    out = home.folder.parent / "out"
    home.post_cgi(sign.body())
    wait_for(out.exists, "the script runs")
    pid = home.deliverer()
    done = cron(home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert home.deliverer() == pid
    assert len(out.read_text().splitlines()) == 1


def test_a_rotation_under_load_loses_and_doubles_nothing(make_site, tmp_path):
    records = tmp_path / "records"
    site = make_site(deliver="auto", targets=f"""
target "records" {{
    file = "{records}/%{{object_type}}.jsonl"
}}
""")
    text = (EXAMPLES / "logrotate").read_text()
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    for name, value in (("/srv/records", str(records)), ("su hookspool-deliver hookspool-deliver", f"su {user} {group}")):
        assert name in text
        text = text.replace(name, value)
    conf = tmp_path / "logrotate.conf"
    conf.write_text(text)
    conf.chmod(0o600)
    ledger = Ledger()
    site.serve()
    with Load(site.socket, ledger, senders=4):
        for _ in range(4):
            ledger.wait_for_accepted(len(ledger.accepted) + 200)
            wait_for((records / "crm_contact.jsonl").exists, "there is something to rotate")
            before = len(list(records.iterdir()))
            time.sleep(1)  # the names of rotated files have seconds
            subprocess.run(["logrotate", "-f", "-s", tmp_path / "state", conf], check=True)
            wait_for(lambda: len(list(records.iterdir())) > before, "the next file is made")
        ledger.wait_for_accepted(len(ledger.accepted) + 200)
    site.end_deliverer()
    site.deliver()
    files = sorted(records.iterdir())
    assert len(files) == 5 and sum(path.suffix == ".gz" for path in files) == 3
    ledger.check(b"".join(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
                          for path in files))


def test_what_is_kept_for_seconds_is_gone_soon(make_site):
    """By a deliverer that stays, though the archive's file of small segments takes more all the time."""
    site = make_site(options='keep = "2s"')
    site.start([PROGRAM, "-c", site.conf, "deliver", "--stay"])
    first = site.post_cgi(sign.body(nonce="first")).json["id"]

    def archived():
        return b"".join(path.read_bytes() for path in sorted(site.spool.glob("archive/*.jsonl")))

    wait_for(lambda: first.encode() in archived(), "the first event is put away")
    numbers = itertools.count()

    def is_gone():
        site.post_cgi(sign.body(nonce=f"later {next(numbers)}"))
        return first.encode() not in archived()

    wait_for(is_gone, "the first event is not kept any more")

"""The program of ./configure --enable-static-program ($HOOKSPOOL_STATIC), as it runs on a shared host: in a folder with
nothing but itself, its configuration and its secret, by a user of whom a web server has left no variable."""

import json
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

from mounts import IS_ROOT, ApacheSuexec
from sites import SAMPLES, Answer, Site, is_alive, sample, variables, wait_for
from test_answers import ACCEPTED, REFUSED
from test_hosts import make

PROGRAM = os.environ.get("HOOKSPOOL_STATIC")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no static program: HOOKSPOOL_STATIC")

CONFIGURATION = """
spool   = "../../hookspool"
deliver = "%(deliver)s"
endpoint "/webhook" {
    scheme      = "unified"
    secret_file = "unified.secret"
}
target "records" {
    file = "%(home)s/records.jsonl"
}
target "script" {
    run = {"/bin/sh", "-c", "cat > %(home)s/$HOOKSPOOL_EVENT_ID"}
}
"""
NOBODY = 65534


class Home:
    """A user's home on a shared host, and the web server that starts what is in its cgi-bin. With `root`, all of that is
    in a root of its own, in which there is nothing else but /dev/null."""

    def __init__(self, folder, root=None, deliver="auto"):
        self.root = root
        self.home = folder / "home" / "customer"
        self.bin = self.home / "public_html" / "cgi-bin"
        self.bin.mkdir(parents=True)
        shutil.copy(PROGRAM, self.bin / "hookspool.cgi")
        text = CONFIGURATION % {"home": self.inside(self.home), "deliver": deliver}
        if root:
            text = text.partition('target "script"')[0]
        Site.write(self.bin / "hookspool.conf", text)
        Site.write(self.bin / "unified.secret", (SAMPLES / "secrets").read_text())
        self.home.parent.chmod(0o711)  # as a host's /home often is: others pass through, and see nothing
        if IS_ROOT:
            for path in (self.home, *self.home.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def inside(self, path):
        """Its name for the program."""
        return pathlib.Path("/", path.relative_to(self.root)) if self.root else path

    def enter(self):
        """In the child: what a web server does before it starts a program."""
        if self.root:
            os.chroot(self.root)
        os.chdir(self.inside(self.bin))
        if IS_ROOT:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    def post(self, body, prefix=()):
        child = subprocess.run([*prefix, "./hookspool.cgi"], input=body, capture_output=True, timeout=120,
                               env=variables(body), preexec_fn=self.enter)
        assert (child.returncode, child.stderr) == (0, b"")
        return Answer.parse(child.stdout)

    def records(self):
        path = self.home / "records.jsonl"
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def close(self):
        """Ends the deliverer."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if pathlib.Path(os.readlink(f"/proc/{pid}/exe")).is_relative_to(self.home):
                    os.kill(int(pid), 15)
                    wait_for(lambda: not is_alive(pid), "the deliverer ends")
            except OSError:
                continue


@pytest.fixture
def make_home(tmp_path):
    homes = []
    # pytest's folders are for one user alone.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != pathlib.Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)

    def maker(**options):
        homes.append(Home(tmp_path, **options))
        return homes[-1]

    yield maker
    for home in homes:
        home.close()


def check_samples(home):
    """All samples are answered as ever, and a deliverer is started that delivers them."""
    identities = set()
    for name, count in ACCEPTED.items():
        answer = home.post(sample(name))
        assert (answer.status, answer.json.get("records")) == (200, count or 1), name
        identities.add(answer.json["id"])
    for name in REFUSED:
        assert home.post(sample(name)).status == 401
    wait_for(lambda: {record["event_id"] for record in home.records()} == identities, "all is delivered")
    assert sorted(path.name for path in home.bin.iterdir()) == ["hookspool.cgi", "hookspool.conf", "unified.secret"]
    spool = (home.home / "hookspool").stat()
    assert stat.S_IMODE(spool.st_mode) == 0o700
    return identities


def test_it_is_one_file():
    said = subprocess.run(["readelf", "--dynamic", "--program-headers", PROGRAM], capture_output=True, text=True).stdout
    assert "LOAD" in said and "NEEDED" not in said and "INTERP" not in said


def test_nothing_but_a_configuration_and_a_secret(make_home):
    home = make_home()
    identities = check_samples(home)
    wait_for(lambda: identities <= set(os.listdir(home.home)), "the script has run for each")


@pytest.mark.skipif(not IS_ROOT, reason="chroot needs root")
def test_a_root_without_libraries_and_without_proc(make_home, tmp_path):
    (tmp_path / "dev").mkdir(mode=0o755)
    os.mknod(tmp_path / "dev" / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.chmod(tmp_path / "dev" / "null", 0o666)
    check_samples(make_home(root=tmp_path))


def test_an_older_kernel(make_home):
    """System calls that Linux 4.18 does not have, and getrandom (3.17)."""
    home = make_home(deliver="manual")
    older = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=none",
             "-e", "inject=close_range,faccessat2,getrandom,openat2,clone3:error=ENOSYS"]
    answer = home.post(sample("virtual-ten"), older)
    assert answer.status == 200
    done = subprocess.run([*older, "./hookspool.cgi", "deliver", "--once"], preexec_fn=home.enter, env={}, timeout=120,
                          capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert len(home.records()) == 10 and answer.json["id"] in os.listdir(home.home)


def test_under_suexec(make):
    mount = make(ApacheSuexec, program=PROGRAM)
    for name, count in ACCEPTED.items():
        answer = mount.post(sample(name))
        assert (answer.status, answer.json.get("records")) == (200, count or 1), mount.logs()
        wait_for(lambda: len(mount.host.records(answer.json["id"])) == (count or 1), "the records are in the file")

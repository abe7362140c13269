"""A spool for two users: a receiver and a deliverer, as the units in examples/systemd have them."""

import grp
import os
import pathlib
import shutil
import subprocess
import tempfile

import sign
from sites import PROGRAM, SAMPLES, Site, variables, Answer

GROUP = "nogroup"
RECEIVER, DELIVERER = 61001, 61002


def identity(uid):
    """Popen's options for it: a group of its own, and the common one."""
    return {"user": uid, "group": uid, "extra_groups": [grp.getgrnam(GROUP).gr_gid], "umask": 0o077}


class Pair(Site):
    """The site's own commands run as the deliverer. The folder is open to both, the spool stands in one that belongs to
    the deliverer."""

    def __init__(self, options="", **more):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="hookspool-"))
        super().__init__(folder, options=f'group = "{GROUP}"\n{options}', **more)
        self.conf.write_text(self.conf.read_text().replace(str(self.spool), str(folder / "var" / "spool"))
                             .replace(f"{folder}/records", f"{folder}/var/records"))
        self.spool = folder / "var" / "spool"
        self.records_file = folder / "var" / "records.jsonl"
        self.program = folder / "hookspool"
        self.identity = identity(DELIVERER)
        shutil.copy(PROGRAM, self.program)
        folder.chmod(0o755)
        self.conf.chmod(0o644)
        os.chown(self.secret, RECEIVER, RECEIVER)
        (folder / "var").mkdir(mode=0o755)
        os.chown(folder / "var", DELIVERER, DELIVERER)

    def post_cgi(self, body, **more):
        """As the receiver. Its messages are in self.said."""
        done = subprocess.run([self.program], input=body, capture_output=True, timeout=60, cwd="/",
                              env={**self.environment(), **variables(body, **more)}, **identity(RECEIVER))
        assert done.returncode == 0, done.stderr.decode()
        self.said = done.stderr.decode()
        return Answer.parse(done.stdout)

    def receive(self, **options):
        """A command of the receiver's user."""
        return {**options, **identity(RECEIVER)}

    def as_receiver(self, script):
        """Runs it by a shell in the spool; whether it succeeded."""
        return subprocess.run(["sh", "-c", script], cwd=self.spool, capture_output=True, timeout=60,
                              **identity(RECEIVER)).returncode == 0

    def close(self):
        super().close()
        shutil.rmtree(self.folder)


def event(number):
    return sign.body(b'[{"id":"%d"}]' % number, f"nonce {number}")

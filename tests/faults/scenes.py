"""Situations to be disturbed: what is prepared, what runs, and what is done about it afterwards."""

import os
import pathlib
import signal
import time

from sites import processes
from trial import PATIENCE

HERE = pathlib.Path(__file__).parent


class Scene:
    """`options` are those of a site. `fresh`: each disturbance meets a new spool. `follow`: children too."""

    name = "?"
    options = {}
    fresh = False
    follow = True
    later = 0

    def begin(self, trial):
        """Once for each spool."""

    def prepare(self, trial):
        """Before each disturbance, undisturbed."""

    def run(self, trial, prefix, env=None):
        """What is to be disturbed."""
        raise NotImplementedError

    def settle(self, trial):
        """After each disturbance: all is well."""
        return trial.settle(later=self.later)


class FirstRequest(Scene):
    name = "CGI, first request of all"
    fresh = True

    def run(self, trial, prefix, env=None):
        trial.post_cgi(trial.good(), prefix, env)


class Request(Scene):
    name = "CGI"
    options = {"options": "audit_max = 4096"}

    def begin(self, trial):
        trial.post_cgi(trial.good())

    def prepare(self, trial):
        trial.post_cgi(trial.again())

    def run(self, trial, prefix, env=None):
        trial.post_cgi(trial.good(), prefix, env)


class LargeRequest(Request):
    name = "CGI, a body of 1.2 MB"

    def run(self, trial, prefix, env=None):
        trial.post_cgi(trial.good(1200000), prefix, env)


class ForgedRequest(Request):
    name = "CGI, forged"

    def run(self, trial, prefix, env=None):
        trial.post_cgi(trial.forged(), prefix, env)


class WakingRequest(Request):
    """It starts a deliverer. That one is not followed."""
    name = "CGI that starts a deliverer"
    options = {"deliver": "auto"}
    follow = False

    def settle(self, trial):
        trial.end_offspring()
        return trial.settle()


class Receiver(Scene):
    name = "FastCGI"
    options = {"options": "audit_max = 4096"}

    def run(self, trial, prefix, env=None):
        child = trial.receiver(prefix, env)
        trial.post_together([trial.good() for _ in range(4)] + [trial.forged()], child)
        trial.post_together(trial.mixed(), child)
        self.end(trial, child)

    def end(self, trial, child):
        self.ask_to_end(child)
        trial.finish(child, "a receiver")

    @staticmethod
    def ask_to_end(child):
        """The receiver itself, not the strace before it."""
        parents = processes()
        for pid, parent in parents.items():
            if parent == child.pid:
                try:
                    os.kill(pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
        if child.pid not in parents.values() and child.poll() is None:
            child.terminate()


class FirstReceiver(Receiver):
    name = "FastCGI, first of all"
    fresh = True


class Served(Receiver):
    name = "FastCGI with its deliverer"
    options = {"deliver": "auto"}

    def end(self, trial, child):
        """The receiver may have started a deliverer beside the one that it watches, which would wait for more."""
        self.ask_to_end(child)
        end = time.monotonic() + PATIENCE
        while child.poll() is None and time.monotonic() < end:
            trial.end_deliverer()
            time.sleep(0.01)
        trial.finish(child, "a receiver")

    def settle(self, trial):
        trial.end_offspring()
        return trial.settle()


class Deliverer(Scene):
    name = "deliverer, sealed segments"

    def prepare(self, trial):
        for message in (trial.good(), trial.good(), trial.again()):
            trial.post_cgi(message)

    def run(self, trial, prefix, env=None):
        trial.deliver(prefix, env=env)


class FirstDeliverer(Deliverer):
    name = "deliverer, first of all"
    fresh = True


class OpenSegment(Deliverer):
    name = "deliverer, a segment that is being written"

    def begin(self, trial):
        self.child = trial.receiver()

    def prepare(self, trial):
        trial.post_together(trial.mixed(), self.child)


class LargeSegment(Deliverer):
    name = "deliverer, a segment that is archived whole"

    def prepare(self, trial):
        trial.post_cgi(trial.good(1200000))


class Expiry(Deliverer):
    name = "deliverer, nothing is kept"
    options = {"options": 'keep = "0"\nremember = "1s"'}
    later = 86400

    def prepare(self, trial):
        for _ in range(2):
            trial.post_cgi(trial.good())


class Damaged(Deliverer):
    name = "deliverer, a damaged line and a torn one"

    def prepare(self, trial):
        trial.post_cgi(trial.good())
        name = sorted(trial.site.spool.glob("journal/*.jsonl"))[-1]
        whole = name.read_bytes()
        line = whole.splitlines(keepends=True)[-1]
        with open(name, "ab") as file:
            file.write(line.replace(b'"count":1', b'"count":2') + line[:-20])


class LostState(Deliverer):
    name = "deliverer, without its state"

    def prepare(self, trial):
        trial.settle()
        for path in trial.site.spool.glob("state.db*"):
            path.unlink()
        super().prepare(trial)


SCRIPT = """
target "records" {
    file = "@/records.jsonl"
}
target "script" {
    run = {"%s"%s}
    workers = 2
    batch = %d
}
"""


def script_target(name, *arguments, batch=1):
    """A file target, and a script of this folder."""
    words = "".join(f', "{argument}"' for argument in arguments)
    return SCRIPT % (HERE / "fixtures" / name, words, batch)


class Scripts(Deliverer):
    name = "deliverer of a script"
    options = {"targets": script_target("keep", "@/kept", batch=2)}
    follow = False
    later = 7200

    def settle(self, trial):
        well = super().settle(trial)
        kept = trial.site.folder / "kept"
        seen = kept.read_bytes() if kept.exists() else b""
        unseen = [marker for marker in trial.ledger.accepted if b'"%s"' % marker.encode() not in seen]
        if unseen:
            told = trial.site.audit(what="delivery", target="script")[-3:]
            trial.bench.problem(f"the script never saw {unseen[:5]}; the last attempts were {told}")
        return well and not unseen


class KilledScripts(Scripts):
    name = "deliverer and its scripts"
    follow = True

"""Descriptors, processes and memory run out."""

import contextlib
import os
import pathlib
import resource
import shutil
import signal

import scenes
import shim
import skip
import trial as trials
from bench import rows
from sites import PROGRAM
from trial import Trial

ROWS, row = rows()


# libConfuse and libfcgi assert that memory is there, and abort(3) where it is not. What started the program has to
# start it again; nothing that was acknowledged depends on it.
ASSERTED = signal.SIGABRT


def expect_order(b, crashes, what, allowed=()):
    """Any answer and any exit code is right, a crash is not."""
    for number in crashes.keys() - set(allowed):
        b.problem(f"{what}: killed by signal {number}")
    crashes.clear()


def limit(what, most):
    def apply():
        resource.setrlimit(what, (most, most))
    return apply


def recover(b, trial, what, later=0):
    """Without the limit, all is as it was."""
    answer, _ = trial.post_cgi(trial.good())
    if not answer or answer.status != 200:
        b.problem(f"{what}: not accepted afterwards")
    trial.end_offspring()  # the receiver may have started one, which would be left to do it
    if not trial.settle(later):
        b.problem(f"{what}: {dict(trial.counted)}")


def run_all(b, trial, limited, text, allowed=()):
    """CGI, a deliverer with a script, a receiver, each begun under a limit."""
    trial.post_cgi(trial.good(), preexec_fn=limited)
    expect_order(b, trial.crashes, f"CGI, {text}", allowed)
    trial.deliver(preexec_fn=limited)
    expect_order(b, trial.crashes, f"deliverer, {text}", allowed)
    child = trial.receiver(preexec_fn=limited)
    trial.post_together([trial.good() for _ in range(8)], child, timeout=3, patient=False)
    child.terminate()
    trial.finish(child, f"receiver, {text}")
    expect_order(b, trial.crashes, f"receiver, {text}", allowed)
    b.injections += 3


def run_out(b, what, limits, name, allowed=()):
    trial = Trial(b, **scenes.Scripts.options)
    for most in limits:
        text = f"{name} limit {most}"
        trial.post_cgi(trial.good())
        run_all(b, trial, limit(what, most), text, allowed)
        recover(b, trial, text, later=7200)
    trial.end()


@row("descriptors", "no descriptors left")
def descriptors(b):
    run_out(b, resource.RLIMIT_NOFILE, b.sample(range(3, 45), 6), "descriptor")
    trial = Trial(b)
    child = trial.receiver()
    trial.post_together([trial.good()], child)
    for most in b.sample(range(3, 40), 4):
        soft, hard = resource.prlimit(child.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (most, hard))
        trial.post_together([trial.good() for _ in range(40)], child, timeout=0.3, patient=False)
        b.injections += 1
        resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (soft, hard))
        answers = trial.post_together([trial.good() for _ in range(4)], child)
        if [answer and answer.status for answer in answers] != [200] * 4:
            b.problem(f"a receiver that had {most} descriptors does not recover: {answers}")
    trial.settle()
    trial.end()


@row("memory", "no memory left (RLIMIT_AS)")
def memory(b):
    """From 3 MB on: with less the kernel kills a program that it cannot load."""
    run_out(b, resource.RLIMIT_AS, [n << 19 for n in b.sample(range(6, 90), 6)], "memory", [ASSERTED])


@row("allocations", "each allocation fails in turn, once or from then on")
def allocations(b):
    env = shim.environment(b)
    reached = b.folder / "reached"
    for scene in (scenes.FirstRequest(), scenes.Request(), scenes.LargeRequest(), scenes.Receiver(),
                  scenes.FirstDeliverer(), scenes.Deliverer(), scenes.Scripts()):
        scene.later = 7200
        for suffix in ("", "+"):
            sweep_allocations(b, scene, suffix, env, reached)


def sweep_allocations(b, scene, suffix, env, reached):
    trial, number, tried = None, 0, 0
    step = 1
    while True:
        number += step if not b.short else b.chance.randrange(1, 60)
        if trial is None or trial.ended or scene.fresh or tried % 40 == 0:
            trial = trial and trial.end()
            trial = Trial(b, **scene.options)
            scene.begin(trial)
        reached.unlink(missing_ok=True)
        scene.prepare(trial)
        scene.run(trial, (), {**env, "FAULT_MALLOC": f"{number}{suffix}", "FAULT_REACHED": str(reached)})
        tried += 1
        expect_order(b, trial.crashes, f"{scene.name}: allocation {number}{suffix}", [ASSERTED])
        happened = reached.exists()
        b.injections += happened
        if not scene.settle(trial):
            b.problem(f"{scene.name}: allocation {number}{suffix}: {dict(trial.counted)}")
            trial.end()
        if not happened or (b.short and tried == 3):
            break
        # All of the first thousand; those of a long run are sampled.
        step = 1 if number < 1000 else b.chance.randrange(1, 20)
    trial.end()


NOBODY = 64993  # a user without processes: root has no limit


@row("processes", "no processes or threads left (RLIMIT_NPROC)")
def processes(b):
    if os.geteuid() != 0:
        raise skip.Skip("not root: no other user can be had")
    program = b.folder / "hookspool"
    shutil.copy(PROGRAM, program)
    program.chmod(0o755)
    before = trials.PROGRAM
    b.ends.callback(setattr, trials, "PROGRAM", before)
    trials.PROGRAM = program
    targets = scenes.Scripts.options["targets"]
    for deliver in ("manual", "auto"):
        trial = Trial(b, targets=targets, deliver=deliver)
        trial.settle()
        give_away(trial.site.folder)
        for most in b.sample(range(0, 12), 4):
            def limited():
                os.setgroups([])
                os.setgid(NOBODY)
                resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
                os.setuid(NOBODY)
            text = f"{most} processes"
            with contextlib.suppress(BlockingIOError):  # not even the program could be started
                run_all(b, trial, limited, text)
            trial.kill_all()
            recover(b, trial, text, later=7200)
            give_away(trial.site.folder)
        trial.end()


def give_away(folder):
    for path in [folder, *pathlib.Path(folder).rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

"""Scripts that do what they should not."""

import pathlib

import scenes
from bench import rows
from sites import is_alive, wait_for
from trial import Trial

ROWS, row = rows()

WAYS = ("hang", "crash", "deaf", "flood", "child", "fork")

BAD = """
target "bad" {
    run = {"%s", "@"}
    timeout = "1s"
    workers = 8
    %%s
}
""" % (scenes.HERE / "fixtures" / "misbehave")


def post_bad(trial, way, number, size=0):
    message = trial.good(size, connection_id=f"{way}-{number}")
    trial.post_cgi(message)
    return message[0]


def is_in(path, marker):
    return path.exists() and b'"%s"' % marker.encode() in path.read_bytes()


def leftovers(trial):
    pids = trial.site.folder / "pids"
    return [pid for pid in map(int, pids.read_text().split()) if is_alive(pid)] if pids.exists() else []


@row("scripts", "scripts that hang, crash, close stdin, flood stdout, leave children")
def scripts(bench):
    """The file and the good script get all; nothing stays behind; what failed stays, to be tried again."""
    trial = Trial(bench, targets=scenes.Scripts.options["targets"] + BAD % "")
    kept, misbehaved = trial.site.folder / "kept", trial.site.folder / "misbehaved"
    for number in range(2 if bench.short else 25):
        bad = [post_bad(trial, way, number, size) for way in WAYS for size in (0, 300000)]
        good = [post_bad(trial, "good", number) for _ in range(3)]
        bench.injections += len(bad)
        trial.settle()
        for marker in bad + good:
            if not is_in(kept, marker):
                bench.problem(f"a good script did not get {marker}")
        if not all(is_in(misbehaved, marker) for marker in good):
            bench.problem("good events of a bad script did not reach it")
        if leftovers(trial):
            bench.problem(f"processes left behind: {leftovers(trial)}")
    trial.end()


@row("script-leaks", "the same under one deliverer that lives on")
def script_leaks(bench):
    """Descriptors, children and memory of the deliverer stay as they are."""
    trial = Trial(bench, targets=scenes.Scripts.options["targets"] + BAD % 'retry_for = "0"')
    child = trial.start_deliverer("--stay")
    counted = []
    for number in range(2 if bench.short else 20):
        bad = [post_bad(trial, way, number) for way in WAYS]
        good = post_bad(trial, "good", number)
        bench.injections += len(bad)
        wait_for(lambda: is_in(trial.site.folder / "misbehaved", good), "the good event arrives")
        wait_for(lambda: len(trial.site.audit(target="bad", result="parked")) >= (number + 1) * len(WAYS),
                 "the bad ones have failed")
        counted.append(len(list(pathlib.Path(f"/proc/{child.pid}/fd").iterdir())))
    children = pathlib.Path(f"/proc/{child.pid}/task/{child.pid}/children")
    if children.exists() and children.read_text().split():
        bench.problem(f"the deliverer has children left: {children.read_text()}")
    if max(counted[1:]) > counted[0] + 2:
        bench.problem(f"the deliverer's descriptors grow: {counted}")
    child.terminate()
    trial.finish(child, "a deliverer")
    if leftovers(trial):
        bench.problem(f"processes left behind: {leftovers(trial)}")
    trial.settle()
    trial.end()

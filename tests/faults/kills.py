"""kill -9 at any system call."""

import scenes
from bench import rows
from sweep import Sweep

ROWS, row = rows()


@row("kill-cgi", "kill -9 at any system call of a CGI run")
def kill_cgi(bench):
    for scene in (scenes.FirstRequest(), scenes.Request(), scenes.LargeRequest(), scenes.ForgedRequest(),
                  scenes.WakingRequest()):
        Sweep(bench, scene).run(most=30)


@row("kill-receiver", "kill -9 at any system call of a FastCGI receiver")
def kill_receiver(bench):
    for scene in (scenes.FirstReceiver(), scenes.Receiver(), scenes.Served()):
        Sweep(bench, scene).run(most=20)


@row("kill-deliverer", "kill -9 at any system call of the deliverer, of its restart, and of scripts")
def kill_deliverer(bench):
    for scene in (scenes.FirstDeliverer(), scenes.Deliverer(), scenes.OpenSegment(), scenes.LargeSegment(),
                  scenes.Expiry(), scenes.Damaged(), scenes.LostState(), scenes.Scripts(), scenes.KilledScripts()):
        Sweep(bench, scene, twice=0.3).run(most=20)


class FailingSweep(Sweep):
    """One sync fails before. Whether a commit whose sync failed is durable is open until the restart."""

    def disturb(self, call, when):
        syncs = sum(name == "fdatasync" for name, _ in self.points)
        self.sync = self.bench.chance.randrange(1, syncs + 1)
        return super().disturb(call, when)

    def prefix(self, call, when):
        return [*super().prefix(call, when), "-e", f"inject=fdatasync:error=EIO:when={self.sync}"]


@row("kill-failing", "a sync of the deliverer fails, and it is killed at any system call")
def kill_failing(bench):
    for scene in (scenes.Deliverer(), scenes.FirstDeliverer()):
        scene.later = 7200  # what failed is tried again later
        for _ in range(1 if bench.short else 2):
            FailingSweep(bench, scene).run(most=20)

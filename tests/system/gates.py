"""A gate that a command of the program waits at until the test opens it."""

import shutil
import subprocess

from sites import PROGRAM, ROOT


class Gate:
    """See gate.c. Any user may wait at it."""

    def __init__(self, folder):
        folder = folder / "gate"
        folder.mkdir()
        folder.chmod(0o777)
        self.library, self.gate, self.reached = folder / "gate.so", folder / "open", folder / "reached"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", self.library, ROOT / "tests" / "system" / "gate.c"], check=True)
        self.library.chmod(0o755)

    @staticmethod
    def can_be_built():
        return shutil.which("cc") and b"ld-linux" in PROGRAM.read_bytes()[:4096]

    def prefix(self, at=None):
        """Of a command that shall wait: at each pause, or at the look at state.db of this number."""
        words = ["env", f"LD_PRELOAD={self.library}", f"GATE={self.gate}", f"GATE_REACHED={self.reached}"]
        return words if at is None else [*words, f"GATE_AT={at}"]

    def times(self):
        """How often it was reached."""
        return len(self.reached.read_bytes()) if self.reached.exists() else 0

    def open(self):
        self.gate.touch()

    def close(self):
        self.gate.unlink()
        self.reached.unlink(missing_ok=True)

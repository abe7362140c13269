"""fixtures/shim.c, built, and the environment that preloads it."""

import pathlib
import subprocess

import skip
from sites import PROGRAM

SOURCE = pathlib.Path(__file__).parent / "fixtures" / "shim.c"


def build(b):
    """The library. Skips where the program would not load it."""
    skip.need("cc", "gcc")
    if b"ld-linux" not in PROGRAM.read_bytes()[:4096]:
        raise skip.Skip("the program is static: nothing can be preloaded")
    library = b.folder / "shim.so"
    if not library.exists():
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    return library


def environment(b, **faults):
    return {"LD_PRELOAD": str(build(b)), **{f"FAULT_{name.upper()}": str(value) for name, value in faults.items()}}

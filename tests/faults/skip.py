"""What a machine cannot do."""

import shutil


class Skip(Exception):
    """This machine cannot do the row; the text says why."""


def need(program, package):
    if not shutil.which(program):
        raise Skip(f"{program} is not installed (package {package})")

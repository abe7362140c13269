"""Bash completion offers what there is: the commands, their options, and the identities of what is parked."""

import re
import subprocess

import pytest

import sign
from sites import ROOT

COMPLETE = """
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_hookspool
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def complete(make_site, tmp_path):
    site = make_site(targets='target "crm" {\n    run = {"/bin/sh", "-c", "exit 100"}\n}\n')
    (tmp_path / "hookspool").symlink_to(site.program)

    def offer(*words):
        env = {**site.environment(), "PATH": f"{tmp_path}:{site.environment()['PATH']}"}
        done = subprocess.run(["bash", "--norc", "-c", COMPLETE, "bash", ROOT / "examples" / "completion.bash", "hookspool",
                               *words], capture_output=True, env=env, cwd=site.folder, timeout=60)
        assert done.returncode == 0 and not done.stderr, done.stderr.decode()
        return done.stdout.decode().split()

    offer.site = site
    return offer


def test_commands_and_options_are_those_of_the_help(complete):
    usage = complete.site.run("-h").stdout.decode()
    commands = re.findall(r"^    ([a-z]+) ", usage, re.M)
    assert [word for word in complete("") if not word.startswith("-")] == commands
    assert complete("-c", str(complete.site.conf), "st") == ["status"]
    for command in commands:
        help = complete.site.run(command, "--help").stdout.decode()
        # In the usage line, and at the beginning of a line of the text.
        options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", help.splitlines()[0].partition(command)[2]))
        options |= set(re.findall(r"^    (?:-[a-z], )?(--?[a-z]+)", help, re.M))
        assert set(complete(command, "-")) == options | {"--help"}, command


@pytest.mark.parametrize("words, offered", [
    (("sign", "--type", "V"), ["VIRTUAL"]),
    (("sign", "--algorithm", "sha"), ["sha1", "sha256"]),
    (("sign", "--endpoint", ""), ["/webhook"]),
    (("verify", "--endpoint", "/w"), ["/webhook"]),
    (("replay", "--target", ""), ["crm"]),
    (("replay", "--since", ""), []),
    (("-c", "hookspool.c"), ["hookspool.conf"]),
    (("verify", "sec"), ["secrets"]),
    (("nonsense", ""), ["--help"]),
], ids=str)
def test_values(complete, words, offered):
    assert complete(*words) == offered


def test_what_is_parked(complete):
    events = sorted(complete.site.post_cgi(sign.body(nonce=nonce)).json["id"] for nonce in "ab")
    complete.site.deliver()
    for command in ("retry", "drop", "show"):
        assert [word for word in complete(command, "") if not word.startswith("-")] == events
        assert complete("-c", str(complete.site.conf), command, events[0][:20]) == [events[0]]

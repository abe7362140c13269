"""The manual pages, the help and the example name what there is, and nothing else."""

import re

import pytest

from sites import ROOT

OPTION = r"(?<![\w-])--?[a-z][a-z-]*"


def page(name):
    return (ROOT / "doc" / name).read_text()


# hookspool.conf(5), and the options that the program knows

TABLES = dict(re.findall(r"^(?:static )?const struct option options_(\w+)\[\] = \{(.*?)^\};",
                         (ROOT / "src" / "config" / "options.c").read_text(), re.M | re.S))
# Each kind of target has an option that chooses it.
KINDS = [name for file in (ROOT / "src" / "target").glob("*.c")
         for name in re.findall(r'^const struct target_kind .*?\.conf = \{"(\w+)"', file.read_text(), re.M | re.S)]
HEADINGS = {"conf": "Options", "endpoint": "Endpoints", "target": "Targets"}


@pytest.mark.parametrize("section, heading", HEADINGS.items())
def test_options_of_the_configuration(section, heading):
    known = re.findall(r'^\s*\{(?:\.name = )?"(\w+)"', TABLES[section], re.M)
    if section == "target":
        assert KINDS
        known += KINDS
    text = re.search(rf"^\.Ss {heading}\n(.*?)(?=^\.S[sh] )", page("hookspool.conf.5"), re.M | re.S).group(1)
    assert sorted(re.findall(r"^\.It Ic (\w+)", text, re.M)) == sorted(known)
    example = re.findall(r"^#?\s*(\w+)\s*=", (ROOT / "examples" / "hookspool.conf").read_text(), re.M)
    assert set(known) <= set(example)


# hookspool(1), the help, and the options that the program takes

COMMANDS = page("hookspool.1").partition(".Sh COMMANDS")[2].partition("\n.Sh ")[0].rpartition("\n.El\n")[0]


def described(command):
    """The options in a command's part of hookspool(1). "Fl f | -follow" and "Fl f , -follow" are two of them."""
    text = re.search(rf"^\.It Cm {command}\b(.*?)(?=^\.It Cm [a-z]+|\Z)", COMMANDS, re.M | re.S).group(1)
    lists = re.findall(r"Fl (-?[a-z]+(?: [|,] (?:Fl )?-?[a-z]+)*)", text)
    return {f"-{word}" for names in lists for word in re.findall(r"-?[a-z]+", names.replace("Fl ", ""))}


def test_commands_and_their_options(site):
    commands = re.findall(r"^    ([a-z]+) ", site.run("-h").stdout.decode(), re.M)
    assert re.findall(r"^\.It Cm ([a-z]+)", COMMANDS, re.M) == commands
    for command in commands:
        help = site.run(command, "--help").stdout.decode()
        options = set(re.findall(OPTION, help.splitlines()[0].partition(command)[2]))
        options |= set(re.findall(r"^    (?:-[a-z], )?(--?[a-z]+)", help, re.M))
        options |= set(re.findall(r"^    (-[a-z]), --", help, re.M))
        assert described(command) == options, command
        for option in options:
            said = site.run("-c", "/nonexistent", command, option).stderr.decode()
            assert "unrecognized option" not in said and "invalid option" not in said, (command, option)


def test_options_before_the_command(site):
    text = page("hookspool.1").partition(".Sh DESCRIPTION")[2].partition(".Sh COMMANDS")[0]
    for letter in re.findall(r"^\.It Fl (\w)", text, re.M):
        assert "invalid option" not in site.run(f"-{letter}", "/nonexistent").stderr.decode()
    assert sorted(re.findall(r"^\.It Fl (\w)", text, re.M)) == sorted("chV")

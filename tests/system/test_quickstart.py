"""The first thing that a newcomer runs."""

import json
import os
import signal
import socket
import subprocess

import pytest

from sites import ROOT, free_port, wait_for

pytestmark = pytest.mark.plain  # it makes a build of its own


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("quickstart")


def start(folder, port, *arguments):
    environment = {**os.environ, "FOLDER": str(folder), "PORT": str(port)}
    environment.pop("HOOKSPOOL", None)
    return subprocess.Popen(["sh", ROOT / "examples" / "quickstart", *arguments], env=environment, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def left_behind(folder):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if str(folder / "site").encode() in file.read():
                    found.append(pid)
        except OSError:
            continue
    return found


def test_once_shows_everything_and_stops(folder):
    child = start(folder, free_port(), "--once")
    said = child.communicate(timeout=300)[0]
    assert child.returncode == 0, said
    assert said.count('{"status":"accepted"') == 4 and said.count("status 200") == 4
    assert said.count('{"error":"bad signature"}') == 1 and said.count("status 401") == 1
    records = (folder / "site" / "records" / "crm_contact.jsonl").read_text()
    assert [json.loads(line)["data"]["name"] for line in records.splitlines()] == ["Zoë", "Jane Doe"] * 2
    assert records.splitlines()[0] in said
    assert said.count("2 records of crm_contact were updated: ") == 2
    wait_for(lambda: not left_behind(folder), "nothing is left running")


def test_it_serves_until_interrupted(folder):
    port = free_port()
    child = start(folder, port)
    said = ""
    while "until interrupted" not in said:
        line = child.stdout.readline()
        assert line, said
        said += line
    socket.create_connection(("127.0.0.1", port)).close()
    child.send_signal(signal.SIGINT)
    said += child.communicate(timeout=60)[0]
    assert child.returncode == 0, said
    wait_for(lambda: not left_behind(folder), "nothing is left running")


def test_a_port_in_use_is_said(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        child = start(folder, port, "--once")
        said = child.communicate(timeout=60)[0]
    assert child.returncode == 1
    assert f"port {port} is in use" in said and "PORT=" in said

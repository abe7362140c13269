"""A tour of the operator's commands: what they tell is true, and their numbers agree with what senders were told."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections import Counter

import pytest

import fastcgi
import sign
from ledger import Ledger
from sites import Answer, faketime, variables, wait_for

CONNECTIONS = [f"c{number}" for number in range(10)]
EVENTS = 1000
COPIES = 50

# Which connections the script cannot deliver: for ever, and for now. It does once the file `mended` is there.
SCRIPT = """target "crm" {
    run = {"/bin/sh", "-c", "[ -e $0/mended ] && exit 0; case $HOOKSPOOL_CONNECTION_ID in c3) echo no such customer; exit 100;; c4) exit 1;; esac", "%s"}
    match = {"connection_id=c[345]"}
    workers = 4
}
"""
FILE = 'target "records" {\n    file = "records.jsonl"\n}\n'
STRICT = 'endpoint "/strict" {\n    scheme = "unified"\n    secret_file = "secrets"\n    algorithms = {"sha256"}\n}\n'


def command(site, *arguments, code=0):
    done = site.run("-c", site.conf, *arguments)
    assert done.returncode == code, (arguments, done.returncode, done.stdout.decode(), done.stderr.decode())
    return done.stdout


def told(site, *arguments, code=0):
    return json.loads(command(site, *arguments, code=code))


def refusals():
    """Reason to a request that is refused for it: body, and what else is passed along."""
    body = sign.body(b'[{"id":"refused"}]', "refused", connection_id="c1")
    return {
        "no JSON object": (b"[]", {}),
        "duplicate member": (body[:-1] + b',"nonce":"x"}', {}),
        "NUL in a member's name": (body[:-1] + b',"data\\u0000":1}', {}),
        "nonce missing or no string": (body.replace(b'"nonce"', b'"once"'), {}),
        "nonce empty or too long": (sign.body(nonce=""), {}),
        "nonce with a control character": (sign.body(nonce="\t"), {}),
        "nonce with a lone surrogate": (body.replace(b'"nonce":"refused"', b'"nonce":"\\ud800"'), {}),
        "data missing, or neither array nor object": (body.replace(b'"data"', b'"date"'), {}),
        "webhook is no object": (body.replace(b'"webhook":{', b'"webhook":1,"other":{'), {}),
        "duplicate member of webhook": (body.replace(b'"webhook":{', b'"webhook":{"id":"x",'), {}),
        "a member that must be a string is none": (sign.body(type=1), {}),
        "a signature that is no string": (body.replace(b'"sig":"', b'"sig":1,"x":"'), {}),
        "signature missing": (sign.body(sha1=None), {}),
        "signature malformed": (body.replace(b'"sig":"', b'"sig":"!'), {}),
        "signature wrong": (sign.body(secret=b"guessed", connection_id="c2"), {}),
        "signature of a required algorithm missing": (body, {"path": "/strict"}),
        "connection not allowed": (sign.body(connection_id="c99"), {}),
        "unknown path": (body, {"path": "/other"}),
        "method not POST": (body, {"method": "GET"}),
        "body over max_body": (body + b" " * 200000, {}),
        "body incomplete": (body, {"CONTENT_LENGTH": str(len(body) + 1)}),
        "bad content length": (body, {"CONTENT_LENGTH": "many"}),
        "content type not JSON": (body, {"content_type": "text/plain"}),
    }


def post_all(site, ledger, bodies):
    with fastcgi.Connection(site.socket) as connection:
        for marker, body in bodies:
            ledger.sending(marker)
            ledger.answered(marker, Answer.parse(connection.request(variables(body), body)))


def body_of(number):
    kind = "VIRTUAL" if number >= 40 else "INITIAL-COMPLETE" if number in (30, 31) else "INITIAL-PARTIAL"
    return sign.body(b'[{"id":"e%d"}]' % number, f"n{number}", connection_id=CONNECTIONS[number % 10], type=kind)


@pytest.fixture
def toured(make_site):
    """A site after its thousand events, drained once."""
    site = make_site(endpoint='connections = {%s}\n    max_body = "100k"\n    expect = "1h"' % ", ".join(CONNECTIONS),
                     targets="")
    site.conf.write_text(site.conf.read_text() + FILE + SCRIPT % site.folder + STRICT)
    site.child = site.serve()
    ledger = Ledger()
    post_all(site, ledger, ((f"e{number}", body_of(number)) for number in range(EVENTS)))
    post_all(site, ledger, ((f"e{number}", body_of(number)) for number in range(COPIES)))
    rejected = Counter()
    for count, (reason, (body, more)) in enumerate(refusals().items(), 1):
        for _ in range(count % 4 + 1):
            answer = site.post_fastcgi(body, **more)
            assert answer.status >= 400, reason
            rejected[reason] += 1
    return site, ledger, rejected


def test_the_tour(toured):
    site, ledger, rejected = toured
    ids = {marker: next(iter(told)) for marker, told in ledger.accepted.items()}
    of = {connection: [ids[f"e{number}"] for number in range(EVENTS) if number % 10 == int(connection[1])]
          for connection in CONNECTIONS}

    # before anything is delivered
    status = told(site, "status", "--json")
    assert (status["accepted"], status["unread"], status["duplicates"]) == (EVENTS + COPIES, EVENTS + COPIES, 0)
    assert status["rejected"] == dict(rejected), "from the audit trail alone"
    assert {row["state"] for row in told(site, "show", "--json", ids["e3"])["deliveries"]} == {"unread"}

    site.deliver()
    ledger.check(site.content, everything=True)

    # status
    status = told(site, "status", "--json", code=2)
    assert status["state"] == "failing"
    assert (status["accepted"], status["duplicates"], status["unread"]) == (EVENTS, COPIES, 0)
    assert status["rejected"] == dict(rejected)
    assert (status["pending"], status["parked"]) == (100, 100)
    targets = {target["name"]: target for target in status["targets"]}
    assert [targets["records"][key] for key in ("done", "failed", "pending", "parked", "state")] == [EVENTS, 0, 0, 0, "ok"]
    assert [targets["crm"][key] for key in ("done", "failed", "pending", "parked", "state")] \
        == [100, 101, 100, 100, "failing"]
    connections = {row["connection"]: row for row in status["connections"]}
    assert sorted(connections) == CONNECTIONS
    assert all(row["events"] == 100 and row["endpoint"] == "/webhook" for row in connections.values())
    assert {name: (row["pending"], row["parked"]) for name, row in connections.items() if row["pending"] + row["parked"]} \
        == {"c3": (0, 100), "c4": (100, 0)}
    assert connections["c3"]["state"] == "failing" and connections["c0"]["state"] == "ok"
    assert connections["c2"]["rejected"] == {"signature wrong": rejected["signature wrong"]}
    assert "c99" not in json.dumps(status), "what nobody accepted an event of is no connection"
    endpoints = {row["path"]: row for row in status["endpoints"]}
    assert endpoints["/webhook"]["events"] == EVENTS and endpoints["/strict"]["events"] == 0
    assert endpoints["/strict"]["rejected"] == {"signature of a required algorithm missing":
                                                rejected["signature of a required algorithm missing"]}
    syncs = {row["connection"]: row for row in status["syncs"]}
    assert {name: (row["pages"], row["records"], row["complete"]) for name, row in syncs.items()} \
        == {name: (4, 4, name in ("c0", "c1")) for name in CONNECTIONS}

    # log: a line for each answer and each attempt
    log = [json.loads(line) for line in command(site, "log", "--json").splitlines()]
    requests = Counter(line["status"] for line in log if line["what"] == "request")
    assert requests[200] == ledger.statuses[200] == EVENTS + COPIES
    assert Counter(line["reason"] for line in log if line["what"] == "request" and line["status"] != 200) == rejected
    attempts = Counter((line["target"], line["result"]) for line in log if line["what"] == "delivery")
    assert attempts == {("records", "done"): EVENTS, ("crm", "done"): 100, ("crm", "parked"): 100, ("crm", "retry"): 1}
    assert command(site, "log").count(b"\n") == len(log)

    # parked, show
    parked = told(site, "parked", "--json")
    assert [row["event_id"] for row in parked] == of["c3"], "the oldest first"
    assert {(row["target"], row["connection_id"], row["attempts"], row["why"]) for row in parked} \
        == {("crm", "c3", 1, "exit 100: no such customer")}
    shown = told(site, "show", "--json", of["c3"][0])
    assert shown["event"]["event_id"] == of["c3"][0] and shown["event"]["data"] == [{"id": "e3"}]
    assert {row["target"]: row["state"] for row in shown["deliveries"]} == {"records": "done", "crm": "parked"}
    assert shown["requests"] == 2, "a copy came"
    assert {row["target"]: row["state"] for row in told(site, "show", "--json", of["c4"][5])["deliveries"]} \
        == {"records": "done", "crm": "pending"}
    assert {row["target"]: row["state"] for row in told(site, "show", "--json", of["c0"][9])["deliveries"]} \
        == {"records": "done"}
    command(site, "show", "--json", "0" * 32, code=1)

    # retry, drop: one, then the rest
    command(site, "retry", of["c5"][0], code=1)
    (site.folder / "mended").touch()
    command(site, "retry", of["c3"][0])
    site.deliver()
    assert told(site, "status", "--json", code=2)["parked"] == 99
    shown = told(site, "show", "--json", of["c3"][0])
    assert {row["target"]: row["state"] for row in shown["deliveries"]} == {"records": "done", "crm": "done"}
    assert [line["result"] for line in shown["audit"] if line.get("target") == "crm"] == ["parked", "retried", "done"]
    command(site, "drop", of["c3"][1])
    assert {row["target"]: row["state"] for row in told(site, "show", "--json", of["c3"][1])["deliveries"]} \
        == {"records": "done", "crm": "dropped"}
    # The 98 that are parked, and the one that waits for its retry, unless that is due by now.
    assert command(site, "retry", "--all").startswith((b"98 deliveries retried", b"99 deliveries retried"))
    site.deliver(later="+1h")
    status = told(site, "status", "--json")
    assert (status["state"], status["pending"], status["parked"]) == ("ok", 0, 0)
    crm, = [target for target in status["targets"] if target["name"] == "crm"]
    assert crm["done"] == 100 + 100 + 99
    ledger.check(site.content, everything=True)

    # replay: one event, to one target and to all; then all
    command(site, "replay", "--target", "crm", of["c3"][1])
    site.deliver()
    ledger.check(site.content, everything=True)
    command(site, "replay", of["c3"][1])
    site.deliver()
    assert len(site.records(of["c3"][1])) == 2
    said = command(site, "replay", "--since", "2h").decode()
    assert said.startswith(f"{EVENTS} events: {EVENTS + 300} deliveries")
    assert told(site, "status", "--json")["pending"] == EVENTS + 300
    assert b"pending already" in command(site, "replay", of["c0"][0]), "it is not delivered twice"
    site.deliver()
    written = Counter(json.loads(line)["event_id"] for line in site.records())
    assert written == Counter({**{event: 2 for event in ids.values()}, of["c3"][1]: 3})
    status = told(site, "status", "--json")
    assert (status["accepted"], status["duplicates"], status["pending"], status["parked"]) == (EVENTS, COPIES, 0, 0)
    assert status["rejected"] == dict(rejected)
    done = {target["name"]: target["done"] for target in status["targets"]}
    assert done == {"records": EVENTS + 1 + EVENTS, "crm": 299 + 2 + 300}


def test_status_for_people_has_the_same_numbers(toured):
    site, ledger, rejected = toured
    site.deliver()
    text = command(site, "status", code=2).decode()
    assert "\x1b" not in text, "no colour in a pipe"
    for pattern in (r"state +failing", r"accepted +1000 +events", r"duplicates +50 ", rf"rejected +{rejected.total()} ",
                    r"pending +100 ", r"parked +100 ", r"crm +100 +101 +100 +100 .*failing", r"c4 +/webhook +100 .* 100 +0 ",
                    rf"\b{rejected['signature wrong']} +.*401 +/webhook +c2 +signature wrong",
                    r"last error: crm .*exit (1|100)"):
        assert re.search(pattern, text), (pattern, text)


def test_rejected_counts_survive_rotation_and_restarts(make_site):
    site = make_site(options='audit_max = "4k"')
    site.serve()
    for number in range(60):
        assert site.post_fastcgi(b"[]").status == 400
        assert site.post_fastcgi(b"[]", path=f"/{number % 3}").status == 404
        if number % 5 == 4:
            site.deliver()
    assert (site.spool / "audit" / "audit.jsonl.1").exists(), "it was rotated"
    site.post_fastcgi(b"[]")
    status = told(site, "status", "--json")
    assert status["rejected"] == {"no JSON object": 61, "unknown path": 60}
    assert status["rejected_uncounted"] == 0
    site.deliver()
    assert told(site, "status", "--json")["rejected"] == status["rejected"], "counted once"


def test_a_rotation_that_nobody_saw_is_told(make_site):
    site = make_site(options='audit_max = "4k"')
    site.post_cgi(b"[]")
    site.deliver()
    for _ in range(60):
        site.post_cgi(b"[]")
    site.deliver()
    status = told(site, "status", "--json")
    assert status["rejected_uncounted"] == 1 and status["rejected"]["no JSON object"] < 61


@pytest.mark.parametrize("case, expect, later, code, state", [
    ("heard of in time", "1h", "+59m", 0, "ok"),
    ("silent", "1h", "+2h", 1, "late"),
    ("silence is not looked at", None, "+9d", 0, "ok"),
    ("silent for so long that it is over", "1h", "+31d", 1, "late"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_silence_is_late(make_site, case, expect, later, code, state):
    site = make_site(endpoint=f'expect = "{expect}"' if expect else "")
    site.post_cgi(sign.body())
    site.deliver()
    done = site.run("-c", site.conf, "status", "--json", prefix=faketime(later))
    status = json.loads(done.stdout)
    assert (done.returncode, status["state"]) == (code, state)
    assert status["connections"][0]["state"] == ("ok" if "31d" in later else state), \
        "a connection that is forgotten is not late; its endpoint is"


def test_what_waits_is_late_and_what_fails_is_failing(make_site):
    site = make_site(options='late_after = "10m"', targets='target "crm" {\n    run = "/bin/false"\n}\n')
    site.post_cgi(sign.body())
    status = lambda later: json.loads(site.run("-c", site.conf, "status", "--json",
                                               prefix=faketime(later)).stdout)
    assert status("+1m")["state"] == "ok"
    assert status("+11m")["state"] == "late", "nobody delivers it"
    site.deliver()
    assert status("+1m")["state"] == "ok", "it is tried again"
    assert status("+11m")["state"] == "failing"


def test_a_listed_connection_that_never_came_is_late(make_site):
    site = make_site(endpoint='connections = {"c1", "c 2"}\n    expect = "1h"')
    site.post_cgi(sign.body(connection_id="c1"))
    site.deliver()
    status = told(site, "status", "--json", code=1)
    assert {row["connection"]: row["state"] for row in status["connections"]} == {"c1": "ok", "c%202": "late"}


def test_commands_before_the_first_event(site):
    status = told(site, "status", "--json", code=2)
    assert status["accepted"] == 0 and str(site.spool) in status["why"]
    assert command(site, "log") == b"" and told(site, "parked", "--json") == []
    command(site, "show", "0" * 32, code=1)
    command(site, "replay", "0" * 32, code=1)
    command(site, "retry", "0" * 32, code=1)
    command(site, "retry", "--all")
    assert not site.spool.exists(), "a look makes nothing"


@pytest.mark.parametrize("arguments", [
    ["status", "x"], ["log", "--colour"], ["show"], ["show", "x"], ["show", "0" * 31], ["parked", "x"], ["retry"],
    ["retry", "--all", "0" * 32], ["drop"], ["drop", "x"], ["replay"], ["replay", "--since", "2h", "0" * 32],
    ["replay", "--since", "yesterday"], ["replay", "--since", "2h", "--target", "nobody"],
], ids=" ".join)
def test_wrong_usage_is_64(site, arguments):
    command(site, *arguments, code=64)


def test_a_running_deliverer_hears_of_retry_and_replay(make_site):
    site = make_site(targets=FILE + SCRIPT, deliver="auto")
    site.conf.write_text(site.conf.read_text().replace("%s", str(site.folder)))
    site.serve()
    wait_for(site.deliverer, "a deliverer runs")
    event = site.post_fastcgi(sign.body(connection_id="c3")).json["id"]
    wait_for(lambda: told_parked(site), "it is parked")
    (site.folder / "mended").touch()
    began = time.monotonic()
    command(site, "retry", event)
    wait_for(lambda: site.audit(what="delivery", target="crm", result="done"), "it is delivered")
    command(site, "replay", event)
    wait_for(lambda: len(site.records(event)) == 2, "it is delivered again")
    assert time.monotonic() - began < 4, "it did not wait for the deliverer's next look"


def told_parked(site):
    return json.loads(site.run("-c", site.conf, "parked", "--json").stdout)


def test_retry_starts_a_deliverer_if_there_is_none(make_site):
    site = make_site(targets=SCRIPT, deliver="auto")
    site.conf.write_text(site.conf.read_text().replace("%s", str(site.folder)))
    event = site.post_cgi(sign.body(connection_id="c3")).json["id"]
    wait_for(lambda: site.spool.joinpath("state.db").exists() and told_parked(site), "it is parked")
    site.end_deliverer()
    (site.folder / "mended").touch()
    command(site, "retry", event)
    wait_for(lambda: site.audit(what="delivery", result="done"), "it is delivered")


def test_replay_reads_what_was_put_away(make_site):
    """From the archive, in its fold and as whole segments; what a delivery waits for is not removed there."""
    site = make_site(options='keep = "1d"')
    child = site.serve()
    big = site.post_fastcgi(sign.body(b'[{"id":"big","text":"%s"}]' % (b"x" * 2000000), "big")).json["id"]
    site.stop(child)
    small = site.post_cgi(sign.body()).json["id"]
    site.deliver()
    wait_for(lambda: not list(site.spool.glob("journal/*.jsonl")), "all is put away")
    assert len(list(site.spool.glob("archive/*.jsonl"))) == 2
    assert told(site, "show", "--json", big)["event"]["kept_in"]["folder"] == "archive"
    site.records_file.rename(site.folder / "before.jsonl")
    assert b"2 events: 2 deliveries" in command(site, "replay", "--since", "1h")
    # Kept for longer than a day, and named by a delivery: it is not pruned before it is delivered.
    site.deliver(later="+2d")
    assert {json.loads(line)["event_id"] for line in site.records()} == {big, small}
    site.deliver(later="+4d")
    site.deliver(later="+6d")
    assert not list(site.spool.glob("archive/*.jsonl"))
    command(site, "replay", big, code=1)
    shown = told(site, "show", "--json", big)
    assert shown["event"] is None and [row["state"] for row in shown["deliveries"]] == ["done"]


def test_replay_under_load_loses_and_doubles_nothing(make_site):
    """Segments are put away while a replay names them."""
    site = make_site(options='keep = "1d"', deliver="auto")
    site.serve()
    wait_for(site.deliverer, "a deliverer runs")
    ledger = Ledger()
    for turn in range(8):
        # CGI: a segment each, which is put away soon.
        for number in range(10):
            marker = f"{turn}-{number}"
            ledger.sending(marker)
            ledger.answered(marker, site.post_cgi(sign.body(b'[{"id":"%s"}]' % marker.encode(), marker)))
        command(site, "replay", "--since", "1h")
    wait_for(lambda: told(site, "status", "--json")["pending"] == 0, "all is delivered")
    status = told(site, "status", "--json")
    assert (status["accepted"], status["parked"], status["damaged"]) == (80, 0, 0)
    written = Counter(json.loads(line)["event_id"] for line in site.records())
    assert set(written) == {next(iter(told)) for told in ledger.accepted.values()}
    records, = status["targets"]
    assert records["done"] == written.total()


def test_text_from_a_sender_moves_no_terminal(make_site):
    site = make_site(targets='target "crm" {\n    run = {"/bin/sh", "-c", "printf \'\\\\033[2Jx\'; exit 100"}\n}\n')
    hostile = "\x1b[31m\x9b2J\u202e\x07c"
    event = site.post_cgi(sign.body(connection_id=hostile, object_type=hostile)).json["id"]
    site.deliver()
    for arguments in (["status"], ["log"], ["show", event], ["parked"]):
        said = site.run("-c", site.conf, *arguments).stdout.decode()
        assert len(said) > 20 and not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said), said


def on_terminal(site, *arguments, columns=100):
    """What a command writes on a terminal."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    child = subprocess.Popen([site.program, "-c", site.conf, *arguments], stdin=side, stdout=side, stderr=side,
                             env={**site.environment(), "TERM": "xterm"})
    os.close(side)
    said = b""
    while True:
        select.select([main], [], [], 60)
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(main)
    child.wait(60)
    return said.decode()


def test_colour_and_bars_on_a_terminal(make_site):
    site = make_site()
    site.post_cgi(sign.body())
    site.deliver()
    assert "\x1b[32mok\x1b[0m" in on_terminal(site, "status")
    said = on_terminal(site, "replay", "--since", "1h")
    assert "1 event: 1 delivery" in said
    assert re.search(r"\r.*\[#* *\] +\d+%.*\r\x1b\[K", said), said
    done = site.run("-c", site.conf, "replay", "--since", "1h")
    assert b"%" not in done.stderr + done.stdout


def test_a_backlog_has_a_bar(make_site):
    site = make_site(targets='target "slow" {\n    run = {"/bin/sleep", "0.02"}\n}\n')
    for number in range(30):
        site.post_cgi(sign.body(b"[1]", f"n{number}"))
    said = on_terminal(site, "deliver", "--once")
    assert re.search(r"\rdelivering \[#* *\] +\d+%  \d+/s  [\d.]+ \w+ left.*\r\x1b\[K$", said), said
    assert json.loads(command(site, "status", "--json"))["pending"] == 0
    site.post_cgi(sign.body(b"[1]", "last"))
    done = site.run("-c", site.conf, "deliver", "--once")
    assert b"%" not in done.stderr + done.stdout


def test_log_follows_across_rotation(make_site):
    site = make_site(options='audit_max = "4k"')
    for _ in range(15):
        site.post_cgi(b"[]")
    out = site.folder / "followed"
    with open(out, "wb") as file:
        child = site.start([site.program, "-c", site.conf, "log", "-f", "--json"], stdout=file)
    wait_for(lambda: out.read_bytes().count(b"\n") == 10, "the last ten lines are there")
    for _ in range(40):
        site.post_cgi(b"[]")
    wait_for(lambda: out.read_bytes().count(b"\n") == 50, "and what came after them")
    child.terminate()
    assert all(json.loads(line)["status"] == 400 for line in out.read_text().splitlines())


def test_each_command_has_help_that_fits_a_screen(site):
    usage = command(site, "-h").decode()
    assert len(usage.splitlines()) <= 24
    names = re.findall(r"^    ([a-z]+) ", usage, re.M)
    assert len(names) == 12
    for name in names:
        text = command(site, name, "--help").decode()
        assert text.startswith(f"usage: hookspool [-c FILE] {name}") and len(text.splitlines()) > 3
        assert len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 80, name

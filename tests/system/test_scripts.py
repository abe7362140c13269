"""Script targets: what a script gets, what its end means, and that it holds up nobody else."""

import contextlib
import json
import re
import sqlite3

import pytest

import sign
from sites import SCRIPTS, is_alive, sample, wait_for


def target(script, *arguments, name="crm", options=""):
    words = ", ".join(f'"{word}"' for word in (SCRIPTS / script, *arguments))
    return f'target "{name}" {{\n    run = {{{words}}}\n    {options}\n}}\n'


FILE = 'target "records" {\n    file = "records.jsonl"\n}\n'

ALWAYS = ["PATH", "HOME", "LANG"]
ABOUT = ["EVENT_ID", "ENDPOINT", "TYPE", "EVENT", "OBJECT_TYPE", "CONNECTION_ID", "COUNT", "ATTEMPT", "TARGET"]


def described(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("how", ["once", "lighttpd", "cgi", "serve"])
def test_a_script_gets_the_records_and_nothing_that_it_should_not(make_site, tmp_path, how):
    out = tmp_path / "described"
    site = make_site(targets=FILE + target("describe", out, "a b", "$HOME"), deliver="manual" if how == "once" else "auto")
    if how == "lighttpd":
        port = site.lighttpd()
        answer = site.post_http(port, sample("virtual-ten"))
    elif how == "serve":
        site.serve()
        answer = site.post_fastcgi(sample("virtual-ten"))
    else:
        answer = site.post_cgi(sample("virtual-ten"), HTTP_PROXY="http://evil", HTTP_X="() { :;}; id")
    if how == "once":
        site.deliver()
    wait_for(lambda: out.exists() and out.read_text().endswith("\n"), "the script ran")
    given, = described(out)
    assert given["arguments"] == [str(out), "a b", "$HOME"]
    assert given["stdin"].encode() == site.content
    assert given["stdin"].count("\n") == 10
    environment = given["environment"]
    assert sorted(environment) == sorted(ALWAYS + [f"HOOKSPOOL_{name}" for name in ABOUT])
    assert [environment[f"HOOKSPOOL_{name}"] for name in ABOUT] == [
        answer.json["id"], "/webhook", "VIRTUAL", "updated", "crm_contact", "5dc201f9414446e39b2045aa", "10", "1", "crm"]
    assert given["descriptors"] == [0, 1, 2]
    assert given["leads its group"]


def test_a_script_has_no_signal_ignored_or_blocked(make_site, tmp_path):
    # The masks are grep's own: a shell blocks signals for a moment while it starts a command.
    out = tmp_path / "signals"
    site = make_site(targets=f"""target "signals" {{
    run = {{"/bin/sh", "-c", "grep -E '^Sig(Ign|Blk)' /proc/self/status > $0", "{out}"}}
}}
""", deliver="auto")
    site.serve()
    assert site.post_fastcgi(sign.body()).status == 200
    wait_for(lambda: out.exists() and out.read_text().count("\n") == 2, "the script ran")
    assert re.findall(r"\t(\w+)", out.read_text()) == ["0" * 16] * 2


def test_an_event_without_records_reaches_the_script(make_site, tmp_path):
    site = make_site(targets=target("describe", tmp_path / "described"))
    site.post_cgi(sample("initial-complete-empty"))
    site.deliver()
    given, = described(tmp_path / "described")
    assert given["environment"]["HOOKSPOOL_COUNT"] == "0"
    assert given["stdin"].endswith(',"data":null}\n') and given["stdin"].count("\n") == 1


@pytest.mark.parametrize("value", ["$(id)", "`id`;", "a\nHOOKSPOOL_EVENT_ID=x", "() { :;}; id", "../../x", "", "-n", "x" * 1000, "zoë"], ids=lambda value: value[:20])
def test_a_hostile_field_is_encoded_in_the_environment(make_site, tmp_path, value):
    site = make_site(targets=target("describe", tmp_path / "described"))
    answer = site.post_cgi(sign.body(type=value, event=value, object_type=value, connection_id=value))
    assert answer.status == 200
    site.deliver()
    given, = described(tmp_path / "described")
    assert sorted(given["environment"]) == sorted(ALWAYS + [f"HOOKSPOOL_{name}" for name in ABOUT])
    for name in ("TYPE", "EVENT", "OBJECT_TYPE", "CONNECTION_ID"):
        assert re.fullmatch(r"[A-Za-z0-9_%][A-Za-z0-9._%-]{0,299}", given["environment"][f"HOOKSPOOL_{name}"])
    assert given["environment"]["HOOKSPOOL_EVENT_ID"] == answer.json["id"]


@pytest.mark.parametrize("case, plan, results", [
    ("0 is done", ["0"], ["done"]),
    ("100 is parked", ["100"], ["parked"]),
    ("1 is tried again", ["1", "0"], ["retry", "done"]),
    ("99 and 101 are tried again", ["99", "101", "0"], ["retry", "retry", "done"]),
    ("a signal is tried again", ["KILL", "TERM", "0"], ["retry", "retry", "done"]),
    ("100 after tries is parked", ["1", "100"], ["retry", "parked"]),
], ids=lambda value: value if isinstance(value, str) else "")
def test_the_end_of_a_script_decides(make_site, tmp_path, case, plan, results):
    site = make_site(targets=target("end-as-planned", tmp_path))
    (tmp_path / "plan").write_text("\n".join(plan) + "\n")
    event_id = site.post_cgi(sign.body()).json["id"]
    for hours in range(0, 3 * len(plan) + 3, 3):
        site.deliver(later=f"+{hours}h")
        site.deliver(later=f"+{hours}h")
    attempts = [str(number) for number in range(1, len(plan) + 1)]
    assert (tmp_path / "runs").read_text().splitlines() == [f"{event_id} {number}" for number in attempts]
    lines = site.audit(what="delivery", target="crm")
    assert [line["result"] for line in lines] == results
    assert [str(line["attempt"]) for line in lines] == attempts


def test_what_fails_too_long_is_parked(make_site, tmp_path):
    site = make_site(targets=target("end-as-planned", tmp_path, options='retry_for = "5h"'))
    (tmp_path / "plan").write_text("1\n" * 9)
    site.post_cgi(sign.body())
    for hours in range(0, 27, 3):
        site.deliver(later=f"+{hours}h")
    results = [line["result"] for line in site.audit(what="delivery")]
    assert results[-1] == "parked" and set(results[:-1]) == {"retry"}
    assert len((tmp_path / "runs").read_text().splitlines()) <= 3


@pytest.mark.parametrize("program", ["/nonexistent", "/etc", "/etc/hostname"])
def test_a_script_that_cannot_run_is_tried_again(make_site, program):
    site = make_site(targets=FILE + f'target "crm" {{\n    run = {{"{program}"}}\n}}\n')
    assert site.post_cgi(sign.body()).status == 200
    site.deliver()
    line, = site.audit(what="delivery", target="crm")
    assert line["result"] == "retry" and line["detail"]
    assert len(site.records()) == 1


def test_a_script_that_hangs_is_killed_with_its_children(make_site, tmp_path):
    pids = tmp_path / "pids"
    site = make_site(targets=FILE + target("hang", pids, options='timeout = "1s"'))
    site.post_cgi(sign.body())
    site.deliver()
    family = [int(pid) for pid in pids.read_text().split()]
    assert len(family) == 4
    wait_for(lambda: not any(map(is_alive, family)), "all of them are gone")
    assert [line["result"] for line in site.audit(what="delivery", target="crm")] == ["retry"]
    assert len(site.records()) == 1


@pytest.mark.parametrize("mounted", ["lighttpd", "cgi", "serve"])
def test_a_script_that_hangs_delays_no_answer_and_no_file(make_site, tmp_path, mounted):
    pids = tmp_path / "pids"
    site = make_site(targets=target("hang", pids, options='timeout = "1h"') + FILE, deliver="auto")
    post = site.mount(mounted)
    assert post(sign.body(nonce="first")).status == 200
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 4, "the script hangs")
    for nonce in range(20):
        assert post(sign.body(nonce=str(nonce))).status == 200
    wait_for(lambda: len(site.records()) == 21, "the file has all records")
    assert all(is_alive(int(pid)) for pid in pids.read_text().split())


def test_a_script_may_talk_without_end_and_need_not_listen(make_site):
    site = make_site(targets="""
target "talks" {
    run = {"/bin/sh", "-c", "head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2"}
}
target "deaf" {
    run = {"/bin/sh", "-c", "exec <&-"}
}
""")
    site.post_cgi(sample("virtual-thousand"))
    site.deliver()
    assert {line["target"]: line["result"] for line in site.audit(what="delivery")} == {"talks": "done", "deaf": "done"}


def test_order_is_kept_within_a_lane(make_site, tmp_path):
    out = tmp_path / "noted"
    site = make_site(targets=target("note", out, options="workers = 4"))
    sent = {"a": [], "b": [], "c": []}
    for number in range(10):
        for connection, ids in sent.items():
            ids.append(site.post_cgi(sign.body(nonce=f"{number}{connection}", connection_id=connection)).json["id"])
    site.deliver()
    ran = {"a": [], "b": [], "c": []}
    for line in out.read_text().splitlines():
        connection, event_id = line.split()
        ran[connection].append(event_id)
    assert ran == sent


def test_a_failing_event_holds_back_its_own_lane_only(make_site, tmp_path):
    out = tmp_path / "noted"
    site = make_site(targets=target("note", out, "a"))
    ids = [site.post_cgi(sign.body(nonce=str(n), connection_id="ab"[n % 2])).json["id"] for n in range(6)]
    site.deliver()
    assert sorted(out.read_text().splitlines()) == sorted([f"a {ids[0]}", f"b {ids[1]}", f"b {ids[3]}", f"b {ids[5]}"])


def test_a_lane_goes_on_in_order_when_its_script_is_mended(make_site, tmp_path):
    out, broken = tmp_path / "noted", tmp_path / "broken"
    site = make_site(targets="""target "script" {
    run = {"/bin/sh", "-c", "test $HOOKSPOOL_CONNECTION_ID != a -o ! -e $1 && echo $HOOKSPOOL_EVENT_ID >> $0", "%s", "%s"}
    workers = 4
}
""" % (out, broken))
    broken.touch()
    sent = {"a": [], "b": [], "c": []}
    for number in range(8):
        for connection, ids in sent.items():
            ids.append(site.post_cgi(sign.body(nonce=f"{number}{connection}", connection_id=connection)).json["id"])
    site.deliver()
    site.deliver(later="+1h")
    assert sorted(out.read_text().split()) == sorted(sent["b"] + sent["c"])
    broken.unlink()
    site.deliver(later="+3h")
    ran = out.read_text().split()
    for ids in sent.values():
        assert [event_id for event_id in ran if event_id in ids] == ids


def test_a_batch_holds_several_events(make_site, tmp_path):
    out = tmp_path / "described"
    site = make_site(targets=FILE + target("describe", out, options="batch = 3"))
    for number in range(7):
        site.post_cgi(sign.body(nonce=str(number)))
    site.deliver()
    inputs = [given["stdin"] for given in described(out)]
    assert [text.count("\n") for text in inputs] == [3, 3, 1]
    assert "".join(inputs).encode() == site.content


def lanes(site, condition="1"):
    """Lanes with a delivery that waits."""
    with contextlib.closing(sqlite3.connect(site.spool / "state.db", timeout=60)) as db:
        return db.execute(f"SELECT count(*) FROM lane WHERE {condition}").fetchone()[0]


def test_without_descriptors_scripts_wait_and_no_lane_is_put_off(make_site, tmp_path):
    command = f"echo >> {tmp_path}/runs; while ! [ -e {tmp_path}/go ]; do sleep 0.1; done"
    site = make_site(targets=f'target "crm" {{\n    run = {{"/bin/sh", "-c", "{command}"}}\n    workers = 60\n}}\n')
    for number in range(60):
        site.post_cgi(sign.body(nonce=str(number), connection_id=f"c{number}"))
    runs, log = tmp_path / "runs", tmp_path / "log"
    with open(log, "wb") as to:
        child = site.start(["prlimit", "--nofile=60:60", site.program, "-c", site.conf, "deliver", "--once"], stderr=to)
    wait_for(lambda: b"no further script" in log.read_bytes(), "it says so")
    wait_for(lambda: runs.exists() and 20 <= len(runs.read_text().splitlines()) < 60, "some of them run")
    assert lanes(site) == 60 and lanes(site, "next_age >= 0") == 0
    (tmp_path / "go").touch()
    assert child.wait(60) == 0
    assert len(runs.read_text().splitlines()) == 60 and lanes(site) == 0
    assert log.read_bytes().count(b"no further script") == 1


def test_the_deliverer_raises_its_limit_on_files_and_scripts_keep_theirs(make_site, tmp_path):
    command = f"ulimit -n > {tmp_path}/script; grep files /proc/$PPID/limits > {tmp_path}/deliverer"
    site = make_site(targets=f'target "crm" {{\n    run = {{"/bin/sh", "-c", "{command}"}}\n}}\n')
    site.post_cgi(sign.body())
    assert site.run("deliver", "--once", prefix=("prlimit", "--nofile=300:3000")).returncode == 0
    assert (tmp_path / "script").read_text() == "300\n"
    assert (tmp_path / "deliverer").read_text().split()[3] == "3000"


def test_check_compares_workers_with_the_limit_on_files(make_site):
    site = make_site(targets=target("note", options="workers = 64"))
    assert "scripts can run at a time" not in site.run("check").stderr.decode()
    warned = site.run("check", prefix=("prlimit", "--nofile=100:100")).stderr.decode()
    assert "the targets have 64 workers, but only 50 scripts can run at a time" in warned


def test_an_input_that_the_disk_has_no_room_for_is_an_attempt(make_site):
    options = ('reserve = "1M"', 'reserve = "1000G"')
    site = make_site(targets=target("note", "/dev/null", options='retry_for = "1h"'), options=options[0])
    assert site.post_cgi(sign.body(data=b"[" + b"{}," * 60000 + b"{}]")).status == 200
    site.write(site.conf, site.conf.read_text().replace(*options))
    site.deliver()
    site.deliver(later="+2h")
    why = "its records cannot be written for the script: No space left on device"
    assert [(line["result"], line["detail"]) for line in site.audit(what="delivery")] == [("retry", why), ("parked", why)]
    assert why.encode() in site.run("parked").stdout
    assert site.run("drop", "--all").stdout == b"1 delivery dropped\n"


LEAVES = """#!/bin/sh
# Leaves processes behind that are in no group of its own, and have no parent.
setsid sh -c 'trap "" TERM; echo $$ >> "%(pids)s"; sleep 1000' &
(setsid sh -c 'echo $$ >> "%(pids)s"; sleep 1000 & echo $! >> "%(pids)s"; wait' &)
while [ "$(wc -l < "%(pids)s")" -lt 3 ]; do sleep 0.01; done
%(then)s
"""


@pytest.mark.parametrize("then, result", [("exit 0", "done"), ("sleep 1000", "retry")])
def test_what_leaves_the_scripts_group_ends_with_it(make_site, tmp_path, then, result):
    pids, script = tmp_path / "pids", tmp_path / "leaves"
    pids.touch()
    site = make_site(targets=FILE + f'target "crm" {{\n    run = {{"/bin/sh", "{script}"}}\n    timeout = "1s"\n}}\n')
    script.write_text(LEAVES % {"pids": pids, "then": then})
    site.post_cgi(sign.body())
    child = site.start([site.program, "-c", site.conf, "deliver", "--stay"])
    wait_for(lambda: site.audit(what="delivery", target="crm", result=result), "the run is over")
    family = [int(pid) for pid in pids.read_text().split()]
    assert len(family) == 3
    wait_for(lambda: not any(map(is_alive, family)), "all of them are gone")
    assert site.stop(child) == 0


def test_a_script_that_changes_its_group_has_its_timeout_all_the_same(make_site, tmp_path):
    script = "import os, signal, time; os.setpgid(0, os.getpgid(os.getppid())); signal.signal(15, signal.SIG_IGN); time.sleep(1000)"
    site = make_site(targets=FILE + f'target "crm" {{\n    run = {{"/usr/bin/python3", "-c", "{script}"}}\n    timeout = "1s"\n}}\n')
    site.post_cgi(sign.body())
    site.deliver()
    line, = site.audit(what="delivery", target="crm")
    assert (line["result"], line["detail"]) == ("retry", "timeout")
    assert len(site.records()) == 1


def test_what_is_pending_can_be_tried_now_and_dropped(make_site, tmp_path):
    site = make_site(targets=f'target "crm" {{\n    run = {{"/bin/sh", "-c", "test -e {tmp_path}/go"}}\n}}\n')
    ids = [site.post_cgi(sign.body(nonce=str(number))).json["id"] for number in range(5)]
    site.deliver()
    done = site.run("drop", ids[3]).stdout.decode()
    assert done.startswith("1 delivery dropped\n4 deliveries are pending, the first is due in ")
    # One that has failed; what was not tried yet stays.
    assert site.run("drop", "--all").stdout == b"1 delivery dropped\n3 deliveries are pending, the first is due now\n"
    site.deliver()
    (tmp_path / "go").touch()
    site.deliver()
    assert not site.audit(what="delivery", result="done")
    assert site.run("retry", "--all").stdout == b"1 delivery retried\n3 deliveries are pending, the first is due now\n"
    site.deliver()
    assert [line["event_id"] for line in site.audit(what="delivery", result="done")] == [ids[1], ids[2], ids[4]]
    assert site.run("retry", "--all").stdout == b"0 deliveries retried\n" and lanes(site) == 0

"""The operator's commands: check, sign, verify."""

import contextlib
import grp
import json
import os
import re
import sqlite3
import subprocess

import pytest

import sign
from gates import Gate
from sites import FILE_TARGET, PROGRAM, SAMPLES, sample, wait_for
from test_answers import ACCEPTED, REFUSED

GOOD = """spool = "spool"
deliver = "manual"
endpoint "/webhook" {
    scheme = "unified"
    secret_file = "secrets"
    connections = {}
    max_body = "10M"
}
target "records" {
    file = "out/%{object_type}/%{date}.jsonl"
}
target "crm" {
    run = {"/bin/cat", "--quiet"}
    match = {"object_type=crm_*", "event=updated"}
    timeout = "30s"
    batch = 1
    workers = 1
    retry_for = "3d"
}
"""
ENDPOINT = 'endpoint "/webhook" {\n    scheme = "unified"\n    secret_file = "secrets"\n}\n'


@pytest.mark.parametrize("case, old, new, line, words", [
    ("unknown option", 'deliver = "manual"', 'colour = "red"', 2, "colour"),
    ("unknown option of an endpoint", "connections = {}", 'colour = "red"', 6, "colour"),
    ("unknown option of a target", "batch = 1", 'colour = "red"', 16, "colour"),
    ("unknown section", 'target "crm" {', 'source "crm" {', 12, "source"),
    ("not a number", "batch = 1", 'batch = "many"', 16, "batch"),
    ("not in range", "batch = 1", "batch = 0", 16, "batch"),
    ("not in range above", "workers = 1", "workers = 1000", 17, "workers"),
    ("a list for a value", '"3d"', '{"3d"}', 18, ""),
    ("bad unit of size", '"10M"', '"10Q"', 7, "max_body"),
    ("bad unit of time", '"30s"', '"30 fortnights"', 15, "timeout"),
    ("no unit of time", '"30s"', '"30"', 15, "timeout"),
    ("negative", '"10M"', '"-1"', 7, "max_body"),
    ("not one of the words", '"manual"', '"sometimes"', 2, "deliver"),
    ("unknown scheme", '"unified"', '"magic"', 4, "magic"),
    ("unknown field in match", "object_type=crm", "colour=crm", 14, "colour"),
    ("no field in match", "object_type=crm_*", "crm", 14, "match"),
    ("unknown template", "%{object_type}", "%{colour}", 10, "colour"),
    ("relative script", "/bin/cat", "cat", 13, ""),
    ("two endpoints with one path", 'target "records" {', ENDPOINT + 'target "records" {', range(9, 14), "/webhook"),
    ("two targets with one name", 'target "crm"', 'target "records"', range(12, 20), "records"),
    ("neither file nor run", '    file = "out/%{object_type}/%{date}.jsonl"\n', "", range(9, 11), "records"),
    ("no secret_file", '    secret_file = "secrets"\n', "", range(3, 8), "secret_file"),
    ("path without slash", '"/webhook"', '"webhook"', range(3, 9), "webhook"),
    ("path with dots", '"/webhook"', '"/../webhook"', range(3, 9), "webhook"),
    ("syntax", "connections = {}", "connections = {", range(6, 9), ""),
    ("no such secret", '"secrets"', '"secret"', range(3, 9), "secret"),
    ("secret is a folder", '"secrets"', '"/etc"', range(3, 9), "/etc"),
], ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and len(value) > 3 and value[0].isalpha() else "")
def test_check_names_file_line_and_reason(site, case, old, new, line, words):
    assert GOOD.count(old) == 1, "the row changes one place"
    site.write(site.conf, GOOD.replace(old, new))
    done = site.run("-c", site.conf, "check")
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 78, said
    found = re.search(rf"{re.escape(str(site.conf))}:(\d+): (.*)", said)
    assert found, said
    assert int(found.group(1)) in ([line] if isinstance(line, int) else line), said
    assert words in found.group(2), said
    assert not site.spool.exists()


@pytest.mark.parametrize("case, spoil, words", [
    ("readable by others", lambda site: site.secret.chmod(0o604), "secrets"),
    ("writable by others", lambda site: site.secret.chmod(0o602), "secrets"),
    ("empty", lambda site: site.write(site.secret, ""), "secrets"),
    ("a blank line only", lambda site: site.write(site.secret, "\n"), "secrets"),
], ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("command", ["check", "serve", "cgi"])
def test_a_bad_secret_is_named_and_nothing_starts(site, command, case, spoil, words):
    site.write(site.conf, GOOD)
    spoil(site)
    if command == "cgi":
        body = sign.body()
        from sites import Answer, variables
        done = subprocess.run([PROGRAM], input=body, capture_output=True, timeout=60,
                              env={**site.environment(), **variables(body)})
        answer = Answer.parse(done.stdout)
        assert answer.status == 500 and b"secret" not in answer.body
    else:
        done = site.run("-c", site.conf, command, *(["-s", site.socket] if command == "serve" else []))
        assert done.returncode == 78
    said = (done.stderr if command == "cgi" else done.stdout + done.stderr).decode()
    found = re.search(rf"{re.escape(str(site.conf))}:(\d+): (.*)", said)
    assert found and int(found.group(1)) in range(3, 9) and words in found.group(2), said
    assert not site.socket.exists() and not site.journal()


def test_check_refuses_a_configuration_that_others_can_write(site):
    site.write(site.conf, GOOD, 0o646)
    done = site.run("-c", site.conf, "check")
    assert done.returncode == 78
    assert str(site.conf) in (done.stdout + done.stderr).decode()


def test_check_names_what_a_group_cannot_use(make_site):
    """A spool made before `group` was set; the advice helps."""
    site = make_site()
    assert site.post_cgi(sign.body()).status == 200
    site.conf.write_text(f'group = "{grp.getgrgid(os.getegid()).gr_name}"\n' + site.conf.read_text())
    done = site.run("-c", site.conf, "check")
    advice = re.search(rb"the group cannot use the spool as it is, [^:]*: hookspool (.*)", done.stderr).group(1).decode()
    assert site.run(*advice.split()).returncode == 0
    assert site.run("-c", site.conf, "check").stderr == b""


def test_check_tells_of_a_file_that_another_spool_writes_to(make_site):
    """The first one sees it when it appends behind the other's lines."""
    one = make_site()
    two = make_site(targets=FILE_TARGET % one.folder)
    for number, site in enumerate([one, two, one]):
        assert site.run("-c", site.conf, "check").stderr == b""
        assert site.post_cgi(sign.body(nonce=str(number))).status == 200
        site.deliver()
    assert len(one.records()) == 3
    done = one.run("-c", one.conf, "check")
    assert done.returncode == 0
    assert str(one.records_file) in done.stderr.decode() and b"something else writes to it too" in done.stderr


@pytest.mark.parametrize("theirs, warned", [("other", False), ("ours", True)])
def test_check_tells_of_endpoints_with_one_secret(site, theirs, warned):
    """The path is not signed: what was captured at one could be sent to the other."""
    other = site.folder / "other"
    site.write(other, "theirs\n" + (sign.SECRET.decode() if theirs == "ours" else "their new one") + "\n", 0o600)
    site.write(site.conf, GOOD + 'endpoint "/other" {\n    scheme = "unified"\n    secret_file = "%s"\n}\n' % other)
    done = site.run("-c", site.conf, "check")
    assert done.returncode == 0
    assert (b"in common" in done.stderr) == warned
    if warned:
        assert b'"/webhook"' in done.stderr and b'"/other"' in done.stderr
        assert sign.SECRET not in done.stderr


def test_check_says_a_shared_secret_once(site):
    """However many endpoints have it."""
    more = "".join('endpoint "/%d" {\n    scheme = "unified"\n    secret_file = "%s"\n}\n' % (i, site.secret)
                   for i in range(50))
    site.write(site.conf, site.conf.read_text() + more)
    done = site.run("-c", site.conf, "check")
    secrets = len(site.secret.read_text().splitlines())
    assert done.stderr.count(b"in common") == secrets and b"and 49 more" in done.stderr


@pytest.mark.parametrize("written, layer", [
    ('"%s"', "quotes around it"), ("'%s'", "quotes around it"), (" %s", "white space around it"),
    ("SECRET=%s", "a name and '=' before it"), ("SECRET='%s'", "quotes around it"),
])
def test_a_secret_with_something_around_it_is_explained(site, written, layer):
    site.write(site.secret, written % sign.SECRET.decode() + "\n")
    refused = site.run("-c", site.conf, "verify", "--explain", "-", input=sign.body())
    assert refused.returncode == 1 and f"is signed with secret 1 without {layer}".encode() in refused.stdout
    said = site.run("-c", site.conf, "check").stderr
    assert b"secret 1 has" in said and b"is taken as a part of it" in said
    assert sign.SECRET not in refused.stdout + said


def test_comments_in_a_secret_file_are_no_secrets(site):
    comment = "# of the workspace, asked for by Jane"
    site.write(site.secret, f"{comment}\n{sign.SECRET.decode()}\n#short\n")
    assert site.post_cgi(sign.body()).status == 200
    assert site.post_cgi(sign.body(nonce="forged", secret=comment.encode())).status == 401
    assert site.run("-c", site.conf, "check").stderr == b""
    site.write(site.secret, "fifteen bytes..\n")
    said = site.run("-c", site.conf, "check")
    assert said.returncode == 0 and b"secret 1 has 15 bytes and could be guessed" in said.stderr


@pytest.mark.parametrize("command", [["check"], ["deliver", "--once"], ["serve", "-s", "x.sock"]], ids=lambda words: words[0])
@pytest.mark.parametrize("targets, words", [
    ('target "a" { file = "spool/%{object_type}" }', "can lie in the spool"),
    ('target "a" { file = "%{object_type}/%{date}" }', "can lie in the spool"),
    ('target "a" { file = "secrets" }', "/secrets; give the records"),
    ('target "a" { file = "%{object_type}.conf" }', "/hookspool.conf; give the records"),
    ('target "a" { file = "all" }\ntarget "b" { file = "./all" }', 'can be the same as that of target "a"'),
], ids=["spool", "above the spool", "secret", "configuration", "twice"])
def test_a_target_cannot_write_what_is_not_its_own(make_site, targets, words, command):
    site = make_site(targets=targets)
    done = site.run("-c", site.conf, *command, cwd=site.folder)
    assert done.returncode == 78
    assert re.search(rf"{re.escape(str(site.conf))}:\d+: .*{re.escape(words)}", done.stderr.decode())


def spoil_script(text, mode):
    def spoil(site):
        site.write(site.folder / "script", text, mode)
    return spoil


@pytest.mark.parametrize("case, spoil, words, code", [
    ("script is not there", lambda site: None, "script cannot be run by this user: No such file", 1),
    ("script is not executable", spoil_script("#!/bin/sh\n", 0o600), "script cannot be run by this user: Permission", 1),
    ("script has CR LF", spoil_script("#!/bin/sh\r\nexit 0\r\n", 0o700), "first line ends with CR LF", 1),
    ("script without interpreter", spoil_script("#!/no/such\n", 0o700), "interpreter /no/such: No such file", 1),
    ("spool is a file", lambda site: site.spool.write_text(""), "is no folder", 1),
    ("spool for everybody", lambda site: (site.spool.mkdir(), site.spool.chmod(0o777)), "chmod o-w", 1),
    ("less than the reserve", lambda site: site.write(site.conf, 'reserve = "1000G"\n' + site.conf.read_text()),
     "nothing will be accepted", 1),
    ("wrong configuration", lambda site: site.write(site.conf, "x = 1\n" + site.conf.read_text()), "no such option", 78),
    ("conditions that exclude each other", lambda site: site.write(site.conf, site.conf.read_text().replace(
        "run = ", 'match = {"event=created", "event=updated"}\n    run = ')), "no event can meet both event=created and", 0),
], ids=lambda value: value.replace(" ", "-") if isinstance(value, str) and len(value) < 40 else "")
def test_check_exits_1_for_what_will_not_work(make_site, case, spoil, words, code):
    site = make_site()
    site.write(site.conf, site.conf.read_text() + 'target "script" {\n    run = {"%s/script"}\n}\n' % site.folder)
    if "script" not in case:
        spoil_script("#!/bin/sh\nexit 0\n", 0o700)(site)
        assert site.run("-c", site.conf, "check").returncode == 0
    spoil(site)
    done = site.run("-c", site.conf, "check")
    assert words in done.stderr.decode() and done.returncode == code
    assert not list(site.folder.glob("**/.locks-*"))


def test_check_says_what_it_will_do(site):
    site.write(site.conf, GOOD)
    done = site.run("-c", site.conf, "check")
    said = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    for word in ("/webhook", "unified", str(site.spool), "records", "crm", "/bin/cat", "object_type=crm_*", "manual"):
        assert word in said, word
    assert sign.SECRET.decode() not in said


def test_a_configuration_beside_the_program_is_found(site):
    env = site.environment()
    del env["HOOKSPOOL_CONF"]
    beside = site.folder / "bin"
    beside.mkdir()
    (beside / "hookspool").write_bytes(PROGRAM.read_bytes())
    (beside / "hookspool").chmod(0o755)
    site.write(beside / "hookspool.conf", site.conf.read_text())
    done = subprocess.run([beside / "hookspool", "check"], capture_output=True, env=env, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("arguments", [["nonsense"], ["serve", "--nonsense"], ["sign"], ["deliver", "x"], ["-x", "check"]])
def test_wrong_usage_is_64(site, arguments):
    done = site.run(*arguments)
    assert done.returncode == 64
    assert done.stderr


@pytest.mark.parametrize("options", [
    [], ["--algorithm", "sha1"], ["--algorithm", "sha256"], ["--algorithm", "both"],
    ["--encoding", "hex"], ["--encoding", "base64"], ["--algorithm", "sha256", "--encoding", "hex", "--endpoint", "/webhook"],
], ids=" ".join)
def test_sign_to_curl_is_accepted(site, options):
    port = site.lighttpd()
    data = site.folder / "data.json"
    data.write_bytes(b'[\n  {"id": "1", "name": "Zo\xc3\xab", "n": 1.0}\n]\n')
    payload = site.run("-c", site.conf, "sign", *options, data).stdout
    curl = subprocess.run(["curl", "-sS", "--data-binary", "@-", "-H", "Content-Type: application/json",
                           f"http://127.0.0.1:{port}/webhook"], input=payload, capture_output=True, timeout=60)
    answer = json.loads(curl.stdout)
    assert (answer["status"], answer["records"]) == ("accepted", 1)
    site.deliver()
    assert site.records()[0].endswith(b'"data":{"id":"1","name":"Zo\xc3\xab","n":1.0}}')


def test_sign_says_what_it_is_told(site):
    told = {"--object": "hris_employee", "--type": "INITIAL-COMPLETE", "--event": "created", "--connection": "c9",
            "--nonce": "n9"}
    done = site.run("-c", site.conf, "sign", *[word for pair in told.items() for word in pair], "-", input=b'{"id":1}')
    payload = json.loads(done.stdout)
    webhook = payload["webhook"]
    assert [webhook["object_type"], payload["type"], webhook["event"], webhook["connection_id"], payload["nonce"]] \
        == list(told.values())
    assert payload["sig"] == sign.mac("sha1", "base64", b'{"id":1}', "n9")
    assert payload["sig256"] == sign.mac("sha256", "base64", b'{"id":1}', "n9")


@pytest.mark.parametrize("option, value, words", [
    ("--nonce", "", "nonce empty or too long"), ("--nonce", "x" * 257, "nonce empty or too long"),
    ("--nonce", "a\nb", "nonce with a control character"), ("--object", "x" * 1023, "a member too long"),
], ids=["empty", "long", "newline", "object"])
def test_sign_prints_nothing_that_is_no_event(site, option, value, words):
    done = site.run("-c", site.conf, "sign", option, value, "-", input=b"[]")
    assert (done.returncode, done.stdout) == (65, b"") and words in done.stderr.decode()


def test_an_event_that_no_target_matches_leaves_a_trace(make_site):
    site = make_site(targets='target "crm" {\n    file = "crm.jsonl"\n    match = {"object_type=crm_*"}\n}\n')
    told = site.post_cgi(sign.body(object_type="hris_employee", nonce="none")).json
    assert site.post_cgi(sign.body(nonce="one")).status == 200
    site.deliver()
    assert b"no target matches it" in site.run("-c", site.conf, "show", told["id"]).stdout
    status = json.loads(site.run("-c", site.conf, "status", "--json").stdout)
    assert status["unmatched"] == 1 and status["state"] == "ok"
    assert re.search(rb"unmatched +1 ", site.run("-c", site.conf, "status").stdout)


@pytest.mark.parametrize("since", ["2026-02-31", "2026-02-29 10:00Z", "2026-04-31T00:00:00Z", "2026-13-01"])
def test_replay_refuses_a_day_that_there_is_not(site, since):
    done = site.run("-c", site.conf, "replay", "--since", since)
    assert done.returncode == 64 and b"is no time" in done.stderr


def test_replay_finds_what_a_killed_deliverer_was_putting_away(site):
    assert site.post_cgi(sign.body(nonce="first")).status == 200
    site.deliver()
    assert site.post_cgi(sign.body(nonce="second")).status == 200
    child = site.start(["strace", "-o", "/dev/null", "-e", "trace=unlinkat", "-e", "inject=unlinkat:signal=KILL:when=1",
                        PROGRAM, "-c", site.conf, "deliver", "--once"], leaks=False)
    assert child.wait(60) != 0
    hidden = [path.name for path in (site.spool / "journal").iterdir() if path.name.startswith(".")]
    assert len(hidden) == 1
    assert site.run("-c", site.conf, "replay", "--since", "1h").stdout == b"2 events: 2 deliveries\n"
    site.deliver()
    assert len(site.records()) == 4
    assert not list((site.spool / "journal").iterdir())


@pytest.mark.parametrize("address", ["127.0.0.1:9000", "localhost:9000", ":9000", "[::1]:9000", "9000", "tcp://127.0.0.1:9000",
                                     "unix:fcgi.sock"])
def test_serve_listens_on_no_address_of_the_network(site, address):
    done = site.run("-c", site.conf, "serve", "-s", address, cwd=site.folder)
    assert done.returncode == 64 and b"unix socket" in done.stderr
    assert sorted(path.name for path in site.folder.iterdir()) == ["hookspool.conf", "secrets"]


@pytest.mark.parametrize("data", [b"", b"[", b"1", b'"x"', b"[1,]", b"[] []"])
def test_sign_refuses_what_is_no_data(site, data):
    done = site.run("-c", site.conf, "sign", "-", input=data)
    assert done.returncode not in (0, 1) and done.stderr and not done.stdout


@pytest.mark.parametrize("name", ACCEPTED)
def test_verify_accepts(site, name):
    done = site.run("-c", site.conf, "verify", SAMPLES / f"{name}.json")
    assert done.returncode == 0 and done.stdout.startswith(b"accepted"), done.stderr
    assert site.run("-c", site.conf, "verify", "-", input=sample(name)).stdout == done.stdout


@pytest.mark.parametrize("name", REFUSED)
def test_verify_says_why_it_refuses(site, name):
    done = site.run("-c", site.conf, "verify", SAMPLES / f"{name}.json")
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 1 and "sig" in said
    body = json.loads(sample(name))
    right = sign.mac("sha1", "base64", json.dumps(body["data"], ensure_ascii=False, separators=(",", ":")).encode(),
                     body["nonce"])
    assert right not in said, "the right signature is shown nowhere"


def link_twice(path):
    path.write_text("")
    os.link(path, path.with_suffix(".other"))


@pytest.mark.parametrize("words, make", [
    ("{} is a symbolic link", lambda path: path.symlink_to("/dev/null")),
    ("{} is a FIFO", os.mkfifo),
    ("{} is a folder", os.mkdir),
    ("{} has 2 names", link_twice),
], ids=["link", "fifo", "folder", "names"])
def test_a_file_that_cannot_be_written_to_is_named(site, words, make):
    """In check, beforehand; in the audit trail and in status once it has failed."""
    words = words.format(site.records_file)
    make(site.records_file)
    done = site.run("-c", site.conf, "check")
    assert f'target "records": {words}' in done.stderr.decode()
    assert done.returncode == 1
    assert site.post_cgi(sign.body()).status == 200
    site.deliver()
    assert words in site.audit(what="delivery", target="records")[-1]["detail"]
    assert words in site.run("-c", site.conf, "status").stdout.decode()


def test_check_tries_the_fixed_part_of_a_file(site):
    (site.folder / "out").write_text("a file")
    site.write(site.conf, GOOD)
    done = site.run("-c", site.conf, "check")
    assert f"{site.folder}/out is a file, not a folder" in done.stderr.decode()
    assert done.returncode == 1
    (site.folder / "out").unlink()
    done = site.run("-c", site.conf, "check")
    assert done.returncode == 0 and done.stderr == b""
    assert not (site.folder / "out").exists()


CHUNK = 1000  # deliveries in a transaction
TARGETS, EVENTS = 25, 90


def failing_targets(folder):
    return "".join(f"""
target "t{number:02}" {{
    run = {{"/bin/sh", "-c", "test -e {folder}/mended || exit 100"}}
    batch = 1000
}}
""" for number in range(TARGETS))


@pytest.fixture
def gate(tmp_path):
    if not Gate.can_be_built():
        pytest.skip("nothing can be built, or the program is static and nothing can be preloaded")
    return Gate(tmp_path)


def test_commands_leave_the_deliverer_its_turn(make_site, tmp_path, gate):
    """However many deliveries they change, one transaction has a bounded number of them, and in the pause behind it a
    deliverer that runs delivers what is new."""
    site = make_site(targets=failing_targets(tmp_path) + FILE_TARGET % (tmp_path / "site1"))
    least = (TARGETS * EVENTS - 1) // CHUNK

    def ask(what):
        with contextlib.closing(sqlite3.connect(site.spool / "state.db", timeout=60)) as state:
            return state.execute(f"SELECT count(*) FROM delivery WHERE {what}").fetchone()[0]

    def done():
        return {(line["event_id"], line["target"]) for line in site.audit(what="delivery", result="done")
                if line["target"] != "records"}

    for number in range(EVENTS):
        assert site.post_cgi(sign.body(b"[{}]", f"n{number}")).status == 200
    site.deliver()
    assert ask("parked_at IS NOT NULL") == TARGETS * EVENTS
    site.start([PROGRAM, "-c", site.conf, "deliver", "--stay"])
    wait_for(site.deliverer, "the deliverer runs")
    commands = (["retry", "--all"], ["replay", "--since", "1h"], ["drop", "--all"], ["replay", "--since", "1h"])
    for number, command in enumerate(commands):
        if number == len(commands) - 1:
            (tmp_path / "mended").touch()
        child = site.start([*gate.prefix(), PROGRAM, "-c", site.conf, *command], stdout=subprocess.DEVNULL)
        wait_for(gate.times, f"{command} pauses")
        answer = site.post_cgi(sign.body(b'[{"id":"1"}]', f"meanwhile {number}"))
        # Not its record: that is in the file before the deliverer needs the lock.
        wait_for(lambda: site.audit(event_id=answer.json["id"], target="records", result="done"),
                 f"the deliverer has its turn while {command} pauses")
        assert child.poll() is None
        gate.open()
        assert child.wait(120) == 0
        assert gate.times() >= least
        gate.close()
        wait_for(lambda: ask("parked_at IS NULL") == 0, "all is tried")
    wait_for(lambda: len(done()) == TARGETS * (EVENTS + len(commands)), "all is delivered at last")

"""What running processes take of a configuration that changes, and how they are told."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

import fastcgi
import sign
from ledger import Ledger
from sites import Answer, FILE_TARGET, PROGRAM, variables, wait_for

OLD, NEW = sign.SECRET, b"wks_another_secret_of_this_site_x"
TAKEN_WITHIN = 2  # seconds


def post(site, n, secret=OLD, path="/webhook"):
    """The status of one event."""
    body = sign.body(b'[{"id":"%d"}]' % n, f"n{n}", secret=secret)
    return site.post_fastcgi(body, path=path).status


def in_place(path, text):
    path.write_text(text)


def by_rename(path, text):
    other = path.with_name(path.name + ".new")
    other.write_text(text)
    other.chmod(0o600)
    other.rename(path)


def by_link(path, text):
    other = path.with_name(f"{path.name}-{time.monotonic_ns()}")
    other.write_text(text)
    other.chmod(0o600)
    link = path.with_name(path.name + ".link")
    link.symlink_to(other.name)
    link.rename(path)


def secrets(*all):
    return "".join(f"{secret.decode()}\n" for secret in all)


def messages(site):
    return (site.folder / "serve.log").read_text()


@contextlib.contextmanager
def under_load(site, turn, senders=4):
    """Senders that take their turns for as long as the block lasts, each over a connection of its own: turn(ask, nonce),
    where ask(variables, body) is the answer. How many turns there were so far, by sender."""
    stop, turns, failures = threading.Event(), [0] * senders, []

    def send(sender):
        try:
            with fastcgi.Connection(site.socket) as connection:
                while not stop.is_set():
                    turn(lambda *request: Answer.parse(connection.request(*request)), f"{sender}-{turns[sender]}")
                    turns[sender] += 1
        except Exception as failure:  # shown below
            failures.append(failure)

    threads = [threading.Thread(target=send, args=(i,)) for i in range(senders)]
    for thread in threads:
        thread.start()
    try:
        yield turns
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not failures, failures[:3]


def wait_for_turns(turns, count):
    until = sum(turns) + count
    wait_for(lambda: sum(turns) >= until, "the senders send")


CHANGES = pytest.mark.parametrize("change", [in_place, by_rename, by_link])


@CHANGES
def test_a_secret_is_rotated_under_load(site, change):
    """Three steps: both, the new one, the old one away. No valid request is refused, and none of the old one gets
    through once it has been away for two seconds."""
    site.write(site.secret, secrets(OLD))
    site.serve()
    secret = OLD

    def turn(ask, nonce):
        body = sign.body(b'[{"id":"%s"}]' % nonce.encode(), nonce, secret=secret)
        answer = ask(variables(body), body)
        assert answer.status == 200, (nonce, answer)

    with under_load(site, turn) as turns:
        change(site.secret, secrets(OLD, NEW))
        wait_for(lambda: site.audit(what="configuration", result="taken", detail=None), "both are taken")
        secret = NEW
        wait_for_turns(turns, 2000)
        change(site.secret, secrets(NEW))
        time.sleep(TAKEN_WITHIN)
        assert post(site, 1, OLD) == 401
        assert post(site, 2, NEW) == 200


@CHANGES
def test_a_token_is_rotated_under_load(site, change):
    """The same of the page's and the metrics' token. No request with one that is in the file before and after a change is
    refused."""
    old, new = "0123456789abcdef-the-old-one", "0123456789abcdef-the-new-one"
    file = site.folder / "token"
    site.write(file, f"{old}\n")
    site.write(site.conf, site.conf.read_text() + f'status "/page" {{ token_file = "{file}" }}\n')
    assert site.post_cgi(sign.body()).status == 200
    site.deliver()
    site.serve()
    token = old

    def request(token, name):
        return variables(b"", f"/page/{name}", "GET", HTTP_AUTHORIZATION=f"Bearer {token}"), b""

    def turn(ask, nonce):
        for name in ("", "metrics"):
            answer = ask(*request(token, name))
            assert answer.status == 200, (nonce, name, answer)

    def statuses(token):
        with fastcgi.Connection(site.socket) as connection:
            return {Answer.parse(connection.request(*request(token, name))).status for name in ("", "metrics")}

    assert statuses(old) == {200} and statuses(new) == {401}
    with under_load(site, turn) as turns:
        change(file, f"{old}\n{new}\n")
        wait_for(lambda: site.audit(what="configuration", result="taken", detail=None), "both are taken")
        assert statuses(old) == statuses(new) == {200}
        token = new
        wait_for_turns(turns, 500)
        change(file, f"{new}\n")
        time.sleep(TAKEN_WITHIN)
        assert statuses(old) == {401} and statuses(new) == {200}
        wait_for_turns(turns, 500)


@CHANGES
def test_an_endpoint_and_a_target_are_added_under_load(site, change):
    """No valid request to the old endpoint is refused meanwhile. Two seconds later the new one accepts all that is valid,
    and the new target gets what was accepted from then on."""
    other = site.folder / "other.jsonl"
    site.write(site.folder / "new", secrets(NEW))
    site.serve()
    deliverer = site.start([PROGRAM, "-c", site.conf, "deliver", "--stay"])
    wait_for(site.deliverer, "the deliverer runs")
    in_force = threading.Event()
    all, late = Ledger(), Ledger()  # late: what was sent when the change had to be in force
    late.sent, late.refused = all.sent, all.refused

    def turn(ask, nonce):
        for path, secret in (("/webhook", OLD), ("/other", NEW)):
            marker, is_late = f"{path}-{nonce}", in_force.is_set()
            body = sign.body(b'[{"id":"%s"}]' % marker.encode(), nonce, secret=secret)
            all.sending(marker)
            answer = ask(variables(body, path=path), body)
            assert answer.status == 200 or (answer.status == 404 and path == "/other" and not is_late), (marker, answer)
            all.answered(marker, answer)
            if is_late:
                late.answered(marker, answer)

    with under_load(site, turn) as turns:
        wait_for_turns(turns, 500)
        assert all.statuses[404] >= 500 and not [marker for marker in list(all.accepted) if marker.startswith("/other")]
        change(site.conf, site.conf.read_text() + f"""
endpoint "/other" {{
    scheme = "unified"
    secret_file = "{site.folder}/new"
}}
target "other" {{
    file = "{other}"
}}
""")
        time.sleep(TAKEN_WITHIN)
        in_force.set()
        wait_for_turns(turns, 500)
    wait_for(lambda: site.content.count(b"\n") >= len(all.accepted), "the old target has all")
    assert site.stop(deliverer) == 0
    all.check(site.content, everything=True)
    late.check(other.read_bytes())
    assert len(late.accepted) >= 500


def test_a_body_that_began_before_is_judged_by_what_is_in_force(site):
    site.write(site.secret, secrets(OLD, NEW))
    site.serve()
    body = sign.body(b'[{"id":"1"}]', "n1", secret=OLD)
    with fastcgi.Connection(site.socket) as connection:
        connection.send(fastcgi.begin(keep=False) + fastcgi.params(variables(body)))
        connection.send(fastcgi.record(fastcgi.STDIN, body[:20]))
        site.write(site.secret, secrets(NEW))
        wait_for(lambda: post(site, 2, OLD) == 401, "the old secret is gone")
        connection.send(fastcgi.stream(fastcgi.STDIN, body[20:]))
        assert Answer.parse(connection.answer()).status == 401


def test_a_bad_file_changes_nothing(site):
    child = site.serve()
    good = site.conf.read_text()
    site.write(site.conf, good.replace('scheme = "unified"', 'scheme = "unifid"'))
    wait_for(lambda: "not taken" in messages(site), "the bad file is told")
    assert f'{site.conf}:5: scheme "unifid" is not known' in messages(site)
    assert post(site, 1) == 200
    (line,) = site.audit(what="configuration", result="refused")
    assert line["by"] == "receiver" and line["detail"].startswith(f"{site.conf}:5: scheme")
    site.write(site.conf, good)
    wait_for(lambda: "in force" in messages(site), "the good file is taken")
    assert messages(site).count("not taken") == 1
    assert child.poll() is None


def status(site):
    done = site.run("-c", site.conf, "status", "--json")
    return done.returncode, json.loads(done.stdout)


def test_status_fails_while_a_receiver_or_deliverer_refuses_the_configuration(make_site):
    """The deliverer and `status` read no secrets: the receiver's word is what they have."""
    token = "0123456789abcdef-token"
    site = make_site()
    site.write(site.folder / "token", token)
    site.write(site.conf, site.conf.read_text() + f'status "/page" {{ token_file = "{site.folder}/token" }}\n')
    child = site.serve()
    site.start([PROGRAM, "-c", site.conf, "deliver", "--stay"])
    assert post(site, 1) == 200
    wait_for(lambda: status(site)[0] == 0, "all is well")
    site.write(site.secret, "")
    wait_for(lambda: status(site)[0] == 2, "status says it")
    said = {one["by"]: one for one in status(site)[1]["configuration"]}
    assert said["receiver"]["state"] == "failing" and f"{site.secret} holds no secret" in said["receiver"]["why"]
    text = site.run("-c", site.conf, "status").stdout.decode()
    assert re.search(r"^configuration +the receiver goes on with the one before: ", text, re.M)
    wait_for(lambda: b"goes on with the configuration before" in (site.spool / "status/page.html").read_bytes(),
             "the page says it")
    wait_for(lambda: b"hookspool_configuration_refused 1\n" in (site.spool / "status/metrics").read_bytes(),
             "the metrics say it")
    log = site.run("-c", site.conf, "log").stdout.decode()
    assert re.search(r"-> +refused +configuration +receiver +.*holds no secret", log)
    # Its end, and the start of another one with a good file.
    site.stop(child)
    site.write(site.secret, secrets(OLD))
    assert status(site)[0] == 2
    site.serve()
    wait_for(lambda: status(site)[0] == 0, "all is well again")


@pytest.mark.parametrize("hours, code", [(1, 2), (3, 0)])
def test_a_refusal_that_is_not_told_again_is_of_a_process_that_is_gone(site, hours, code):
    assert site.post_cgi(sign.body()).status == 200
    site.deliver()
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - hours * 3600))
    with open(site.spool / "audit/audit.jsonl", "a") as trail:
        trail.write('{"at":"%s","what":"configuration","by":"receiver","result":"refused","detail":"x"}\n' % at)
    assert status(site)[0] == code
    site.deliver()
    assert status(site)[0] == code


def test_a_deliverer_that_begins_well_takes_back_what_one_before_refused(site):
    good = site.conf.read_text()
    child = site.start([PROGRAM, "-c", site.conf, "deliver", "--stay"])
    wait_for(site.deliverer, "the deliverer runs")
    site.write(site.conf, "spool =\n")
    wait_for(lambda: site.audit(by="deliverer", result="refused"), "it refuses the file")
    site.stop(child, signal.SIGKILL)
    site.write(site.conf, good)
    assert status(site)[0] == 2
    site.deliver()
    assert status(site)[0] == 0


@pytest.mark.parametrize("ignored", [False, True])
def test_sighup_reads_again_unless_it_was_ignored(site, ignored):
    prefix = ("nohup",) if ignored else ()
    child = site.serve(prefix)
    deliverer = site.start([*prefix, PROGRAM, "-c", site.conf, "deliver", "--stay"])
    wait_for(site.deliverer, "the deliverer runs")
    site.write(site.conf, "spool =\n")
    wait_for(lambda: "not taken" in messages(site), "the bad file is told")
    for _ in range(3):
        seen = messages(site).count("not taken")
        child.send_signal(signal.SIGHUP)
        deliverer.send_signal(signal.SIGHUP)
        if not ignored:
            wait_for(lambda: messages(site).count("not taken") > seen, "it is told again at once")
    assert post(site, 1) == 200
    time.sleep(0.2)
    assert child.poll() is None and deliverer.poll() is None
    if ignored:
        assert messages(site).count("not taken") == 1


def test_an_endpoint_and_a_target_are_added_to_what_runs(make_site):
    site = make_site(deliver="auto", targets='target "first" { file = "%s/first.jsonl" }' % "/tmp")
    text = site.conf.read_text().replace("/tmp/first", f"{site.folder}/first")
    site.write(site.conf, text)
    site.serve()
    wait_for(site.deliverer, "the deliverer runs")
    deliverer = site.deliverer()
    assert post(site, 1, path="/other") == 404
    site.write(site.conf, text + f'endpoint "/other" {{ scheme = "unified"\n secret_file = "{site.secret}" }}\n'
               + FILE_TARGET % site.folder)
    wait_for(lambda: {line["by"] for line in site.audit(what="configuration", result="taken", detail=None)}
             == {"receiver", "deliverer"}, "both have taken it")
    assert post(site, 2, path="/other") == 200
    wait_for(lambda: len(site.records()) == 1, "the new target gets the event")
    assert len((site.folder / "first.jsonl").read_bytes().splitlines()) == 1
    assert site.deliverer() == deliverer


def test_what_a_web_server_and_a_receiver_have_started_take_it_too(make_site):
    """Several receivers of lighttpd, and the deliverer that one of them starts and that ends when it is idle."""
    site = make_site(deliver="auto")
    post_http = site.mount("lighttpd", processes=2)
    assert post_http(sign.body(b'[{"id":"1"}]', "n1")).status == 200
    wait_for(lambda: len(site.records()) == 1 and site.deliverer(), "a deliverer runs")
    deliverer, other = site.deliverer(), site.folder / "other.jsonl"
    wait_for(lambda: len(site.audit(by="receiver", detail="at the start")) == 2, "both receivers run")
    site.write(site.folder / "new", secrets(NEW))
    site.write(site.conf, site.conf.read_text().replace(f'"{site.secret}"', f'"{site.folder}/new"')
               + f'target "other" {{ file = "{other}" }}\n')
    wait_for(lambda: len(site.audit(by="receiver", result="taken", detail=None)) == 2
             and site.audit(by="deliverer", result="taken", detail=None), "all have taken it")
    for n in range(10):
        assert post_http(sign.body(b'[{"id":"2"}]', f"old{n}")).status == 401
    assert post_http(sign.body(b'[{"id":"2"}]', "n2", secret=NEW)).status == 200
    wait_for(lambda: other.exists() and other.read_bytes().count(b"\n") == 1, "the new target gets the event")
    assert site.deliverer() == deliverer


def test_a_running_script_keeps_its_configuration(make_site):
    script = 'target "%s" { run = {"/bin/sh", "-c", "%s"} }\n'
    site = make_site(targets="")
    text = site.conf.read_text()
    site.write(site.conf, text + script % ("slow", f"until [ -e {site.folder}/go ]; do sleep 0.1; done"))
    site.serve()
    site.start([PROGRAM, "-c", site.conf, "deliver", "--stay"])
    assert post(site, 1) == 200
    wait_for(lambda: len(site.processes()) > 2, "the script runs")
    site.write(site.conf, text + script % ("other", "true"))
    wait_for(lambda: site.audit(what="configuration", by="deliverer", result="taken"), "the deliverer has taken it")
    (site.folder / "go").touch()
    wait_for(lambda: site.audit(what="delivery", target="slow", result="done"), "the script's end is recorded")
    assert post(site, 2) == 200
    wait_for(lambda: site.audit(what="delivery", target="other", result="done"), "the new target runs")


def test_a_target_that_becomes_a_file_waits_for_its_scripts(make_site):
    """What a running script has got is not written to the file, and what came later in its lane is not written before
    its end. Other lanes go on."""
    site = make_site(targets="")
    text = site.conf.read_text()
    script = f"cat > {site.folder}/got; until [ -e {site.folder}/go ]; do sleep 0.1; done"
    site.write(site.conf, f'{text}target "records" {{ run = {{"/bin/sh", "-c", "{script}"}} }}\n')
    site.serve()
    site.start([PROGRAM, "-c", site.conf, "deliver", "--stay"])
    assert post(site, 1) == 200
    wait_for(lambda: (site.folder / "got").exists() and (site.folder / "got").read_text(), "the script runs")
    site.write(site.conf, text + FILE_TARGET % site.folder)
    wait_for(lambda: site.audit(what="configuration", by="deliverer", result="taken"), "the deliverer has taken it")
    assert post(site, 2) == 200
    others = [sign.body(b'[{"id":"%d"}]' % n, f"n{n}", connection_id="other") for n in (3, 4)]

    def written():
        return re.findall(r'"id":"(\d)"', site.records_file.read_text()) if site.records_file.exists() else []

    for n, other in enumerate(others):
        assert site.post_fastcgi(other).status == 200
        wait_for(lambda: len(written()) > n, "another lane's event is written")
    assert written() == ["3", "4"]
    (site.folder / "go").touch()
    wait_for(lambda: len(written()) > 2, "what came later is written at the script's end")
    assert written() == ["3", "4", "2"]


def test_serve_starts_and_ends_its_deliverer_as_the_configuration_says(make_site):
    site = make_site(deliver="manual")
    site.serve()
    text = site.conf.read_text()
    assert site.deliverer() is None
    site.write(site.conf, text.replace('"manual"', '"auto"'))
    wait_for(site.deliverer, "a deliverer runs")
    site.write(site.conf, text)
    wait_for(lambda: not site.deliverer(), "it ends")
    site.write(site.conf, text.replace('"manual"', '"auto"'))
    wait_for(site.deliverer, "a deliverer runs again")
    assert "started again" not in messages(site)


FAILS = 'target "fails" { run = {"/bin/sh", "-c", "exit 1"} }\n'


@pytest.mark.parametrize("runs", [True, False])
def test_what_is_pending_for_a_target_that_is_gone_is_parked(make_site, runs):
    """By a deliverer that runs, or by the next one."""
    site = make_site(targets="")
    text = site.conf.read_text()
    site.write(site.conf, text + FAILS)
    for n in range(3):
        assert site.post_cgi(sign.body(b'[{"id":"%d"}]' % n, f"n{n}")).status == 200
    if runs:
        site.start([PROGRAM, "-c", site.conf, "deliver", "--stay"])
        wait_for(lambda: site.audit(target="fails", result="retry"), "it was tried")
    else:
        site.deliver()
    site.write(site.conf, text)
    if not runs:
        site.deliver()
    why = "the target is not in the configuration any more"
    wait_for(lambda: len(site.audit(target="fails", result="parked", detail=why)) == 3, "they are parked")
    code, said = status(site)
    assert code == 2 and said["pending"] == 0 and said["parked"] == 3
    parked = site.run("-c", site.conf, "parked").stdout.decode()
    assert parked.count(why) == 3
    # While it is gone a retry changes nothing; when it is back it delivers.
    assert site.run("-c", site.conf, "retry", "--all").returncode == 0
    if not runs:
        site.deliver()
    wait_for(lambda: len(site.audit(target="fails", result="parked", detail=why)) == 6, "they are parked again")
    site.write(site.conf, text + FAILS.replace("exit 1", "exit 0"))
    if runs:
        wait_for(lambda: len(site.audit(by="deliverer", result="taken")) == 2, "the deliverer knows it")
    assert site.run("-c", site.conf, "retry", "--all").returncode == 0
    if not runs:
        site.deliver()
    wait_for(lambda: len(site.audit(target="fails", result="done")) == 3, "they are delivered")
    assert status(site)[0] == 0


def test_what_is_parked_for_a_target_that_is_gone_can_be_dropped(make_site):
    site = make_site(targets=FAILS)
    assert site.post_cgi(sign.body()).status == 200
    site.deliver()
    site.write(site.conf, site.conf.read_text().replace(FAILS, ""))
    site.deliver()
    assert b"1 delivery" in site.run("-c", site.conf, "drop", "--all").stdout
    assert status(site)[0] == 0


def test_a_limit_on_file_sizes_stops_one_target_only(make_site, tmp_path):
    site = make_site(targets=FILE_TARGET % tmp_path
                     + f'target "full" {{ file = "{tmp_path}/full.jsonl" }}\n')
    (tmp_path / "full.jsonl").write_bytes(b"x" * 8191 + b"\n")
    for n in range(3):
        body = sign.body(b'[{"id":"%d"}]' % n, f"n{n}")
        assert site.post_cgi(body).status == 200
    # 8 MiB for state.db and its log; the file is made as large.
    os.truncate(tmp_path / "full.jsonl", 8 << 20)
    with open(tmp_path / "full.jsonl", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\n")
    done = subprocess.run(["prlimit", f"--fsize={8 << 20}", PROGRAM, "-c", site.conf, "deliver", "--once"],
                          env=site.environment(), capture_output=True)
    assert done.returncode == 0, done
    assert (tmp_path / "records.jsonl").read_bytes().count(b"\n") == 3
    assert len(site.audit(what="delivery", target="full", result="retry")) == 3

"""One suite over every mount: each web server with the configuration that examples/ has for it. `seen` is what
tests/system/hosts writes into the table of doc/hosts.md."""

import base64
import os
import pathlib
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections import Counter

import pytest

import fastcgi
import sign
from ledger import Ledger
from mounts import CUSTOMER, IS_ROOT, MOUNTS, TOKEN, ApacheFcgid, ApacheFcgidSuexec, ApacheSuexec, Host, HttpLoad
from sites import Answer, all_at_once, is_alive, sample, wait_for
from test_answers import ACCEPTED, REFUSED

pytestmark = pytest.mark.plain  # a server passes no sanitizer's options on


@pytest.fixture
def seen(request):
    return lambda what: request.node.user_properties.append(("seen", what))


def make_mount(kind, change=lambda text: text, owner=None, **options):
    """A mount with a host of its own, started. suEXEC runs only what is below /var/www."""
    if kind.suexec:
        if not IS_ROOT:
            pytest.skip("suEXEC needs root")
        owner, above = owner or CUSTOMER, "/var/www"
    else:
        owner, above = owner or "www-data", None
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hookspool-", dir=above))
    folder.chmod(0o755)
    try:
        mount = kind(Host(folder, owner, **{"deliver": "auto", **options}), change)
    except BaseException:
        shutil.rmtree(folder)
        raise
    try:
        mount.start()
    except BaseException:
        end(mount)
        raise
    return mount


def end(mount):
    mount.host.close()
    shutil.rmtree(mount.host.folder)


@pytest.fixture(scope="module", params=MOUNTS)
def mount(request):
    made = make_mount(MOUNTS[request.param])
    yield made
    end(made)


@pytest.fixture
def make():
    """Makes mounts for one test."""
    made = []

    def maker(*arguments, **options):
        made.append(make_mount(*arguments, **options))
        return made[-1]

    yield maker
    for mount in made:
        end(mount)


def told(statuses):
    """As in "98 × 200, 2 × 503"."""
    return ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))


def post_once(mount, name, size=0):
    """A body of an event of its own, about so long."""
    text = b"x" * max(0, size - 300)
    return mount.post(sign.body(b'[{"id":"%s","text":"%s"}]' % (name.encode(), text), name))


def exchange(mount, head, body=b"", then=lambda connection: None):
    """A request as bytes, to its answer."""
    with socket.create_connection(("127.0.0.1", mount.port), timeout=60) as connection:
        connection.sendall(head.replace(b"\n", b"\r\n") + body)
        then(connection)
        received = b""
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return Answer(int(head.split()[1]), dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:]), body)


def test_samples(mount, seen):
    statuses = Counter()
    for name, count in ACCEPTED.items():
        answer = mount.post(sample(name))
        assert (answer.status, answer.json.get("records")) == (200, count or 1), mount.logs()
        statuses[200] += 1
        wait_for(lambda: len(mount.host.records(answer.json["id"])) == (count or 1), "the records are in the file")
    for name in REFUSED:
        answer = mount.post(sample(name))
        assert (answer.status, answer.json) == (401, {"error": "bad signature"})
        statuses[401] += 1
    seen(told(statuses))


def test_an_answer_is_the_programs(mount, seen):
    answer = post_once(mount, "headers")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert "status" not in answer.headers
    seen("application/json")


def test_a_hundred_at_once(mount, seen):
    answers = all_at_once([lambda i=i: post_once(mount, f"hundred-{i}") for i in range(100)])
    statuses = Counter(answer.status for answer in answers)
    assert statuses == {200: 100}, mount.logs()
    assert mount.host.delivered("hundred-").count(b"\n") == 100
    seen(told(statuses))


def test_a_large_body(mount, seen):
    answer = post_once(mount, "large", 200 * 1024)
    assert answer.status == 200, mount.logs()
    assert len(mount.host.delivered("large")) > 200 * 1000
    seen(answer.status)


def test_a_body_over_the_limit(mount, seen):
    answer = post_once(mount, "excess", 10 * 1024 * 1024 + 1000)
    assert answer.status == 413
    assert mount.host.delivered("excess") == b""
    seen(answer.status)


def test_a_chunked_body(mount, seen):
    body = sign.body(b'[{"id":"chunked","text":"%s"}]' % (b"x" * 100000), "chunked")
    parts = [body[i:i + 30000] for i in range(0, len(body), 30000)]

    def send(connection):
        for part in parts:
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            time.sleep(0.02)
        connection.sendall(b"0\r\n\r\n")

    answer = exchange(mount, b"POST /webhook HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\n"
                             b"Connection: close\nTransfer-Encoding: chunked\n\n", then=send)
    assert answer.status == 200, mount.logs()
    assert len(mount.host.delivered("chunked")) > 100000
    seen(answer.status)


def test_a_sender_that_disconnects(mount, seen):
    before = len(mount.host.audit(what="request"))
    body = sign.body(b'[{"id":"gone","text":"%s"}]' % (b"x" * 100000), "gone")
    for part in (body[:50], body[:90000]):
        with socket.create_connection(("127.0.0.1", mount.port)) as connection:
            connection.sendall(b"POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                               b"Content-Length: %d\r\n\r\n" % len(body) + part)
            time.sleep(0.3)
    assert post_once(mount, "after").status == 200
    statuses = Counter(line["status"] for line in mount.host.audit(what="request")[before:])
    assert statuses.pop(200) == 1
    assert set(statuses) <= {400}
    assert mount.host.delivered("gone") == b""
    assert mount.host.delivered("after").count(b"\n") == 1
    seen(f"{told(statuses)}, not stored" if statuses else "not passed on")


def test_a_get(mount, seen):
    answer = exchange(mount, b"GET /webhook HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n")
    assert answer.status == 405 and "post" in answer.headers["allow"]
    seen(answer.status)


def test_an_unknown_path(mount, seen):
    assert [mount.post(b"{}", path=path).status for path in ("/webhook/x", "/webhookx", "/other")] == [404] * 3
    seen(404)


def test_the_page(mount, seen):
    """With the token that a browser sends, without any, and what needs none."""
    password = base64.b64encode(f"operator:{TOKEN}".encode()).decode()

    def ask(name, authorization=None):
        header = f"Authorization: {authorization}\n" if authorization else ""
        return exchange(mount, f"GET /webhook/status/{name} HTTP/1.1\nHost: 127.0.0.1\n{header}Connection: close\n\n"
                        .encode())

    wait_for(lambda: ask("", f"Basic {password}").status == 200, "a deliverer has written the page")
    for name in ("", "style.css", "status.json", "metrics"):
        assert ask(name, f"Basic {password}").status == ask(name, f"Bearer {TOKEN}").status == 200
        assert ask(name).status == ask(name, "Bearer wrong").status == 401
    assert ask("health").status in (200, 503)
    seen(200)


def test_the_servers_restart_under_load(mount, seen):
    ledger = Ledger()
    name = f"restart{time.monotonic_ns()}"
    with HttpLoad(mount, ledger, name=name) as load:
        for how in ("restart", "reload") * (1 if mount.forgets else 2):
            ledger.wait_for_accepted(len(ledger.accepted) + 50)
            if how == "restart":
                mount.restart()
            elif mount.reload:
                mount.server.send_signal(mount.reload)
        ledger.wait_for_accepted(len(ledger.accepted) + 50)
        load.stop()
    ledger.check(mount.host.delivered(name))
    assert set(ledger.statuses) <= {200, 401, 500, 502, 503}
    seen(f"{len(ledger.accepted)} acknowledged, 0 lost; {told(ledger.statuses)}, {load.unanswered} unanswered")


def kill_running(host):
    """Kills the programs that run, and waits for their end. How many there were: by CGI one may have ended before."""
    killed = []
    for pid in host.running():
        try:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        except ProcessLookupError:
            pass
    wait_for(lambda: not any(map(is_alive, killed)), "they are gone")
    return len(killed)


def test_the_program_killed_under_load(mount, seen):
    ledger = Ledger()
    name = f"killed{time.monotonic_ns()}"
    killed = 0
    with HttpLoad(mount, ledger, name=name) as load:
        for _ in range(5):
            ledger.wait_for_accepted(len(ledger.accepted) + 20)
            killed += wait_for(lambda: kill_running(mount.host), "the program runs, and is killed")
            mount.revive()
        ledger.wait_for_accepted(len(ledger.accepted) + 20)
        load.stop()
    assert killed >= 5
    ledger.check(mount.host.delivered(name))
    assert set(ledger.statuses) <= {200, 401, 500, 502, 503}
    seen(f"{killed} killed, {len(ledger.accepted)} acknowledged, 0 lost; {told(ledger.statuses)}, {load.unanswered} unanswered")


# what is a server's own

@pytest.mark.parametrize("name, size, status", [
    ("Apache mod_fcgid", 131072 + 1000, 500),
    ("nginx", 1024 * 1024 + 1000, 413),
])
def test_a_servers_own_limit(make, seen, name, size, status):
    """What a sender is told if the example's line about the size of bodies is left out."""
    kind = MOUNTS[name]
    mount = make(kind, lambda text: "".join(line for line in text.splitlines(True) if kind.own_limit not in line))
    answer = post_once(mount, "excess", size)
    assert answer.status == status
    assert not mount.host.audit(what="request"), "it is not passed on"
    seen(f"{answer.status} above {size // 1024} KiB without {kind.own_limit}")


def kept_nginx(text):
    socket_ = re.search(r"fastcgi_pass (unix:.*);", text).group(1)
    return (f"upstream kept {{\n\tserver {socket_};\n\tkeepalive 100;\n}}\n"
            + text.replace(f"fastcgi_pass {socket_};", "fastcgi_pass kept;\n\t\tfastcgi_keep_conn on;"))


def kept_apache(text):
    return text.replace('//hookspool/"', '//hookspool/" enablereuse=on')


def connections(path):
    """How many connections a unix socket has."""
    lines = pathlib.Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(f" {path}") and line.split()[5] == "03" for line in lines)


@pytest.mark.parametrize("name, change", [("nginx", kept_nginx), ("Apache mod_proxy_fcgi", kept_apache)])
def test_kept_connections(make, seen, name, change):
    """More idle connections than there can be threads to wait for them; new requests are answered at once."""
    mount = make(MOUNTS[name], change)
    os.kill(mount.program.pid, signal.SIGSTOP)  # so that each request needs a connection of its own
    threading.Timer(3, os.kill, (mount.program.pid, signal.SIGCONT)).start()
    answers = all_at_once([lambda i=i: post_once(mount, f"kept-{i}") for i in range(60)])
    assert Counter(answer.status for answer in answers) == {200: 60}, mount.logs()
    idle = connections(mount.host.socket)
    assert idle > 32
    with fastcgi.Connection(mount.host.socket) as silent:
        for i in range(20):
            started = time.monotonic()
            assert post_once(mount, f"new-{i}").status == 200
            assert mount.host.post_fastcgi(sign.body(nonce=f"direct-{i}")).status == 200
            assert time.monotonic() - started < 1
        silent.send(b"")
    seen(f"{idle} idle, new ones answered at once")


LIMITS = {"20", "268435456"}  # processes, threads included, and bytes of memory


def test_a_shared_hosts_limits_cgi(make, seen):
    lines = "RLimitNPROC 20 20\nRLimitMEM 268435456 268435456\n"
    serve_fifty_at_once(make(ApacheSuexec, lambda text: text.replace("</VirtualHost>", lines + "</VirtualHost>")), seen)


def test_a_shared_hosts_limits_fcgid(make, seen):
    """Apache's own limits are not for mod_fcgid's processes."""
    def limited(text):
        alias, program = re.search(r"Alias /webhook ((.*)/hookspool)", text).group(0, 2)
        script = pathlib.Path(f"{program}/limited")
        script.write_text(f"#!/bin/sh\nexec prlimit --nproc=20 --as=268435456 {program}/hookspool\n")
        script.chmod(0o755)
        return text.replace(alias, f"Alias /webhook {script}")

    mount = make(ApacheFcgidSuexec, limited)
    serve_fifty_at_once(mount, seen)


def serve_fifty_at_once(mount, seen):
    """20 processes, threads included, and 256 MB: some are told to come again, and nothing acknowledged is lost."""
    ledger = Ledger()
    limits = set()
    with HttpLoad(mount, ledger, senders=50, name="fifty") as load:
        while len(ledger.accepted) < 500:
            for pid in mount.host.running():
                try:
                    limits |= set(re.findall(r"^Max (?:processes|address space) +(\d+)",
                                             pathlib.Path(f"/proc/{pid}/limits").read_text(), re.M))
                except OSError:
                    continue
            time.sleep(0.05)
        load.stop()
    assert limits == LIMITS
    ledger.check(mount.host.delivered("fifty"))
    seen(f"{len(ledger.accepted)} acknowledged, 0 lost; {told(ledger.statuses)}")


def test_processes_that_end_when_idle(make, seen):
    """mod_fcgid ends an idle process and starts others; delivery goes on."""
    lines = "FcgidMinProcessesPerClass 0\nFcgidIdleTimeout 1\nFcgidIdleScanInterval 1\nFcgidZombieScanInterval 1\n"
    mount = make(ApacheFcgid, lambda text: lines + text)
    for time_ in range(2):
        answers = all_at_once([lambda i=i: post_once(mount, f"idle-{time_}-{i}") for i in range(10)])
        assert {answer.status for answer in answers} == {200}
        wait_for(lambda: not mount.host.running(), "they are ended")
    wait_for(lambda: len(mount.host.records()) == 20, "all is delivered")
    seen("ended and started twice, 20 of 20 delivered")

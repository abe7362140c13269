"""Floods: much of what is refused, while good senders go on. The receiver's memory stays flat, the good ones are answered,
the audit trail is bounded. Two of them are short here; with HOOKSPOOL_FLOODS=full (`make bad-input`) a chunked body has
a gigabyte, and there are 50,000 bad signatures. `seen` is what tests/system/bad_input writes into doc/bad-input.md."""

import os
import re
import resource
import select
import threading
import time
from collections import Counter

import pytest

import fastcgi
import sign
import test_hosts
from mounts import MOUNTS
from sites import Answer, memory, variables, wait_for

pytestmark = pytest.mark.plain  # what a sanitizer needs is not flat

FULL = os.environ.get("HOOKSPOOL_FLOODS") == "full"
MB = 1 << 20
AUDIT_MAX = 1 * MB
KEPT_MAX = 16 * MB  # of large bodies' buffers, for a second or two

seen, make = test_hosts.seen, test_hosts.make


def connect(site):
    """A connection, as soon as the listener's queue has room."""
    while True:
        try:
            return fastcgi.Connection(site.socket)
        except BlockingIOError:
            time.sleep(0.001)


class GoodSender:
    """Sends good events one after the other while a flood goes on; each must be answered 200."""

    def __init__(self, site):
        self.site, self.answers, self.failure = site, 0, None
        self.name = f"good-{time.monotonic_ns()}"
        self.ended, self.first = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.send)

    def send(self):
        try:
            while not self.ended.is_set() or self.answers < 10:
                body = sign.body(nonce=f"{self.name}-{self.answers}")
                with connect(self.site) as connection:
                    answer = Answer.parse(connection.request(variables(body), body, keep=False))
                assert answer.status == 200, answer
                self.answers += 1
                self.first.set()
        except BaseException as failure:
            self.failure = failure
            self.first.set()

    def __enter__(self):
        self.thread.start()
        self.first.wait()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        assert self.failure is None, self.failure
        assert self.answers >= 10


class Memory:
    """The receiver's, before a flood and at its highest since."""

    def __init__(self, pid):
        self.pid, self.before = pid, memory(pid, "VmHWM")

    def grown(self):
        return memory(self.pid, "VmHWM") - self.before

    def __str__(self):
        return f"peak {self.before / MB:.1f} → {memory(self.pid, 'VmHWM') / MB:.1f} MB, then {memory(self.pid, 'VmRSS') / MB:.1f} MB"


def answers(counted):
    return ", ".join(f"{count:,} × {status}" for status, count in sorted(counted.items()))


@pytest.fixture
def served(make_site):
    site = make_site(endpoint='max_body = "6M"', options=f'audit_max = "{AUDIT_MAX // MB}M"')
    site.server = site.serve()
    for number in range(20):
        assert site.post_fastcgi(sign.body(nonce=str(number))).status == 200
    return site


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_brackets(served, seen, opening):
    """A million of them in one body, again and again."""
    body = opening.encode() * MB
    assert served.post_fastcgi(b" " * len(body)).status == 400  # what a body of this size costs that is not deep
    before = Memory(served.server.pid)
    counted = Counter()
    with GoodSender(served) as good:
        for _ in range(20):
            counted[served.post_fastcgi(body).status] += 1
    assert counted == {400: 20}
    assert before.grown() < KEPT_MAX + 2 * MB
    wait_for(lambda: memory(served.server.pid, "VmRSS") < 8 * MB, "the memory is given back")
    seen(f"{answers(counted)}; good: {good.answers:,} × 200; {before}")


def post_chunked(mount, size):
    """A body of blanks that nobody holds in memory, as HTTP chunks; None where the connection ends before an answer."""
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"

    def send(connection):
        try:
            for _ in range(size // 65536):
                connection.sendall(piece)
            connection.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before its end

    try:
        return test_hosts.exchange(mount, b"POST /webhook HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\n"
                                          b"Connection: close\nTransfer-Encoding: chunked\n\n", then=send).status
    except (ConnectionResetError, IndexError):
        return None


def lift(text):
    """The server's own limit on bodies, out of the way."""
    return text.replace("client_max_body_size 10m", "client_max_body_size 4g").replace("= 10240 ", "= 4000000 ")


@pytest.mark.parametrize("name, lifted", [
    pytest.param(name, lifted, id=name + ", its limit lifted" * lifted) for name in ("lighttpd, external", "nginx")
    for lifted in (False, True)])
def test_a_chunked_body(make, seen, name, lifted):
    mount = make(MOUNTS[name], lift if lifted else lambda text: text)
    size = 1024 * MB if FULL else 24 * MB
    for number in range(20):
        assert mount.host.post_fastcgi(sign.body(nonce=str(number))).status == 200
    before = Memory(mount.program.pid)
    with GoodSender(mount.host) as good:
        status = post_chunked(mount, size)
    assert status == 413 or (status is None and not lifted)
    assert lifted == bool(mount.host.audit(what="request", status=413)), "who refuses it"
    # max_body is 10M: no more than that is read before it is too much.
    assert before.grown() < 16 * MB
    seen(f"{status or 'connection ended'}; good: {good.answers:,} × 200; {before}")


@pytest.mark.parametrize("length", [str(1 << 30), "-1", None], ids=["declared", "-1", "none"])
def test_a_gigabyte(served, seen, length):
    """Over FastCGI."""
    about = {**variables(b""), "CONTENT_LENGTH": length}
    if length is None:
        del about["CONTENT_LENGTH"]
    before = Memory(served.server.pid)
    piece = fastcgi.record(fastcgi.STDIN, b" " * 32768)
    with GoodSender(served) as good, connect(served) as connection:
        connection.send(fastcgi.begin(keep=False) + fastcgi.params(about))
        for _ in range(2 ** 15):
            connection.send(piece)
        connection.send(fastcgi.record(fastcgi.STDIN))
        status = Answer.parse(connection.answer()).status
    assert status == 413
    assert before.grown() < (MB if length == str(1 << 30) else 8 * MB)  # max_body, and a third more as it grows
    wait_for(lambda: memory(served.server.pid, "VmRSS") < 8 * MB, "the memory is given back")
    seen(f"{status}; good: {good.answers:,} × 200; {before}")


def test_idle_connections(served, seen):
    """Many that say nothing: the receiver takes them, waits for none, and ends the oldest where it has too many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    before = Memory(served.server.pid)
    idle = []
    try:
        with GoodSender(served) as good:
            while len(idle) < count:
                idle.append(connect(served))
        with GoodSender(served) as later:
            pass
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert before.grown() < 16 * MB
    seen(f"{count:,} connections; good: {good.answers + later.answers:,} × 200; {before}")


def test_slow_senders(served, seen):
    """More than there can be threads, each in the middle of its body: whoever is slowest is cut off, and only then."""
    count, body = (300 if FULL else 100), sign.body(nonce="slow")
    about = fastcgi.begin() + fastcgi.params(variables(body)) + fastcgi.record(fastcgi.STDIN, body[:9])
    before, slow = Memory(served.server.pid), []
    for _ in range(count):
        slow.append(connect(served))
        slow[-1].send(about)
    began = time.monotonic()
    with GoodSender(served) as good:
        waited = time.monotonic() - began
    open_still = sum(not select.select([connection.socket], [], [], 0)[0] for connection in slow)
    for connection in slow:
        connection.close()
    assert before.grown() < 8 * MB
    assert len(served.journal().splitlines()) == 20 + good.answers
    seen(f"{count} slow, {count - open_still} cut off; good: {good.answers:,} × 200, the first after {waited:.1f} s; {before}")


def forged(numbers):
    """Bodies with wrong, malformed and missing signatures."""
    good = sign.body(nonce="forged")
    signature = re.search(rb'"sig":"([^"]*)"', good).group(1)
    for number in numbers:
        other = (b"%040x" % number, b"?" * 40, b"")[number % 3]
        yield good.replace(signature, other)


def test_bad_signatures(served, seen):
    count, senders = (50_000 if FULL else 3_000), 4
    before = Memory(served.server.pid)
    largest, bodies, counted, lock = [0], forged(range(count)), Counter(), threading.Lock()

    def flood():
        with fastcgi.Connection(served.socket) as connection:
            while True:
                with lock:
                    body = next(bodies, None)
                if body is None:
                    return
                answer = Answer.parse(connection.request(variables(body), body))
                with lock:
                    counted[answer.status, answer.body] += 1
                    if sum(counted.values()) % 500 == 0:
                        largest[0] = max(largest[0], audit_size(served))

    with GoodSender(served) as good:
        threads = [threading.Thread(target=flood) for _ in range(senders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counted == {(401, b'{"error":"bad signature"}\n'): count}
    assert before.grown() < 2 * MB
    # Each of the two files ends with the write that makes it too large.
    assert max(largest[0], audit_size(served)) < 2 * AUDIT_MAX + 256 * 1024
    assert len(served.journal().splitlines()) == 20 + good.answers, "nothing forged is stored"
    seen(f"{count:,} × 401; good: {good.answers:,} × 200; {before}; audit {max(largest[0], audit_size(served)) / MB:.1f} MB"
         f" with audit_max {AUDIT_MAX // MB}M")


def audit_size(site):
    return sum(path.stat().st_size for path in site.spool.glob("audit/*"))

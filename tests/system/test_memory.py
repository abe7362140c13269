"""What the receiver and the deliverer keep."""

import contextlib
import re
import time

import pytest

import fastcgi
import sign
from sites import Answer, memory, sample, variables, wait_for

MB = 1 << 20

pytestmark = pytest.mark.plain


def big_body(size, space=b""):
    """A signed body of this many bytes at most, and nearly."""
    element = b'{"id":"0123456789","text":"' + b"x" * 4000 + b'"}'
    count = (size - 1000) // (len(element) + 1 + len(space))
    data = b"[" + (b"," + space).join([element] * count) + b"]"
    body = sign.body(data, "big")
    assert size - 10000 < len(body) <= size
    return body


def test_an_idle_receiver_is_small(site):
    server = site.serve()
    for number in range(100):
        assert site.post_fastcgi(sample("virtual-one")).status == 200
    print(memory(server.pid, "VmRSS"))
    assert memory(server.pid, "VmRSS") < 8 * MB


@pytest.mark.parametrize("case, space, length, times", [
    ("declared", b"", {}, 1.3),
    ("not declared", b"", {"CONTENT_LENGTH": "-1"}, 1.3),
    ("with spaces", b" \n", {}, 1.3),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_body_costs_its_own_size(site, case, space, length, times):
    body = big_body(10 * MB, space)
    server = site.serve()
    assert site.post_fastcgi(sample("virtual-one")).status == 200
    before = memory(server.pid, "VmHWM")
    assert site.post_fastcgi(body, **length).status == 200
    cost = memory(server.pid, "VmHWM") - before
    print(cost / len(body))
    assert cost < times * len(body)
    wait_for(lambda: memory(server.pid, "VmRSS") < 8 * MB, "the memory is given back")


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": "-1"}], ids=["declared", "not declared"])
def test_a_body_that_is_too_large_costs_next_to_nothing(site, length):
    server = site.serve()
    assert site.post_fastcgi(sample("virtual-one")).status == 200
    before = memory(server.pid, "VmHWM")
    assert site.post_fastcgi(big_body(40 * MB), **length).status == 413
    allowed = 11 * MB if length else MB
    assert memory(server.pid, "VmHWM") - before < allowed


class SlowSender(fastcgi.Connection):
    """Has sent a body but for its last byte, and keeps the receiver waiting for it."""

    def __init__(self, site, body, **length):
        super().__init__(site.socket)
        self.last = fastcgi.stream(fastcgi.STDIN, body[-1:])
        all_but_end = fastcgi.stream(fastcgi.STDIN, body[:-1])[:-len(fastcgi.record(fastcgi.STDIN))]
        self.send(fastcgi.begin(keep=False) + fastcgi.params(variables(body, **length)) + all_but_end)

    def finish(self):
        self.send(self.last)
        return Answer.parse(self.answer())


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": "-1"}], ids=["declared", "not declared"])
def test_bodies_in_flight_have_a_bound(make_site, length):
    """Four slow senders hold all of in_flight_max. Whoever comes then costs a thread at most, and is to come again."""
    site = make_site(endpoint='max_body = "1M"', options='in_flight_max = "4M"')
    server = site.serve()
    small = sample("virtual-one")
    body = big_body(MB)
    body += b" " * (MB - 1 - len(body))  # as read in pieces of 64 KiB, with its end in the last of them, it takes 1 MiB
    assert site.post_fastcgi(small).status == 200
    before = memory(server.pid, "VmHWM")
    with contextlib.ExitStack() as connections:
        def slow_senders(count):
            return [connections.enter_context(SlowSender(site, body, **length)) for _ in range(count)]

        holders = slow_senders(4)
        wait_for(lambda: all(sender.is_read() for sender in holders), "the bodies are in memory")
        refused = [sender.finish() for sender in slow_senders(40)] + [site.post_fastcgi(small, **length)]
        assert {(answer.status, answer.headers.get("retry-after")) for answer in refused} == {(503, "30")}
        assert len(site.audit(reason="too much in flight")) == 41
        grown = memory(server.pid, "VmHWM") - before
        print(grown / MB)
        assert grown < (4 + 3) * MB
        assert [sender.finish().status for sender in holders[:2]] == [200, 200]
        for sender in holders[2:]:
            sender.close()
    wait_for(lambda: site.post_fastcgi(body, **length).status == 200, "there is room again")
    wait_for(lambda: memory(server.pid, "VmRSS") < 8 * MB, "the memory is given back")


def test_a_promise_takes_no_room(make_site):
    """Senders that declare in_flight_max, and more, but do not send it."""
    site = make_site(endpoint='max_body = "1M"', options='in_flight_max = "4M"')
    server = site.serve()
    assert site.post_fastcgi(sample("virtual-one")).status == 200
    before = memory(server.pid, "VmHWM")
    with contextlib.ExitStack() as connections:
        for _ in range(20):
            slow = connections.enter_context(fastcgi.Connection(site.socket))
            slow.send(fastcgi.begin() + fastcgi.params(variables(b"", CONTENT_LENGTH=str(MB))) +
                      fastcgi.record(fastcgi.STDIN, b"{"))
            assert site.post_fastcgi(sample("virtual-one")).status == 200
        assert memory(server.pid, "VmHWM") - before < 4 * MB


def test_bodies_that_stay_unfinished_give_way(make_site):
    """They are all of in_flight_max, and only their last byte is missing."""
    site = make_site(endpoint='max_body = "1M"', options='in_flight_max = "4M"')
    site.serve()
    body = big_body(MB)
    body += b" " * (MB - len(body))
    with contextlib.ExitStack() as connections:
        senders = [connections.enter_context(SlowSender(site, body)) for _ in range(4)]
        wait_for(lambda: all(sender.is_read() for sender in senders), "the bodies are in memory")
        assert site.post_fastcgi(sample("virtual-one")).status == 503
        began = time.monotonic()
        wait_for(lambda: site.post_fastcgi(sample("virtual-one")).status == 200, "there is room again")
        assert time.monotonic() - began < 20


def test_a_client_s_headers_take_no_memory(make_site):
    """As a web server passes them on: nobody asks for them."""
    site = make_site()
    server = site.serve()
    body = sample("virtual-one")
    assert site.post_fastcgi(body).status == 200
    before = memory(server.pid, "VmHWM")
    headers = {"HTTP_X_%d" % i: "x" * 8000 for i in range(100)}
    with contextlib.ExitStack() as connections:
        for _ in range(40):
            slow = connections.enter_context(fastcgi.Connection(site.socket))
            slow.send(fastcgi.begin() + fastcgi.params(variables(body, **headers)) + fastcgi.record(fastcgi.STDIN, body[:9]))
            wait_for(slow.is_read, "it is read")
        grown = memory(server.pid, "VmHWM") - before
        print(grown / MB)
        assert grown < 8 * MB


def test_a_kept_buffer_is_no_way_around_the_bound(make_site):
    """A large body leaves a buffer, and a slow small one comes for it: again and again, from anybody."""
    site = make_site(endpoint='max_body = "6M"', options='in_flight_max = "8M"')
    server = site.serve()
    assert site.post_fastcgi(sample("virtual-one")).status == 200
    before = memory(server.pid, "VmHWM")
    with contextlib.ExitStack() as connections:
        for _ in range(20):
            assert site.post_fastcgi(b"[" + b" " * 5 * MB).status == 400
            connections.enter_context(SlowSender(site, sample("virtual-one")))
        grown = memory(server.pid, "VmHWM") - before
        print(grown / MB)
        assert grown < (8 + 16 + 3) * MB


def test_an_answer_says_that_its_room_is_there_again(make_site):
    """A sender that has in_flight_max all to itself, one body after the other."""
    site = make_site(endpoint='max_body = "1M"', options='in_flight_max = "1M"')
    site.serve()
    body = b"[" + b" " * (MB - 1)
    assert {site.post_fastcgi(body).status for _ in range(500)} == {400}


@pytest.mark.parametrize("target", [
    'file = "records.jsonl"',
    'run = {"/bin/sh", "-c", "wc -l > $0", "@/counted"}',
], ids=["file", "script"])
def test_records_cost_no_memory_of_their_own(make_site, tmp_path, target):
    """A megabyte of small elements becomes some hundred of records."""
    site = make_site(targets='target "records" {\n    %s\n}\n' % target.replace("@", str(tmp_path)))
    count = MB // 2
    assert site.post_cgi(sign.body(b"[" + b",".join([b"1"] * count) + b"]")).status == 200
    child = site.start([site.program, "-c", site.conf, "deliver", "--stay"])
    wait_for(lambda: site.audit(what="delivery", result="done"), "it is delivered")
    peak = memory(child.pid, "VmHWM")
    print(peak / MB)
    assert peak < 12 * MB
    if "file" in target:
        assert site.records_file.stat().st_size > 100 * MB
        assert site.records_file.read_bytes().count(b"\n") == count
    else:
        assert int((tmp_path / "counted").read_text()) == count


VALGRIND = ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=all", "--errors-for-leak-kinds=definite,indirect,possible",
            "--error-exitcode=99"]


def test_valgrind_finds_no_leak_over_1000_requests(make_site):
    """Accepted, refused and repeated ones, through receiver and deliverer."""
    site = make_site()
    with site.conf.open("a") as conf:
        conf.write('target "script" {\n    run = {"/bin/cat"}\n    batch = 20\n}\n')
    logs = {name: site.folder / f"valgrind.{name}" for name in ("serve", "deliver")}
    server = site.serve([*VALGRIND, f"--log-file={logs['serve']}"])
    names = ["virtual-one", "virtual-ten", "pretty-printed", "unicode", "bad-secret", "no-signature"]
    for number in range(1000):
        if number % 10 < len(names):
            assert site.post_fastcgi(sample(names[number % 10])).status in (200, 401)
        elif number % 10 == 6:
            assert site.post_fastcgi(b"[" * number).status == 400
        else:
            assert site.post_fastcgi(sign.body(nonce=str(number))).status == 200
    assert site.stop(server) == 0, logs["serve"].read_text()
    done = site.run("-c", site.conf, "deliver", "--once", prefix=[*VALGRIND, f"--log-file={logs['deliver']}"])
    assert done.returncode == 0, logs["deliver"].read_text()
    assert len(site.records()) == 14 + 300
    assert len(site.audit(what="delivery", target="script", result="done")) == 304
    for log in logs.values():
        reachable = re.findall(r" ([\d,]+) bytes in [\d,]+ blocks are still reachable", log.read_text())
        assert sum(int(size.replace(",", "")) for size in reachable) < 64 * 1024, log.read_text()


def test_the_deliverer_gives_the_memory_of_a_large_event_back(make_site, tmp_path):
    out = tmp_path / "out"
    site = make_site(targets=f'target "crm" {{\n    run = {{"/bin/sh", "-c", "wc -c >> {out}"}}\n}}\n')
    child = site.start([site.program, "-c", site.conf, "deliver", "--stay"])
    site.post_cgi(sign.body(nonce="small"))
    wait_for(lambda: out.exists() and out.read_text().count("\n") == 1, "the script ran")
    before = memory(child.pid, "VmRSS")
    assert site.post_cgi(sign.body(data=b'[{"x":"' + b"y" * 9_000_000 + b'"}]', nonce="large")).status == 200
    wait_for(lambda: out.read_text().count("\n") == 2, "the script ran")
    assert memory(child.pid, "VmHWM") > before + 9_000_000
    wait_for(lambda: memory(child.pid, "VmRSS") < before + 5_000_000, "it is small again")

"""What the receiver and the deliverer keep."""

import re

import pytest

import sign
from sites import memory, sample, wait_for

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
    assert memory(server.pid, "VmRSS") < 8 * MB, "it is given back"


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": "-1"}], ids=["declared", "not declared"])
def test_a_body_that_is_too_large_costs_next_to_nothing(site, length):
    server = site.serve()
    assert site.post_fastcgi(sample("virtual-one")).status == 200
    before = memory(server.pid, "VmHWM")
    assert site.post_fastcgi(big_body(40 * MB), **length).status == 413
    allowed = 11 * MB if length else MB
    assert memory(server.pid, "VmHWM") - before < allowed


def test_valgrind_finds_no_leak_over_1000_requests(make_site):
    """Accepted, refused and repeated ones, through receiver and deliverer."""
    site = make_site(deliver="auto")
    server = site.serve(["valgrind", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
                         "--errors-for-leak-kinds=definite,indirect,possible", "--error-exitcode=99",
                         "--trace-children=yes", "--child-silent-after-fork=yes", f"--log-file={site.folder}/valgrind.%p"])
    names = ["virtual-one", "virtual-ten", "pretty-printed", "unicode", "bad-secret", "no-signature"]
    for number in range(1000):
        if number % 10 < len(names):
            assert site.post_fastcgi(sample(names[number % 10])).status in (200, 401)
        elif number % 10 == 6:
            assert site.post_fastcgi(b"[" * number).status == 400
        else:
            assert site.post_fastcgi(sign.body(nonce=str(number))).status == 200
    wait_for(lambda: len(site.records()) == 14 + 300, "all is delivered")
    site.end_deliverer()
    assert site.stop(server) == 0
    logs = [path.read_text() for path in site.folder.glob("valgrind.*")]
    seen = [log for log in logs if "ERROR SUMMARY" in log]
    assert any("serve" in log for log in seen) and any("deliver" in log for log in seen)
    for log in seen:
        assert re.search(r"ERROR SUMMARY: 0 errors", log), log
        reachable = re.search(r"still reachable: ([\d,]+) bytes", log)
        assert not reachable or int(reachable.group(1).replace(",", "")) < 64 * 1024, log

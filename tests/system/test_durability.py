"""What got a 200 is never lost and never delivered twice, whatever happens to the processes."""

import collections
import contextlib
import fcntl
import json
import os
import pathlib
import pwd
import random
import signal
import socket
import subprocess
import tempfile
import time

import pytest

import calls
import fastcgi
import sign
from ledger import Ledger
from load import Load
from sites import PROGRAM, SANITIZED, Answer, Site, all_at_once, is_alive, processes, variables, wait_for

ROUNDS = int(os.environ.get("HOOKSPOOL_ROUNDS", "10" if SANITIZED else "50"))

STRACE = ["strace", "-f", "-yy", "-s", "100000", "-e", "trace=openat,write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync"]

GOOD_TRACE = r"""
7 openat(5</s/journal>, "x.jsonl", O_RDWR|O_CREAT|O_EXCL, 0600) = 6</s/journal/x.jsonl>
7 fsync(5</s/journal>) = 0
7 writev(6</s/journal/x.jsonl>, [{iov_base="{\"event_id\":\"0123456789abcdef0123456789abcdef\"", iov_len=9}], 1 <unfinished ...>
8 write(9<UNIX-STREAM:[1]>, "other", 5) = 5
7 <... writev resumed>) = 9
7 fdatasync(6</s/journal/x.jsonl>) = 0
7 write(8<UNIX-STREAM:[1]>, "{\"status\":\"accepted\",\"id\":\"0123456789abcdef0123456789abcdef\"", 9) = 9
""".strip().splitlines()


@pytest.mark.parametrize("case, lines, good", [
    ("as it should be", [0, 1, 2, 3, 4, 5, 6], True),
    ("no sync", [0, 1, 2, 3, 4, 6], False),
    ("sync begun before the write returned", [0, 1, 2, 5, 4, 6], False),
    ("answer before the sync", [0, 1, 2, 3, 4, 6, 5], False),
    ("no sync of the folder", [0, 2, 3, 4, 5, 6], False),
    ("folder synced before the file was there", [1, 0, 2, 3, 4, 5, 6], False),
], ids=lambda value: value if isinstance(value, str) else "")
def test_the_reading_of_traces_can_fail(case, lines, good):
    trace = calls.parse("\n".join(GOOD_TRACE[i] for i in lines))
    assert len(list(calls.answers(trace))) == 1
    assert (calls.faults(trace) == []) == good


@pytest.mark.parametrize("mounted", ["serve", "cgi"])
def test_an_answer_comes_after_the_sync(site, mounted):
    output = site.folder / "trace"
    strace = [*STRACE, "-o", output]
    if mounted == "serve":
        server = site.serve(strace, leaks=False)
        bodies = [sign.body(nonce=str(i)) for i in range(200)]
        answers = all_at_once([lambda body=body: site.post_fastcgi(body) for body in bodies])
        receiver, = [pid for pid, parent in processes().items() if parent == server.pid]
        os.kill(receiver, signal.SIGTERM)
        assert server.wait(60) == 0
    else:
        answers = [site.post_cgi(sign.body(), strace, leaks=False)]
    assert {answer.status for answer in answers} == {200}
    trace = calls.parse(output.read_text())
    assert {event_id for event_id, _ in calls.answers(trace)} == {answer.json["id"] for answer in answers}
    assert calls.faults(trace) == []


def test_kill_9_at_random_under_load_loses_nothing(make_site):
    seed = int(os.environ.get("HOOKSPOOL_SEED", "0")) or random.randrange(1, 1 << 32)
    print(f"HOOKSPOOL_SEED={seed} HOOKSPOOL_ROUNDS={ROUNDS}")
    chance = random.Random(seed)
    site = make_site(deliver="auto")
    ledger = Ledger()
    server = site.serve()
    killed = {"receiver": 0, "deliverer": 0}
    with Load(site.socket, ledger, senders=8, seed=seed) as load:
        for _ in range(ROUNDS):
            ledger.wait_for_accepted(len(ledger.accepted) + chance.randrange(1, 150))
            time.sleep(chance.random() * 0.01)  # so that it falls anywhere within a batch
            victims = chance.choice([["receiver"], ["deliverer"], ["receiver", "deliverer"]])
            if "deliverer" in victims:
                pid = wait_for(site.deliverer, "there is a deliverer")
                os.kill(pid, signal.SIGKILL)
                killed["deliverer"] += 1
            if "receiver" in victims:
                site.stop(server, signal.SIGKILL)
                killed["receiver"] += 1
                server = site.serve()
        ledger.wait_for_accepted(len(ledger.accepted) + 100)
        load.stop()
    assert site.stop(server) == 0
    site.end_deliverer()
    site.deliver()
    print(killed, ledger.statuses, len(ledger.accepted), "accepted")
    assert min(killed.values()) > 0
    ledger.check(site.content)


def test_kill_9_of_cgi_requests_loses_nothing(site):
    seed = int(os.environ.get("HOOKSPOOL_SEED", "0")) or random.randrange(1, 1 << 32)
    print(f"HOOKSPOOL_SEED={seed}")
    chance = random.Random(seed)
    ledger = Ledger()

    def post(number):
        marker = f"cgi-{number}"
        body = sign.body(b'[{"id":"%s"}]' % marker.encode(), marker)
        ledger.sending(marker)
        child = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 env={**site.environment(), **variables(body)})
        try:
            child.stdin.write(body)
            child.stdin.close()
        except BrokenPipeError:
            pass
        if number % 2:
            time.sleep(delays[number])
            child.kill()
        output = child.stdout.read()
        child.wait(60)
        if output:
            ledger.answered(marker, Answer.parse(output))

    delays = [chance.random() * (0.2 if SANITIZED else 0.02) for _ in range(100)]
    for first in range(0, 100, 10):
        all_at_once([lambda number=number: post(number) for number in range(first, first + 10)])
    site.deliver()
    print(ledger.statuses)
    assert len(ledger.accepted) >= 50
    ledger.check(site.content)


def test_sigterm_under_load_answers_what_is_in_flight(make_site):
    site = make_site(deliver="auto")
    ledger = Ledger()
    server = site.serve()
    body = sign.body(b'[{"id":"half","text":"%s"}]' % (b"x" * 100000), "half")
    message = fastcgi.begin(keep=False) + fastcgi.params(variables(body)) + fastcgi.stream(fastcgi.STDIN, body, chunk=1000)
    with Load(site.socket, ledger, senders=8):
        ledger.wait_for_accepted(100)
        halves = [fastcgi.Connection(site.socket) for _ in range(8)]
        for half in halves:
            half.send(message[:50000])
        wait_for(lambda: all(half.is_read() for half in halves), "the halves are being read")
        server.send_signal(signal.SIGTERM)
        for half in halves:
            half.send(message[50000:])
        told = [Answer.parse(half.answer()) for half in halves]
        assert server.wait(15 if SANITIZED else 5) == 0
    ledger.sending("half")
    for answer in told:
        assert answer.status == 200
        ledger.answered("half", answer)
    site.end_deliverer()
    site.deliver()
    print(ledger.statuses)
    ledger.check(site.content)


HANGS = """
target "hangs" {
    run = {"/bin/sh", "-c", "trap '' TERM; echo begun >> $0; while :; do sleep 1; done", "%s"}
}
"""


@pytest.mark.parametrize("deliver", ["manual", "auto"])
def test_sigterm_waits_neither_for_a_silent_sender_nor_for_a_script(make_site, tmp_path, deliver):
    begun = tmp_path / "begun"
    site = make_site(deliver=deliver, targets=HANGS % begun)
    server = site.serve()
    if deliver == "auto":
        assert site.post_fastcgi(sign.body()).status == 200
        wait_for(begun.exists, "the script hangs")
    silent, half = fastcgi.Connection(site.socket), fastcgi.Connection(site.socket)
    half.send(fastcgi.begin() + fastcgi.params(variables(b"x" * 1000)) + fastcgi.record(fastcgi.STDIN, b"x" * 10))
    wait_for(half.is_read, "it is being read")
    server.send_signal(signal.SIGTERM)
    assert server.wait(15 if SANITIZED else 5) == 0
    silent.close()
    half.close()


def test_sigterm_waits_for_nobody_at_the_door(site):
    """More than there can be threads, each in the middle of its body."""
    server = site.serve()
    about = fastcgi.begin() + fastcgi.params(variables(b"x" * 1000)) + fastcgi.record(fastcgi.STDIN, b"x" * 10)
    with contextlib.ExitStack() as senders:
        for _ in range(200):
            senders.enter_context(fastcgi.Connection(site.socket)).send(about)
        server.send_signal(signal.SIGTERM)
        assert server.wait(15 if SANITIZED else 5) == 0


def test_a_peer_that_reads_no_answer_holds_up_nobody_for_long(site):
    """Its answers fill the socket, and whoever writes the next one waits."""
    server = site.serve()
    request = fastcgi.begin() + fastcgi.params({"REQUEST_METHOD": "GET", "REQUEST_URI": "/x"}) + fastcgi.record(fastcgi.STDIN)
    with fastcgi.Connection(site.socket, timeout=1) as deaf:
        with pytest.raises(OSError):  # full in both directions, or cut off
            while True:
                deaf.send(request)
        with fastcgi.Connection(site.socket, timeout=30) as good:
            body = sign.body()
            assert Answer.parse(good.request(variables(body), body)).status == 200
        assert site.stop(server) == 0


def test_a_receiver_that_was_killed_leaves_its_socket_free(site):
    server = site.serve()
    site.stop(server, signal.SIGKILL)
    assert site.socket.exists()
    site.serve()
    assert site.post_fastcgi(sign.body()).status == 200


def test_a_receiver_waits_for_a_socket_that_is_given_up(site):
    """What a killed receiver was about to start may hold its socket for a moment more."""
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(site.socket))
        held.listen()
        child = site.start_serve()
        held.accept()[0].close()  # it has asked whether somebody listens
    site.wait_for_serve(child)
    assert site.post_fastcgi(sign.body()).status == 200


def test_a_second_receiver_does_not_take_the_socket(site):
    site.serve()
    second = site.run("-c", site.conf, "serve", "-s", site.socket)
    assert second.returncode != 0
    assert b"fcgi.sock" in second.stderr
    assert site.post_fastcgi(sign.body()).status == 200


NEVER = """
target "records" {
    file = "%s/records.jsonl"
}
target "never" {
    run = {"/bin/sh", "-c", "exit 100"}
}
"""


@pytest.mark.plain
@pytest.mark.parametrize("call, error", [("pread64", "EIO"), ("getdents64", "EBADMSG")])
def test_what_fails_once_is_not_taken_for_damage(make_site, tmp_path, call, error):
    """What stands in the journal would be delivered again without it. SQLite says of a read error that the database is
    damaged, and a file system of its own folders what others say of a database."""
    site = make_site(targets=NEVER % tmp_path)
    site.records_file = tmp_path / "records.jsonl"
    for number in range(10):
        assert site.post_cgi(sign.body(nonce=f"before {number}")).status == 200
    site.deliver()
    count, trace = 10, tmp_path / "trace"
    for when in range(1, 100):
        assert site.post_cgi(sign.body(nonce=f"{when}")).status == 200
        only = ["-P", site.spool / "state.db"] if call == "pread64" else []
        site.run("-c", site.conf, "deliver", "--once",
                 prefix=["strace", "-o", trace, *only, "-e", f"inject={call}:error={error}:when={when}"])
        site.deliver()
        count += 1
        assert len(site.records()) == count
        assert not list(site.spool.glob("state.db.damaged-*"))
        if "INJECTED" not in trace.read_text():
            break
    assert when > 3


def test_a_torn_tail_is_dropped_and_damage_is_set_aside(site):
    """An unlocked segment with a good line, a damaged one, a good one and a torn one."""
    for nonce in ("a", "b", "c", "d"):
        assert site.post_cgi(sign.body(b'[{"id":"%s"}]' % nonce.encode(), nonce)).status == 200
    segments = sorted(site.spool.glob("journal/*.jsonl"))
    lines = [segment.read_bytes() for segment in segments]
    assert len(lines) == 4
    lines[1] = lines[1].replace(b'"id":"b"', b'"id":"B"')
    lines[3] = lines[3][:-20]
    for segment in segments[1:]:
        segment.unlink()
    segments[0].write_bytes(b"".join(lines))
    site.deliver()
    assert [line[-11:] for line in site.records()] == [b'{"id":"a"}}', b'{"id":"c"}}']
    damaged = b"".join(path.read_bytes() for path in site.spool.glob("damaged/*"))
    assert b'"id":\\"B\\"' in damaged or b'"id":"B"' in damaged
    assert b'"id":"d"' not in damaged


def remove(segment):
    segment.unlink()


def move(segment):
    segment.rename(segment.parents[2] / segment.name)


def replace(segment):
    move(segment)
    segment.touch()


def is_locked(path):
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except FileNotFoundError:  # put away meanwhile
        return False


def open_segment(site, before=()):
    """The one that the only receiver writes to, once it is none of those. It holds no other one locked for long."""
    def find():
        return [path for path in site.spool.glob("journal/*.jsonl") if path not in before and is_locked(path)]

    return max(wait_for(find, "there is a segment"))


@pytest.mark.parametrize("take", [remove, move, replace])
@pytest.mark.parametrize("deliver", ["manual", "auto"])
def test_an_open_segment_that_is_taken_away_loses_nothing(make_site, deliver, take):
    """As by a job that cleans, or a second deliverer that does not see the lock."""
    site = make_site(deliver=deliver)
    ledger = Ledger()
    server = site.serve()
    taken = []
    with Load(site.socket, ledger, senders=4) as load:
        for _ in range(10):
            taken.append(open_segment(site, before=taken))
            ledger.wait_for_accepted(len(ledger.accepted) + 20)
            take(taken[-1])
        open_segment(site, before=taken)
        ledger.wait_for_accepted(len(ledger.accepted) + 20)
        load.stop()
    assert site.stop(server) == 0
    site.end_deliverer()
    site.deliver()
    print(ledger.statuses, len(ledger.accepted), "accepted")
    ledger.check(site.content)
    told = (site.folder / "serve.log").read_text()
    assert all(f"{segment} was removed, moved or replaced" in told for segment in taken)


def test_a_segment_that_is_taken_away_before_the_receiver_ends_loses_nothing(site):
    server = site.serve()
    for number in range(3):
        assert site.post_fastcgi(sign.body(nonce=str(number))).status == 200
    open_segment(site).unlink()
    assert site.stop(server) == 0
    site.deliver()
    assert len(site.records()) == 3


def test_an_empty_folder_at_the_spools_path_is_no_spool(site):
    """It may be where the spool was mounted. The message says what to do, and that works."""
    server = site.serve()
    assert site.post_fastcgi(sign.body(nonce="before")).status == 200
    site.spool.rename(site.folder / "away")
    site.spool.mkdir(mode=0o700)
    assert site.post_fastcgi(sign.body(nonce="meanwhile")).status == 503
    assert list(site.spool.iterdir()) == []
    log = (site.folder / "serve.log").read_text()
    assert f"{site.spool} has no journal/ any more" in log and "restart the receiver" in log
    assert site.stop(server) == 0
    site.serve()
    assert site.post_fastcgi(sign.body(nonce="after")).status == 200


def test_a_lost_state_loses_nothing(site):
    for nonce in ("a", "b"):
        assert site.post_cgi(sign.body(nonce=nonce)).status == 200
    site.deliver()
    for path in site.spool.glob("state.db*"):
        path.unlink()
    assert site.post_cgi(sign.body(nonce="a")).status == 200
    assert site.post_cgi(sign.body(nonce="c")).status == 200
    site.deliver()
    assert len(site.records()) == 3  # `a` was known from the archive


def test_a_second_deliverer_yields(make_site):
    site = make_site(deliver="auto")
    site.serve()
    first = wait_for(site.deliverer, "there is a deliverer")
    site.deliver()
    assert site.deliverer() == first and is_alive(first)


def sizes(site):
    """Of what stands in the spool, by folder or name; the audit trail is bounded by itself, the lock has a number."""
    found = collections.Counter()
    for path in site.spool.rglob("*"):
        if path.is_file() and not path.name.startswith(("audit.jsonl", "deliver.lock")):
            found[path.relative_to(site.spool).parts[0]] += path.stat().st_size
    return +found


def test_a_spool_gets_as_small_as_it_was(make_site):
    """When all is delivered, and `keep` and `remember` have passed."""
    site = make_site(options='keep = "1d"\nremember = "2d"', targets="""target "records" {
    file = "%{date}.jsonl"
}
target "script" {
    run = {"/bin/true"}
    batch = 100
}
""")
    site.post_cgi(sign.body(nonce="first"))
    site.deliver()
    site.deliver(later="+3d")
    site.deliver(later="+3d")
    small = sizes(site)
    server = site.serve()
    for number in range(500):
        assert site.post_fastcgi(sign.body(nonce=str(number))).status == 200
    site.stop(server)
    site.deliver(later="+3d")
    grown = sizes(site)
    assert grown["state.db"] > small["state.db"] and grown["archive"] > 100000, grown
    site.deliver(later="+6d")
    site.deliver(later="+6d")
    assert sizes(site) == small


def post_as(site, marker):
    """A CGI run of the site's user."""
    body = sign.body(f'[{{"id":"{marker}"}}]'.encode(), marker)
    run = subprocess.run([site.program], input=body, stdout=subprocess.PIPE, timeout=60,
                         env={**site.environment(False), **variables(body)}, **site.identity)
    assert Answer.parse(run.stdout).status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_a_journal_file_of_another_user():
    """As after a restore by root: it is named, with what to do, and what was received after it waits."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        site = Site(pathlib.Path(folder) / "site")
        nobody = pwd.getpwnam("nobody")
        site.identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for path in site.folder, *site.folder.iterdir():
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        post_as(site, "1")
        (segment,) = site.spool.glob("journal/*.jsonl")
        os.chown(segment, 0, 0)
        post_as(site, "2")
        for arguments, code in ((["deliver", "--once"], 74), (["status"], 2), (["check"], 1), (["show", "0" * 32], 74),
                                (["replay", "--since", "2h"], 74)):
            done = site.run("-c", site.conf, *arguments)
            assert done.returncode == code, (arguments, done)
            assert segment.name.encode() in done.stdout + done.stderr and b"chown" in done.stdout + done.stderr
        assert site.records() == []
        os.chown(segment, nobody.pw_uid, nobody.pw_gid)
        site.deliver()
        assert [json.loads(line)["data"]["id"] for line in site.records()] == ["1", "2"]
        assert site.run("-c", site.conf, "status").returncode == 0
        (kept,) = site.spool.glob("archive/*.jsonl")
        os.chown(kept, 0, 0)
        kept.chmod(0o600)
        done = site.run("-c", site.conf, "show", "0" * 32)
        assert done.returncode == 74 and f"archive/{kept.name}: cannot be read".encode() in done.stderr
        site.close()

"""Receiver and deliverer as two users: what the modes let each of them do, and a spool of an earlier version."""

import json
import os
import re
import stat
import subprocess

import pytest

import sign
from gates import Gate
from sites import ROOT, variables, wait_for
from users import DELIVERER, RECEIVER, Pair, event, identity

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs to be two users")


@pytest.fixture
def make_pair():
    pairs = []

    def make(**options):
        pairs.append(Pair(**options))
        return pairs[-1]

    yield make
    for pair in pairs:
        pair.close()


@pytest.fixture
def pair(make_pair):
    return make_pair()


def mode(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


MODES = {".": 0o2750, "journal": 0o2770, "errands": 0o2770, "audit": 0o2770, "archive": 0o2750, "damaged": 0o2750, "trigger": 0o660,
         "state.db": 0o640, "deliver.lock": 0o640, "audit/audit.jsonl": 0o660}


def check_modes(pair):
    for name, wanted in MODES.items():
        path = pair.spool / name
        assert mode(path) == oct(wanted), name
        assert path.stat().st_gid == pair.identity["extra_groups"][0], name
        assert path.stat().st_uid == DELIVERER or name == "audit/audit.jsonl", name


def test_each_may_do_its_part(pair):
    pair.deliver()
    assert pair.post_cgi(event(1)).status == 200
    (segment,) = (pair.spool / "journal").iterdir()
    assert segment.stat().st_uid == RECEIVER and mode(segment) == oct(0o660)
    pair.deliver()
    assert len(pair.records()) == 1
    check_modes(pair)
    assert [line["what"] for line in pair.audit()] == ["request", "delivery"]
    for file in (pair.spool / "archive").iterdir():
        assert mode(file) == oct(0o640) and file.stat().st_uid == DELIVERER


def test_the_receiver_may_not_do_the_deliverers(pair):
    pair.deliver()
    assert pair.post_cgi(event(1)).status == 200
    pair.deliver()
    for forbidden in ("> state.db", "> new", "mv trigger other", "rm deliver.lock", "rm -r journal", "mv audit other", "mkdir folder",
                      "echo > archive/*", "rm archive/*", "> archive/new", "> damaged/new", "mv archive other", "chmod 777 .",
                      "> deliver.lock", "ln -s /etc errands2", "> ../new"):
        assert not pair.as_receiver(forbidden), forbidden
    for allowed in ("> journal/x", "rm journal/x", "> errands/all", "cat archive/* > /dev/null", "echo >> audit/audit.jsonl"):
        assert pair.as_receiver(allowed), allowed


@pytest.mark.parametrize("words, spoil", [
    ("{0} cannot be made by this user (uid {1}): its folder must be readable and writable", lambda folder: folder.chmod(0o755)),
    ("the folder above {0} cannot be entered by this user (uid {1})", lambda folder: folder.chmod(0o700)),
    ("{0} cannot be read and written by this user (uid {1})", lambda folder: folder.joinpath("records.jsonl").write_text("")),
], ids=["made", "entered", "read"])
def test_what_the_deliverer_may_not_write_is_named(pair, words, spoil):
    """A folder of root's."""
    folder = pair.folder / "var" / "records"
    folder.mkdir()
    pair.conf.write_text(pair.conf.read_text().replace(str(pair.records_file), f"{folder}/records.jsonl"))
    spoil(folder)
    pair.deliver()
    assert pair.post_cgi(event(1)).status == 200
    pair.deliver()
    detail = pair.audit(what="delivery")[-1]["detail"]
    assert words.format(f"{folder}/records.jsonl", DELIVERER) in detail


def test_a_receiver_that_comes_first_says_what_to_do(pair):
    answer = pair.post_cgi(event(1))
    assert answer.status == 503 and "hookspool deliver" in pair.said and str(pair.spool) in pair.said
    assert not pair.spool.exists()
    # A folder that an administrator made, and no deliverer has seen.
    pair.spool.mkdir(mode=0o750)
    os.chown(pair.spool, DELIVERER, pair.identity["extra_groups"][0])
    answer = pair.post_cgi(event(1))
    assert answer.status == 503 and "hookspool deliver" in pair.said and "journal" in pair.said
    pair.deliver()
    assert pair.post_cgi(event(1)).status == 200
    pair.deliver()
    assert len(pair.records()) == 1


def make_early(pair, owner):
    """As an earlier version left it: group-writable, the audit trail in the spool's own folder."""
    pair.deliver()
    for number in (1, 2):
        assert pair.post_cgi(event(number)).status == 200
        if number == 1:
            pair.deliver()
    for name in ("audit.jsonl",):
        (pair.spool / "audit" / name).rename(pair.spool / name)
    (pair.spool / "audit").rmdir()
    for path in pair.spool.rglob("*"):
        path.chmod(0o2770 if path.is_dir() else 0o660)
        if path.name == "journal" or owner != DELIVERER:
            os.chown(path, RECEIVER, -1)
    pair.spool.chmod(0o2770)
    os.chown(pair.spool, owner, -1)


def test_an_early_spool_is_taken_over(pair):
    make_early(pair, DELIVERER)
    pair.deliver()
    assert len(pair.records()) == 2
    assert not (pair.spool / "audit.jsonl").exists()
    assert [line["what"] for line in pair.audit()] == ["request", "delivery", "request", "delivery"]
    os.chown(pair.spool / "journal", DELIVERER, -1)
    check_modes(pair)
    assert pair.post_cgi(event(3)).status == 200
    pair.deliver()
    assert len(pair.records()) == 3


def test_an_early_spool_of_the_receivers_is_refused_with_a_command(pair):
    make_early(pair, RECEIVER)
    said = subprocess.run([pair.program, "-c", pair.conf, "check"], capture_output=True, timeout=60).stdout.decode()  # as root
    assert f"id {RECEIVER}" in said and f"chown -Rh USER {pair.spool}" in said
    done = pair.run("-c", pair.conf, "deliver", "--once")
    assert done.returncode == 77
    advice = re.search(r"chown -Rh .*", done.stderr.decode()).group(0)
    assert pair.post_cgi(event(3)).status == 200, "nothing keeps the receiver from it"
    subprocess.run(["sh", "-c", advice], check=True)
    pair.deliver()
    assert len(pair.records()) == 3
    check_modes(pair)


def test_killed_anywhere_while_it_takes_over_it_goes_on(make_pair):
    """At each system call that changes a mode or a name."""
    for call in ("fchownat", "fchmodat", "fchown", "fchmod", "rename,renameat,renameat2", "mkdirat"):
        for number in range(1, 99):
            pair = make_pair()
            make_early(pair, DELIVERER)
            killed = pair.run("-c", pair.conf, "deliver", "--once", cwd="/", prefix=[
                "strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={number}"])
            pair.deliver()
            os.chown(pair.spool / "journal", DELIVERER, -1)
            check_modes(pair)
            assert len(pair.records()) == 2
            assert [line["what"] for line in pair.audit()].count("request") == 2
            if killed.returncode == 0:
                break


PLANTED = {
    "a folder for an errand": ("mkdir errands/all", "errands/all is no regular file"),
    "a thousand FIFOs": ("for n in $(seq 1100); do echo journal/20200101T000000.000000Z-1-$(printf %08x $n).jsonl; done | xargs mkfifo",
                         "is no regular file; it is passed over, as 1099 others are"),
    "a folder in the journal": ("mkdir journal/20200101T000000.000000Z-1-00000000.jsonl", "is no regular file"),
    "a link": ("ln -s /etc/shadow journal/20200101T000000.000000Z-1-00000000.jsonl", "is no regular file"),
    "a file that only it reads": ("umask 077; echo x > journal/20200101T000000.000000Z-1-00000000.jsonl", "cannot be read by the deliverer"),
    "a line without an end": ("truncate -s 1T journal/20200101T000000.000000Z-1-00000000.jsonl; chmod 660 journal/2020*", None),
    "something else": ("echo x > journal/notes", "journal/notes is nothing that belongs there"),
    "a FIFO for the trail": ("rm -f audit/audit.jsonl; mkfifo audit/audit.jsonl", "audit/audit.jsonl is no regular file"),
    "a trail without an end": ("truncate -s 1T audit/audit.jsonl; chmod 660 audit/audit.jsonl", None),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_the_receiver_plants_holds_nothing_up(pair, what):
    script, told = PLANTED[what]
    pair.deliver()
    assert pair.as_receiver(script)
    assert pair.post_cgi(event(1)).status == 200
    done = pair.run("-c", pair.conf, "deliver", "--once", prefix=["timeout", "60", "prlimit", "--nofile=256", f"--as={1 << 30}"])
    assert done.returncode == 0, done.stderr
    assert len(pair.records()) == 1
    assert "journal" not in what or b"is passed over" in done.stderr
    status = pair.run("-c", pair.conf, "status", "--json")
    if told:
        assert status.returncode == 2 and told in json.loads(status.stdout)["why"]
        assert told.encode() in pair.run("-c", pair.conf, "status").stdout
    assert not list((pair.spool / "archive").glob("2020*-1-*"))


def test_a_hard_link_makes_nothing_of_the_deliverers_known_or_changed(pair):
    """Where the kernel lets a user make one of a file that it may not read (fs.protected_hardlinks)."""
    pair.deliver()
    diary = pair.folder / "var" / "diary"
    diary.write_text("private\n")
    diary.chmod(0o600)
    os.chown(diary, DELIVERER, DELIVERER)
    (pair.spool / "audit" / "audit.jsonl").unlink(missing_ok=True)
    for name in ("journal/20200101T000000.000000Z-1-00000000.jsonl", "audit/audit.jsonl"):
        os.link(diary, pair.spool / name)
    assert pair.post_cgi(event(1)).status == 200
    pair.deliver()
    assert len(pair.records()) == 1
    assert diary.read_text() == "private\n" and mode(diary) == oct(0o600)
    assert not list((pair.spool / "damaged").iterdir())


def test_what_is_put_away_is_the_deliverers(pair):
    """Also a large segment, which one user alone would have moved as it is: its maker may still have it open."""
    pair.deliver()
    body = sign.body(b'[{"id":"1","text":"%s"}]' % (b"x" * 3_000_000))
    assert pair.post_cgi(body).status == 200
    pair.deliver()
    (archived,) = (pair.spool / "archive").iterdir()
    assert archived.stat().st_uid == DELIVERER and mode(archived) == oct(0o640) and archived.stat().st_size > 3_000_000


def as_root(pair, *arguments):
    return subprocess.run([pair.program, "-c", pair.conf, *arguments], capture_output=True, timeout=60, env=pair.environment())


def strange(pair):
    """What stands in the spool's folder or beside it and is not its user's."""
    return [path for path in (pair.folder / "var").rglob("*") if path.lstat().st_uid != DELIVERER]


@pytest.mark.parametrize("group", [False, True], ids=["one user", "two users"])
def test_root_delivers_as_the_spools_owner(make_pair, group):
    pair = make_pair(targets="""target "records" {
    file = "records.jsonl"
}
target "who" {
    run = {"/bin/sh", "-c", "id -u > $HOOKSPOOL_TEST_OUT; exit 100"}
}
""".replace("$HOOKSPOOL_TEST_OUT", "var/who"))
    text = pair.conf.read_text().replace("records.jsonl", f"{pair.folder}/var/records.jsonl").replace("var/who", f"{pair.folder}/var/who")
    pair.conf.write_text(text if group else text.replace('group = "nogroup"\n', ""))
    assert as_root(pair, "deliver", "--once").returncode == 0
    assert pair.spool.stat().st_uid == DELIVERER, "as whoever the folder belongs to that it is made in"
    # A receiver of root's, too.
    answer = subprocess.run([pair.program], input=event(1), capture_output=True, timeout=60,
                            env={**pair.environment(), **variables(event(1))})
    assert b"Status: 200" in answer.stdout, answer.stderr
    assert strange(pair) == []
    assert as_root(pair, "deliver", "--once").returncode == 0
    assert len(pair.records()) == 1 and (pair.folder / "var" / "who").read_text() == f"{DELIVERER}\n"
    for command in ("retry", "drop"):
        assert as_root(pair, command, "--all").returncode == 0
        assert as_root(pair, "deliver", "--once").returncode == 0
    assert as_root(pair, "replay", "--since", "1h").returncode == 0
    assert strange(pair) == []
    pair.deliver()
    assert len(pair.records()) == 2


def postrm(tmp_path, spool):
    script = (ROOT / "debian" / "hookspool.postrm").read_text()
    script = script.replace(" /etc/hookspool", f" {tmp_path}/etc").replace(" /var/lib/hookspool", f" {spool}")
    return subprocess.run(["sh", "-c", script, "postrm", "purge"], capture_output=True, timeout=60)


def fill(folder):
    (folder / "journal").mkdir(parents=True)
    (folder / "journal" / ".x").write_text("x")


@pytest.mark.parametrize("kind", ["a folder", "a link", "a mount point", "not there"])
def test_purging_removes_the_spool(tmp_path, kind):
    spool, behind = tmp_path / "spool", tmp_path / "disk"
    fill(tmp_path / "etc")
    if kind == "a link":
        fill(behind)
        spool.symlink_to(behind)
    elif kind == "a mount point":
        spool.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "none", spool]).returncode != 0:
            pytest.skip("cannot mount here")
        fill(spool)
    elif kind == "a folder":
        fill(spool)
    try:
        done = postrm(tmp_path, spool)
        assert done.returncode == 0, done.stderr
        assert not (tmp_path / "etc").exists() and not behind.exists()
        if kind == "a mount point":
            assert list(spool.iterdir()) == [] and b"is left" in done.stderr
        else:
            assert not os.path.lexists(spool) and done.stderr == b""
        assert postrm(tmp_path, spool).returncode == 0, "again"
    finally:
        if kind == "a mount point":
            subprocess.run(["umount", spool], check=True)


@pytest.mark.parametrize("runs", [False, True], ids=["no deliverer", "a deliverer"])
def test_a_member_of_the_group_can_look(pair, runs):
    """It can read, and write nothing."""
    pair.deliver()
    event_id = pair.post_cgi(event(1)).json["id"]
    pair.deliver()
    if runs:
        pair.start([pair.program, "-c", pair.conf, "deliver", "--stay"], cwd="/")
        wait_for(lambda: (pair.spool / "state.db-shm").exists(), "it has begun")
    before = sorted(os.listdir(pair.spool))
    for command in (("status",), ("show", event_id), ("log",), ("parked",)):
        done = subprocess.run([pair.program, "-c", pair.conf, *command], capture_output=True, timeout=60, cwd="/",
                              env=pair.environment(), **identity(61003))
        assert done.returncode == 0 and done.stderr == b"", (command, done)
    assert sorted(os.listdir(pair.spool)) == before


def accepted(said):
    return json.loads(said)["accepted"]


@pytest.mark.parametrize("ends", [False, True], ids=["begins", "begins and ends"])
def test_status_goes_on_though_a_deliverer_begins(make_pair, ends):
    """At each of its looks at state.db in turn, which a member of the group reads without locks while no deliverer runs:
    it does not fail, tells of each event once, and leaves nothing of its own."""
    pair = make_pair()
    if not Gate.can_be_built():
        pytest.skip("nothing can be built, or the program is static and nothing can be preloaded")
    gate, looks, posted, reached = Gate(pair.folder), 0, 0, True

    def post():
        nonlocal posted
        assert pair.post_cgi(event(posted)).status == 200
        posted += 1

    pair.deliver()
    post()
    while reached:
        looks += 1
        child = pair.start([*gate.prefix(at=looks), pair.program, "-c", pair.conf, "status", "--json"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, **identity(RECEIVER))
        wait_for(lambda: gate.times() or child.poll() is not None, "it looks at state.db, or ends")
        reached, deliverer = gate.times() > 0, None
        if reached:
            post()
            if ends:
                pair.deliver()
            else:
                deliverer = pair.start([pair.program, "-c", pair.conf, "deliver", "--stay"])
                wait_for(lambda: len(pair.audit(what="delivery", result="done")) == posted, "it delivers")
        gate.open()
        said, wrong = child.communicate(timeout=60)
        assert (child.returncode, wrong) == (0, b""), looks
        assert posted - reached <= accepted(said) <= posted, looks
        gate.close()
        if deliverer:
            assert pair.stop(deliverer) == 0
        # What held its log is gone: the next one that ends takes it away.
        pair.deliver()
        assert [path.name for path in pair.spool.glob("state.db*")] == ["state.db"]
    assert looks > 5


@pytest.mark.parametrize("who", [RECEIVER, DELIVERER], ids=["member", "owner"])
def test_status_beside_deliverers_that_begin_and_end(pair, who):
    """Again and again, without a gate. Each event is told once, whether it is taken in or not."""
    pair.deliver()
    for posted in range(1, 51):
        assert pair.post_cgi(event(posted)).status == 200
        deliverer = pair.start([pair.program, "-c", pair.conf, "deliver", "--once"])
        while deliverer.poll() is None:
            done = subprocess.run([pair.program, "-c", pair.conf, "status", "--json"], capture_output=True, timeout=60,
                                  env=pair.environment(), **identity(who))
            assert (done.returncode, done.stderr) == (0, b"")
            assert accepted(done.stdout) == posted
        assert deliverer.returncode == 0
    assert len(pair.records()) == posted
    assert {path.stat().st_uid for path in pair.spool.glob("state.db*")} == {DELIVERER}

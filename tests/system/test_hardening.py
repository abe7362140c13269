"""What makes a mistake in memory harder to use, and where secrets must not be found."""

import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

import pytest

import sign
from sites import PROGRAM, ROOT, SANITIZED, SCRIPTS, Answer, is_alive, processes, variables, wait_for

NOBODY = 65534


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, PROGRAM], capture_output=True, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


@pytest.mark.plain
def test_the_program_is_position_independent():
    assert re.search(r"Type:\s+DYN", readelf("-h"))
    assert re.search(r"\(FLAGS_1\).*\bPIE\b", readelf("-d"))


@pytest.mark.plain
def test_what_is_relocated_is_read_only_from_the_start():
    assert "GNU_RELRO" in readelf("-l")
    assert re.search(r"\(FLAGS\).*\bBIND_NOW\b|\(FLAGS_1\).*\bNOW\b", readelf("-d"))


@pytest.mark.plain
def test_nothing_is_writable_and_executable():
    segments = re.findall(r"^\s+(LOAD|GNU_STACK)\s+.*0x\w+\s+([RWE ]{3})\s+0x\w+$", readelf("-l"), re.M)
    assert {name for name, _ in segments} == {"LOAD", "GNU_STACK"}
    assert not [flags for _, flags in segments if "W" in flags and "E" in flags]


@pytest.mark.plain
def test_no_library_is_looked_for_in_odd_places():
    assert not re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", readelf("-d"))


@pytest.mark.plain
def test_stacks_are_guarded_and_calls_are_checked():
    symbols = readelf("-s")
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__(snprintf|vsnprintf|memcpy|read|recv)_chk", symbols)


@pytest.mark.plain
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="a feature of x86")
def test_jumps_are_guarded():
    """-fcf-protection: no function of ours is without its landing mark."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert re.search(r"<main>:\n[^\n]*\bendbr64\b", listing)


def secrets(site):
    return site.secret.read_bytes().split()


def holds_a_secret(site, text):
    return any(word in text for word in secrets(site))


def test_no_secret_in_what_other_users_see(make_site, tmp_path):
    """The arguments and environments of receiver, deliverer and script, while all of them run."""
    pids = tmp_path / "pids"
    site = make_site(targets=f'target "crm" {{\n run = {{"{SCRIPTS}/hang", "{pids}"}}\n}}\n', deliver="auto")
    site.serve()
    assert site.post_fastcgi(sign.body()).status == 200
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 4, "the script runs")
    running = site.processes()
    assert len(running) >= 5
    for pid in running:
        for name in ("cmdline", "environ"):
            try:
                assert not holds_a_secret(site, pathlib.Path(f"/proc/{pid}/{name}").read_bytes()), (pid, name)
            except (FileNotFoundError, ProcessLookupError):
                pass
    for pid in map(int, pids.read_text().split()):
        assert is_alive(pid)


@pytest.mark.parametrize("mounted", ["cgi", "serve"])
def test_a_spool_below_the_document_root_is_told_and_not_made(site, mounted):
    """Every file in it would be everybody's to fetch."""
    body = sign.body()
    root = {"DOCUMENT_ROOT": str(site.folder)}
    if mounted == "serve":
        site.serve()
        assert site.post_fastcgi(body, **root).status == 500
        said = (site.folder / "serve.log").read_text()
    else:
        done = subprocess.run([PROGRAM], input=body, capture_output=True, timeout=60,
                              env={**site.environment(), **variables(body, **root)})
        assert Answer.parse(done.stdout).status == 500
        said = done.stderr.decode()
        assert not site.spool.exists()
    assert f"the spool {site.spool} is below the document root {site.folder}" in said
    assert site.journal() == b""


@pytest.mark.parametrize("arguments", [["check"], ["verify", "-"], ["sign", "-"], ["deliver", "--once"], ["nothing"], ["serve"]],
                         ids=lambda arguments: arguments[0])
@pytest.mark.parametrize("broken", [False, True], ids=["good", "broken configuration"])
def test_no_secret_in_messages(site, arguments, broken):
    if broken:
        site.write(site.conf, site.conf.read_text().replace("scheme =", "schem ="))
    for text in (sign.body(secret=b"another"), b"[", b'[{"id":"1"}]'):
        done = site.run("-c", site.conf, *arguments, input=text)
        assert not holds_a_secret(site, done.stdout + done.stderr)


def test_no_secret_in_a_message_about_its_file(site):
    words = secrets(site)
    for text in (b"\n".join(words * 20), words[0] + b"\0", b"\xef\xbb\xbf" + words[0], words[0] * 200):
        site.secret.write_bytes(text)
        done = site.run("-c", site.conf, "check")
        assert done.returncode == 78 and str(site.secret).encode() in done.stderr
        assert not any(word in done.stdout + done.stderr for word in words)


def test_no_secret_and_no_signature_is_written(make_site):
    """Neither the one that came nor the one that is right, whatever became of the request."""
    site = make_site(deliver="auto")
    site.serve()
    right = [sign.mac(algorithm, encoding, b"[]", "n").encode() for algorithm in ("sha1", "sha256") for encoding in sign.ENCODINGS]
    bodies = [sign.body(b"[]", "n", sha1=sha1, sha256=sha256) for sha1, sha256 in (("hex", "base64"), ("base64", "hex"))]
    bodies += [body.replace(b'"nonce":"n"', b'"nonce":"m"') for body in bodies] + [bodies[0] + b"x", bodies[0][:-1]]
    assert [site.post_fastcgi(body).status for body in bodies] == [200, 200, 401, 401, 400, 400]
    wait_for(lambda: site.records(), "the record arrives")
    site.end_deliverer()
    written = [path for path in site.folder.rglob("*") if path.is_file() and path not in (site.conf, site.secret)]
    assert {"serve.log", "audit.jsonl", "state.db", "records.jsonl"} <= {path.name for path in written}
    for path in written:
        text = path.read_bytes()
        assert not holds_a_secret(site, text) and not any(signature in text for signature in right), path


def with_cores():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer lets no core be made")
def test_no_core_of_a_process_that_knows_secrets(site, tmp_path):
    try:
        control = subprocess.Popen(["sleep", "1000"], cwd=tmp_path, preexec_fn=with_cores)
    except (ValueError, subprocess.SubprocessError):
        pytest.skip("no limit of cores can be set here")
    control.send_signal(signal.SIGABRT)
    if not os.WCOREDUMP(os.waitpid(control.pid, 0)[1]):
        pytest.skip("no process leaves a core here")
    server = subprocess.Popen([PROGRAM, "-c", site.conf, "serve", "-s", site.socket], env=site.environment(), cwd=tmp_path,
                              preexec_fn=with_cores)
    site.wait_for_serve(server)
    server.send_signal(signal.SIGABRT)
    status = os.waitpid(server.pid, 0)[1]
    assert os.WIFSIGNALED(status) and not os.WCOREDUMP(status)
    for path in tmp_path.glob("core*"):
        assert not holds_a_secret(site, path.read_bytes())


@pytest.fixture
def as_nobody(make_site, tmp_path):
    """A site of another user than root, and what to put before a command so that it is run by that user."""
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    program = shutil.copy(PROGRAM, tmp_path / "program")
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    site = make_site(deliver="auto")
    for path in [site.folder, *site.folder.iterdir()]:
        os.chown(path, NOBODY, NOBODY)
    return site, [*prefix, program]


def test_an_ordinary_user_is_served_too_and_cannot_look_into_the_receiver(as_nobody):
    """It starts its deliverer by /proc/self/exe, which it must still be able to open."""
    site, command = as_nobody
    server = site.start([*command, "-c", site.conf, "serve", "-s", site.socket])
    site.wait_for_serve(server)
    for nonce in ("1", "2"):
        assert site.post_fastcgi(sign.body(nonce=nonce)).status == 200
    wait_for(lambda: len(site.records()) == 2, "the records arrive")
    about = pathlib.Path(f"/proc/{server.pid}")
    assert re.search(rf"^Uid:\t{NOBODY}\b", (about / "status").read_text(), re.M)
    assert (about / "mem").stat().st_uid == 0, "root's, for it cannot be dumped"
    looked = subprocess.run([*command[:-1], "cat", about / "environ"], capture_output=True)
    assert looked.returncode != 0 and b"ermission denied" in looked.stderr


def test_an_ordinary_user_s_cgi_starts_its_deliverer(as_nobody):
    site, command = as_nobody
    body = sign.body()
    done = subprocess.run(command, input=body, capture_output=True, timeout=60, env={**site.environment(), **variables(body)})
    assert done.stdout.startswith(b"Status: 200 ")
    wait_for(lambda: len(site.records()) == 1, "the record arrives")


def digit_changed(signature, at):
    """The signature with another digit there, of the same kind, so that it takes the same way through the decoder."""
    others = {byte: byte ^ 1 for byte in b"23456789bcdefgBCDEFG"}
    while signature[at] not in others:
        at += 1
    return signature[:at] + bytes([others[signature[at]]]) + signature[at + 1:]


def instructions(site, body):
    """How many the scheme takes to say that this body is forged."""
    out = site.folder / "callgrind"
    done = site.run("-c", site.conf, "verify", "-", input=body, prefix=[
        "valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=accept_event", f"--callgrind-out-file={out}"])
    assert done.returncode == 1 and b"signature wrong" in done.stdout + done.stderr, done
    return int(re.search(r"^summary: (\d+)", out.read_text(), re.M).group(1))


@pytest.mark.plain
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_it_takes_as_long_wherever_a_signature_is_wrong(site, algorithm, encoding):
    body = sign.body(**{"sha1": None, algorithm: encoding})
    signature = sign.mac(algorithm, encoding, b'[{"id":"1"}]', "n").encode()
    counted = {at: instructions(site, body.replace(signature, digit_changed(signature, at)))
               for at in (0, len(signature) - 12)}
    assert len(set(counted.values())) == 1 and min(counted.values()) > 1000, counted
    assert "memeql_sec" in readelf("-s")


def group(name):
    """The system calls of one of systemd's groups."""
    listing = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    found = set()
    for word in re.findall(r"^    (@?[a-z0-9_-]+)$", listing, re.M):
        found |= group(word) if word.startswith("@") else {word}
    return found


def allowed(unit):
    """What a unit in examples/systemd lets its service call."""
    calls = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", (ROOT / "examples" / "systemd" / unit).read_text(), re.M):
        for word in line.lstrip("~").split():
            calls = calls - group(word) if line.startswith("~") else calls | group(word)
    return calls


def called(trace):
    return set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M))


@pytest.mark.plain
def test_the_units_let_everything_be_called_that_is(make_site):
    """A filter that is too tight ends a service at a moment of its own choosing."""
    site = make_site(options='keep = "7d"\naudit_max = "64K"', targets='''
target "records" {
    file = "out/%{object_type}/records.jsonl"
}
target "script" {
    run = {"/bin/cat"}
    batch = 10
}
''')
    traces = {unit: site.folder / unit for unit in ("hookspool.service", "hookspool-deliver.service")}
    trace = ["strace", "-f", "-qq", "-s", "0", "-o"]
    server = site.serve([*trace, traces["hookspool.service"]], leaks=False)
    for number in range(400):
        assert site.post_fastcgi(sign.body(nonce=str(number))).status == 200
        assert site.post_fastcgi(b"[" * number).status == 400
    child, = [pid for pid, parent in processes().items() if parent == server.pid]
    os.kill(child, signal.SIGTERM)
    assert server.wait(60) == 0
    done = site.run("-c", site.conf, "deliver", "--once", prefix=[*trace, traces["hookspool-deliver.service"]])
    assert done.returncode == 0
    assert (site.folder / "out" / "crm_contact" / "records.jsonl").read_bytes().count(b"\n") == 400
    assert (site.spool / "audit" / "audit.jsonl.1").exists(), "the audit trail was rotated"
    for unit, path in traces.items():
        calls, filter_ = called(path), allowed(unit)
        assert len(calls) > 20 and len(filter_) > 200
        assert calls <= filter_, (unit, calls - filter_)

"""A spool with its configuration in a folder of its own, and the ways to run the program on it."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import fastcgi
import sign

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "samples"
SCRIPTS = ROOT / "tests" / "system" / "scripts"
PROGRAM = pathlib.Path(os.environ.get("HOOKSPOOL", ROOT / "build" / "gcc" / "hookspool"))
SANITIZED = "HOOKSPOOL_SANITIZED" in os.environ
MARK = "HOOKSPOOL_TEST_SITE"  # in the environment of all processes of a site, so that they can be found again


def wait_for(condition, what, timeout=60):
    """Looks again and again until the condition holds; its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {timeout} s in vain: {what}"
        time.sleep(0.01)


def sample(name):
    return (SAMPLES / f"{name}.json").read_bytes()


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @functools.cached_property
    def json(self):
        return json.loads(self.body)

    @classmethod
    def parse(cls, output):
        """A CGI response (RFC 3875 section 6)."""
        head, _, body = output.partition(b"\r\n\r\n")
        headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n"))
        headers = {name.lower(): value for name, value in headers.items()}
        return cls(int(headers["status"].split()[0]), headers, body)


def variables(body, path="/webhook", method="POST", content_type="application/json", **more):
    """What a web server passes along with a request."""
    return {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_METHOD": method,
        "REQUEST_URI": path,
        "SCRIPT_NAME": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "127.0.0.1",
        **more,
    }


def pids():
    """Of all processes. Some end while they are looked at: what is read of one may be missing (a glob's own look too)."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def processes():
    """pid to parent of every process."""
    found = {}
    for pid in pids():
        try:
            found[pid] = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    return found


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def tree(folder):
    """What is there, the folder first, while processes make and remove things. What it names may be gone already."""
    for top, _, files in os.walk(folder):
        yield pathlib.Path(top)
        for name in files:
            yield pathlib.Path(top, name)


def give_away(folder, user, group):
    """All that is there, while processes run."""
    for path in tree(folder):
        with contextlib.suppress(FileNotFoundError):
            os.chown(path, user, group)


def memory(pid, field):
    """VmRSS, VmHWM, … in bytes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.M).group(1)) * 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def faketime(later):
    """The prefix of a command that shall run as if it were so much later ("+2h"). faketime names its semaphore after its
    pid: one that a killed faketime has left behind would end another of the same pid."""
    for left in pathlib.Path("/dev/shm").glob("*faketime_s*"):
        if not pathlib.Path("/proc", left.name.rpartition("_")[2]).exists():
            left.unlink(missing_ok=True)
    return "faketime", "-f", later


FILE_TARGET = """
target "records" {
    file = "%s/records.jsonl"
}
"""


class Site:
    def __init__(self, folder, targets=None, endpoint="", options="", deliver="manual"):
        """`endpoint` and `options` are lines for the endpoint's section and for the top of the file. `targets` are
        sections; without any there is one file target, "records"."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.spool = self.folder / "spool"
        self.conf = self.folder / "hookspool.conf"
        self.secret = self.folder / "secrets"
        self.socket = self.folder / "fcgi.sock"
        self.records_file = self.folder / "records.jsonl"
        self.children = []
        self.program = PROGRAM
        self.identity = {}  # Popen's options for another user
        self.write(self.secret, (SAMPLES / "secrets").read_text())
        self.write(self.conf, f"""spool = "{self.spool}"
deliver = "{deliver}"
{options}
endpoint "/webhook" {{
    scheme = "unified"
    secret_file = "{self.secret}"
    {endpoint}
}}
{FILE_TARGET % self.folder if targets is None else targets}
""")

    @staticmethod
    def write(path, text, mode=0o600):
        path.write_text(text)
        path.chmod(mode)

    # running things

    def environment(self, leaks=True):
        """`leaks`: not under ptrace, where the leak checker cannot work."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8",
               "HOOKSPOOL_CONF": str(self.conf), MARK: str(self.folder)}
        if SANITIZED:
            env["ASAN_OPTIONS"] = (f"log_path={self.folder}/sanitizer:exitcode=99:detect_leaks={int(leaks)}"
                                   ":verify_asan_link_order=0")
            env["UBSAN_OPTIONS"] = f"log_path={self.folder}/sanitizer:print_stacktrace=1:halt_on_error=1"
        return env

    def run(self, *arguments, input=b"", prefix=(), cwd=None):
        """The program with these arguments, to its end."""
        return subprocess.run([*prefix, self.program, *arguments], input=input, capture_output=True, timeout=300,
                              env=self.environment(), cwd=cwd, **self.identity)

    def start(self, command, leaks=True, **options):
        child = subprocess.Popen([str(word) for word in command], env=self.environment(leaks),
                                 stdin=subprocess.DEVNULL, start_new_session=True,
                                 **{**self.identity, **options})
        self.children.append(child)
        return child

    def deliver(self, later=None):
        """Drains the journal. `later`: as if it were so much later ("+2h")."""
        prefix = faketime(later) if later else ()
        done = self.run("-c", self.conf, "deliver", "--once", prefix=prefix)
        assert done.returncode == 0, done.stderr.decode()

    def start_serve(self, prefix=(), leaks=True):
        with open(self.folder / "serve.log", "ab") as log:
            return self.start([*prefix, self.program, "-c", self.conf, "serve", "-s", self.socket], leaks,
                              stdout=log, stderr=log)

    def serve(self, prefix=(), leaks=True):
        """`hookspool serve` on self.socket, once it listens. Its messages are in serve.log."""
        child = self.start_serve(prefix, leaks)
        self.wait_for_serve(child)
        return child

    def wait_for_serve(self, child):
        def listens():
            assert child.poll() is None, (self.folder / "serve.log").read_text()
            try:
                with fastcgi.Connection(self.socket) as connection:
                    peer = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            except OSError:
                return False
            pid = int.from_bytes(peer[:4], sys.byteorder)
            return child.pid in (pid, processes().get(pid))  # itself, or below strace

        wait_for(listens, "the receiver listens")

    def lighttpd(self, processes=1):
        """lighttpd with the program mounted as examples/lighttpd.conf shows it; the port."""
        port = free_port()
        text = (ROOT / "examples" / "lighttpd.conf").read_text()
        for name, value in (("folder", f'"{self.folder}"'), ("program", f'"{self.program}"'), ("port", port),
                            ("processes", processes)):
            text, count = re.subn(rf"^var\.{name}\s*=.*$", f"var.{name} = {value}", text, flags=re.M)
            assert count == 1, name
        conf = self.folder / "lighttpd.conf"
        conf.write_text(text)
        with open(self.folder / "lighttpd.log", "ab") as log:
            child = self.start(["lighttpd", "-D", "-f", conf], stdout=log, stderr=log)

        def listens():
            assert child.poll() is None, (self.folder / "lighttpd.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return True
            except OSError:
                return False

        wait_for(listens, "lighttpd listens")
        return port

    # posting

    def mount(self, how, **options):
        """Starts what serves the program, "lighttpd" or "serve", and gives the function that posts to it; anything else
        is CGI, where nothing has to be started."""
        if how == "lighttpd":
            return functools.partial(self.post_http, self.lighttpd(**options))
        if how == "serve":
            self.serve(**options)
            return self.post_fastcgi
        return self.post_cgi

    def post_http(self, port, body, path="/webhook", method="POST", content_type="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request(method, path, body, {"Content-Type": content_type})
        reply = connection.getresponse()
        answer = Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        connection.close()
        return answer

    def post_fastcgi(self, body, **more):
        with fastcgi.Connection(self.socket) as connection:
            return Answer.parse(connection.request(variables(body, **more), body, keep=False))

    def post_cgi(self, body, prefix=(), leaks=True, **more):
        """The same program, the environment and standard input, no server."""
        child = subprocess.run([*prefix, self.program], input=body, capture_output=True, timeout=120,
                               env={**self.environment(leaks), **variables(body, **more)})
        assert child.returncode == 0, child.stderr.decode()
        return Answer.parse(child.stdout)

    # looking

    @property
    def content(self):
        """All that the file target holds."""
        return self.records_file.read_bytes() if self.records_file.exists() else b""

    def records(self, event_id=None):
        """Lines of the file target, without their newlines; those of one event."""
        def lines():
            *whole, rest = self.content.split(b"\n")
            return None if rest else (whole,)

        (whole,) = wait_for(lines, "the last line, seen while it is written, gets its end")
        start = b'{"event_id":"%s' % (event_id.encode() if event_id else b"")
        return [line for line in whole if line.startswith(start)]

    def journal(self):
        """All that the journal holds."""
        return b"".join(path.read_bytes() for path in sorted(self.spool.glob("journal/*.jsonl")))

    def audit(self, **like):
        """Audit lines that have these values."""
        path = self.spool / "audit" / "audit.jsonl"
        lines = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []
        return [line for line in lines if like.items() <= line.items()]

    def is_drained(self):
        """Whether all that was received is delivered, and the deliverer knows that it is: a record may stand in a file
        before it is committed."""
        status = json.loads(self.run("-c", self.conf, "status", "--json").stdout)
        return status["unread"] == status["pending"] == 0

    def processes(self):
        """The site's processes, and all that they started. A deliverer that a receiver started has no environment to
        speak of, but names its configuration. One that ends has neither, and holds its files and their locks for a
        moment longer."""
        mark, named = f"{MARK}={self.folder}\0".encode(), f"\0-c\0{self.conf}\0".encode()
        parents = processes()
        found = set()
        for pid in parents:
            try:
                about = pathlib.Path(f"/proc/{pid}")
                words = (about / "cmdline").read_bytes()
                if mark in (about / "environ").read_bytes() or named in words or (not words and self.holds_files(pid)):
                    found.add(pid)
            except OSError:
                continue
        grown = -1
        while grown != len(found):
            grown = len(found)
            found |= {pid for pid, parent in parents.items() if parent in found}
        return found

    def deliverer(self):
        """The process that holds the spool's deliverer's lock, or None."""
        for pid in self.processes():
            if any(self.holds_lock(pid, fd) for fd in self.descriptors(pid)):
                return pid
        return None

    def holds_files(self, pid):
        """Whether a process has anything of the site open."""
        places = self.folder, self.spool, self.records_file
        for fd in self.descriptors(pid):
            with contextlib.suppress(OSError):
                path = os.readlink(f"/proc/{pid}/fd/{fd}")
                if any(path == str(place) or path.startswith(f"{place}/") for place in places):
                    return True
        return False

    @staticmethod
    def descriptors(pid):
        try:
            return os.listdir(f"/proc/{pid}/fd")
        except OSError:
            return []

    def holds_lock(self, pid, fd):
        try:
            return os.readlink(f"/proc/{pid}/fd/{fd}") == str(self.spool / "deliver.lock") \
                and "lock:" in pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
        except OSError:
            return False

    # ending

    def end_deliverer(self):
        pid = self.deliverer()
        if pid:
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not is_alive(pid), "the deliverer ends")

    def stop(self, child, how=signal.SIGTERM):
        child.send_signal(how)
        return child.wait(60)

    def close(self):
        """Ends whatever still runs. A sanitizer's report fails the test."""
        for child in self.children:
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                pass
        left = self.processes()
        for pid in left:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        try:
            wait_for(lambda: not any(map(is_alive, left)), "processes end", 5)
        except AssertionError:
            for pid in left | self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        for child in self.children:
            child.wait(20)
        # A line alone may be a remark, such as of a thread that ended while the leak checker looked at it.
        reports = [text for text in (path.read_text() for path in self.folder.glob("sanitizer.*"))
                   if "ERROR" in text or "runtime error" in text]
        assert not reports, "\n".join(reports)


def all_at_once(calls):
    """Calls each in a thread of its own, all at once; their results in order."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]

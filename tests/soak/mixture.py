"""What goes on during a soak, and the ledger of it."""

import base64
import collections
import fcntl
import json
import os
import random
import signal
import threading
import time

import fastcgi
import sign
from sites import ROOT, SCRIPTS, Answer, Site, variables, wait_for

SENDERS = 6
FLAKY = 40  # connections whose script fails two times of three
LARGE = 1 << 20
TOKEN = "the token of the soak"
OTHER_SECRET = b"another secret, which comes and goes"
PAGE = ("", "style.css", "status.json", "metrics", "health")

# Parts in a thousand of the requests. What is left over is new.
KINDS = {"repeated": 80, "forged": 80, "unknown path": 10, "flaky": 8, "large": 3, "CGI": 3}


class Ledger:
    """Events by number: whether they were accepted, and how often they were delivered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.count = 0
        self.accepted, self.delivered = bytearray(), bytearray()
        self.answers = collections.Counter()

    def new(self):
        with self.lock:
            self.accepted.append(0)
            self.delivered.append(0)
            self.count += 1
            return self.count - 1

    def answered(self, kind, number, status):
        with self.lock:
            self.answers[kind, status] += 1
            if status == 200 and number is not None:
                self.accepted[number] = 1

    def take(self, lines):
        with self.lock:
            for line in lines:
                number = int(json.loads(line)["data"]["id"])
                self.delivered[number] = min(self.delivered[number] + 1, 255)

    def problems(self):
        lost = sum(a and not d for a, d in zip(self.accepted, self.delivered))
        twice = sum(d > 1 for d in self.delivered)
        return [f"{n} events {what}" for n, what in ((lost, "were acknowledged and lost"), (twice, "came twice")) if n]


class Mixture:
    """`seconds` long. What is kept is kept for a tenth of that, so most of the time is spent in a steady state."""

    def __init__(self, folder, seconds, rate, seed):
        self.seconds, self.rate, self.seed = seconds, rate, seed
        self.keep = max(3, seconds // 10)
        self.ledger = Ledger()
        self.stopping = threading.Event()
        self.failures = []
        self.deeds = collections.Counter()
        records, flaky = folder / "records.jsonl", ROOT / "tests" / "soak" / "fail-twice"
        self.site = Site(folder, deliver="auto", options=f"""
keep = {self.keep}s
remember = {2 * self.keep}s
audit_max = 1M
""", targets=f"""
target "records" {{ file = "{records}" }}
target "types" {{ file = "{folder}/types/%{{object_type}}.jsonl" match = {{"event=created"}} }}
target "flaky" {{ run = {{"{flaky}"}} match = {{"connection_id=flaky*"}} workers = 4 retry_for = "{4 * self.keep}s" }}
target "note" {{ run = {{"{SCRIPTS}/note", "{folder}/notes"}} match = {{"connection_id=flaky-1?"}} }}
status "/status/" {{ token_file = "{folder}/token" }}
""")
        self.site.write(folder / "token", TOKEN)
        self.text = self.site.conf.read_text()
        self.steady = folder / "steady.conf"  # for CGI, which has no configuration to go on with when it finds a bad one
        self.site.write(self.steady, self.text)
        self.threads = [threading.Thread(target=self.guard, args=(self.send, i), daemon=True) for i in range(SENDERS)]
        self.threads += [threading.Thread(target=self.guard, args=(each,), daemon=True)
                         for each in (self.look, self.consume, self.operate, self.reload)]

    def __enter__(self):
        self.receiver = self.site.serve()
        wait_for(self.site.deliverer, "a deliverer runs")
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            if thread.ident:
                thread.join(120)
        self.site.close()

    def run(self, sample):
        """Calls `sample` once a second, until the time is over."""
        for thread in self.threads:
            thread.start()
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < self.seconds and not self.failures:
            sample(passed)
            time.sleep(1)
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)

    def guard(self, work, *arguments):
        try:
            work(*arguments)
        except Exception as failure:
            self.failures.append(f"{work.__name__}: {failure!r}")

    def every(self, seconds):
        """Until the end."""
        while not self.stopping.wait(seconds):
            yield

    # senders

    def make(self, chance, before):
        """A request: its kind, the event's number or None, body, path."""
        draw, kind = chance.randrange(1000), "new"
        for name, parts in KINDS.items():
            if draw < parts:
                kind = name
                break
            draw -= parts
        if kind == "repeated" and before:
            return kind, *chance.choice(before), "/webhook"
        if kind == "unknown path":
            return kind, None, b"{}", "/other"
        number = self.ledger.new()
        size = LARGE if kind == "large" else chance.randrange(4000)
        data = f'[{{"id":"{number}","text":"{"x" * size}"}}]'.encode()
        secret = b"not the secret" if kind == "forged" else sign.SECRET
        connection = f"flaky-{chance.randrange(FLAKY)}" if kind == "flaky" else f"c{chance.randrange(50)}"
        body = sign.body(data, str(number), secret=secret, connection_id=connection,
                         event=chance.choice(("created", "updated", "deleted")),
                         object_type=chance.choice(("crm_contact", "crm_company", "hris_employee")))
        if kind != "forged" and size < 4000:
            before.append((number, body))
        return kind, number, body, "/webhook"

    def send(self, sender):
        chance = random.Random(f"{self.seed}-{sender}")
        before = collections.deque(maxlen=50)
        due = time.monotonic()
        with fastcgi.Connection(self.site.socket) as connection:
            while not self.stopping.is_set():
                kind, number, body, path = self.make(chance, before)
                if kind == "CGI":
                    answer = self.site.post_cgi(body, path=path, HOOKSPOOL_CONF=str(self.steady))
                else:
                    answer = Answer.parse(connection.request(variables(body, path=path), body))
                self.ledger.answered(kind, number, answer.status)
                due += chance.expovariate(self.rate / SENDERS)
                time.sleep(max(0, due - time.monotonic()))
                due = max(due, time.monotonic() - 1)

    # others

    def look(self):
        """Somebody has the page open, and something asks for the metrics."""
        password = base64.b64encode(f"x:{TOKEN}".encode()).decode()
        for _ in self.every(1):
            for name in PAGE:
                with fastcgi.Connection(self.site.socket) as connection:
                    answer = Answer.parse(connection.request(
                        variables(b"", path=f"/status/{name}", method="GET", HTTP_AUTHORIZATION=f"Basic {password}"),
                        b"", keep=False))
                self.ledger.answered("health" if name == "health" else "page", None, answer.status)

    def consume(self):
        """Takes the file away as hookspool(7) says: renames it, waits for its lock, reads it, removes it."""
        for _ in self.every(max(2, self.keep / 10)):
            self.take_file()

    def take_file(self):
        taken = self.site.folder / "taken.jsonl"
        try:
            os.rename(self.site.records_file, taken)
        except FileNotFoundError:
            return
        with open(taken, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.ledger.take(file.read().splitlines())
        taken.unlink()
        self.deeds["files taken"] += 1
        for path in (self.site.folder / "types").glob("*.jsonl"):
            path.unlink()
        (self.site.folder / "notes").unlink(missing_ok=True)

    def operate(self):
        for _ in self.every(max(2, self.keep / 3)):
            self.site.run("-c", self.site.conf, "status")
            self.deeds["drops"] += self.site.run("-c", self.site.conf, "drop", "--all").returncode == 0

    def reload(self):
        """Secrets, endpoints and targets come and go, by rename and in place; now and then the file is wrong."""
        chance = random.Random(f"{self.seed}-reload")
        secrets = self.site.secret.read_bytes()
        for turn, _ in enumerate(self.every(max(2, self.keep / 6))):
            more = f'endpoint "/more{turn}" {{ scheme = "unified" secret_file = "{self.site.secret}" }}\n'
            text = self.text + more * (turn % 2) + "nonsense = {\n" * (turn % 5 == 4)
            new = self.site.conf.with_suffix(".new")
            self.site.write(new, text)
            os.replace(new, self.site.conf)
            self.site.write(self.site.secret, (secrets + OTHER_SECRET * (turn % 2)).decode())
            if chance.randrange(3) == 0:
                self.receiver.send_signal(signal.SIGHUP)
            self.deeds["reloads"] += 1
        self.site.write(self.site.conf, self.text)

    # afterwards

    def settle(self):
        """What is wrong once all is delivered that can be."""
        problems = list(self.failures)

        def drained():
            status = json.loads(self.site.run("-c", self.site.conf, "status", "--json").stdout)
            return status["unread"] == 0 and status["pending"] == 0

        try:
            wait_for(drained, "all events are delivered or given up", 120 + 4 * self.keep)
        except AssertionError as late:
            problems.append(str(late))
        self.take_file()
        # While the configuration is wrong, so is the state, and `health` says it.
        right = {"forged": {401}, "unknown path": {404}, "health": {200, 503}}
        wrong = {(kind, status) for kind, status in self.ledger.answers if status not in right.get(kind, {200})}
        problems += [f"{kind}: {self.ledger.answers[kind, status]} times {status}" for kind, status in sorted(wrong)]
        return problems + self.ledger.problems()

    def summary(self):
        answers = ", ".join(f"{kind} {status}: {n}" for (kind, status), n in sorted(self.ledger.answers.items()))
        deeds = ", ".join(f"{what}: {n}" for what, n in sorted(self.deeds.items()))
        return f"Answers: {answers}. {deeds}. Acknowledged: {sum(self.ledger.accepted)}."

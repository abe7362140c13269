"""One site under attack: its events, what their senders were told, and the reckoning after a fault."""

import collections
import contextlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import fastcgi
import faketime
import sign
from ledger import Ledger
from sites import PROGRAM, Answer, Site, is_alive, tree, variables, wait_for

PATIENCE = 30  # seconds, until something counts as stuck


class DeafLedger(Ledger):
    """While it is deaf, no answer is heard."""

    deaf = False

    def answered(self, marker, answer):
        if not self.deaf:
            super().answered(marker, answer)


class Trial:
    """`place` is a folder for spool and records, `records` one for the records alone, where that is not the site's own
    (a file system that will break). The sums go to the bench when it ends."""

    name = "event"  # of its events

    def __init__(self, bench, place=None, records=None, **options):
        self.bench = bench
        self.numbers = itertools.count()
        self.ledger = DeafLedger()
        self.bodies = {}
        folder = bench.folder / f"site{next(sites)}"
        options = {name: value.replace("@", str(folder)) for name, value in options.items()}  # they can name it
        self.site = Site(folder, **options)
        self.has_offspring = options.get("deliver") == "auto" or "run =" in options.get("targets", "")
        self.places = [pathlib.Path(path) / folder.name for path in (place, records) if path]
        if place:
            self.site.spool = self.move(self.site.spool)
        if place or records:
            self.site.records_file = self.move(self.site.records_file)
        self.counted = collections.Counter()
        self.offset = 0  # seconds that the deliverers' clock is ahead
        self.crashes = collections.Counter()  # by signal
        bench.trials.add(self)
        self.ended = False

    def move(self, path):
        """Lets the configuration name another place for it."""
        moved = self.places[0] / path.name
        moved.parent.mkdir(parents=True, exist_ok=True)
        self.site.write(self.site.conf, self.site.conf.read_text().replace(f'"{path}"', f'"{moved}"'))
        return moved

    # events

    def good(self, size=0, **fields):
        marker = f"{self.name}-{next(self.numbers)}"
        text = f',"text":"{"x" * size}"' if size else ""
        body = sign.body(f'[{{"id":"{marker}"{text}}}]'.encode(), marker, **fields)
        self.bodies[marker] = body
        return marker, body

    def forged(self):
        marker = f"forged-{next(self.numbers)}"
        return marker, sign.body(f'[{{"id":"{marker}"}}]'.encode(), marker, secret=b"not the secret")

    def again(self):
        """An event that was sent before."""
        marker = self.bench.chance.choice(list(self.bodies))
        return marker, self.bodies[marker]

    def mixed(self, count=4):
        """New ones, a forged one and a repeated one."""
        return [self.good() for _ in range(count)] + [self.forged(), self.again()]

    # senders

    def told(self, marker, output):
        """What came back, whole or cut off. Its answer, if it is one."""
        head, gap, _ = output.partition(b"\r\n\r\n")
        if not gap:
            return None
        answer = Answer.parse(output)
        if answer.status == 200:
            expected = sign.event_id(*self.signed(marker))
            try:
                told = answer.json["id"]
            except ValueError:  # cut off behind its status: the sender knows enough
                answer = Answer(200, answer.headers, json.dumps({"id": expected}).encode())
                told = expected
            if told != expected:
                self.bench.problem(f"{marker} was accepted under the id {told}")
        self.ledger.answered(marker, answer)
        return answer

    def signed(self, marker):
        data = self.bodies.get(marker, b"")
        start, end = data.find(b'"data":') + 7, data.find(b',"webhook":')
        return data[start:end], marker

    def post_cgi(self, message, prefix=(), env=None, **options):
        """One CGI run; the answer or None, and the exit code."""
        marker, body = message
        self.ledger.sending(marker)
        child = subprocess.Popen([*map(str, prefix), PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE,
                                 env={**self.site.environment(False), **variables(body), **(env or {})}, **options)
        try:
            output, _ = child.communicate(body, PATIENCE)
        except subprocess.TimeoutExpired:
            self.bench.problem(f"a CGI run was stuck: {' '.join(map(str, prefix))}")
            child.kill()
            output, _ = child.communicate()
        return self.told(marker, output), self.note_end(child.returncode)

    def note_end(self, code):
        """Remembers who was killed by a signal."""
        if code < 0:
            self.crashes[-code] += 1
        return code

    def post_together(self, messages, child=None, timeout=PATIENCE, patient=True):
        """All at once over a connection each; their answers, None where none came. With `child`, a receiver that may
        still be starting or may end at any time. `patient`: no answer in that time is a problem."""
        waiting = []
        for marker, body in messages:
            self.ledger.sending(marker)
            connection = self.connect(child, timeout)
            try:
                if connection:
                    connection.send(fastcgi.begin(keep=False) + fastcgi.params(variables(body))
                                    + fastcgi.stream(fastcgi.STDIN, body))
            except OSError:
                pass
            waiting.append((marker, connection))
        return [self.collect(marker, connection, patient) for marker, connection in waiting]

    def connect(self, child, timeout):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return fastcgi.Connection(self.site.socket, timeout)
            except OSError:
                if child is None or child.poll() is not None:
                    return None
            if time.monotonic() > end:
                self.bench.problem("a receiver does not listen")
                return None
            time.sleep(0.001)

    def collect(self, marker, connection, patient=True):
        if connection is None:
            return None
        with connection:
            try:
                return self.told(marker, connection.answer())
            except TimeoutError:
                if patient:
                    self.bench.problem(f"no answer for {marker}")
            except OSError:
                pass
        return None

    # processes

    def receiver(self, prefix=(), env=None, **options):
        """A FastCGI receiver that may die at any moment."""
        site = self.site
        with open(site.folder / "serve.log", "ab") as log:
            child = subprocess.Popen([*map(str, prefix), PROGRAM, "-c", site.conf, "serve", "-s", site.socket],
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                     env={**site.environment(False), **(env or {})}, **options)
        site.children.append(child)
        return child

    def finish(self, child, what, patience=PATIENCE):
        """Waits for a child's end; its exit code."""
        try:
            code = child.wait(patience)
        except subprocess.TimeoutExpired:
            self.bench.problem(f"{what} does not end")
            child.kill()
            code = child.wait()
        return self.note_end(code)

    def messages(self):
        """What its processes told their administrator."""
        logs = (self.site.folder / name for name in ("serve.log", "deliver.log"))
        return b"".join(log.read_bytes() for log in logs if log.exists())

    def wait_for_records(self, count):
        wait_for(lambda: self.site.content.count(b"\n") >= count, "the records are there")

    def start_deliverer(self, *arguments, prefix=(), env=None, **options):
        env = env or {}
        if self.offset:
            faked = faketime.environment(**{"": f"+{self.offset}"})
            env = {**faked, **env, "LD_PRELOAD": ":".join(filter(None, (faked["LD_PRELOAD"], env.get("LD_PRELOAD"))))}
        with open(self.site.folder / "deliver.log", "ab") as log:
            child = subprocess.Popen([*map(str, prefix), PROGRAM, "-c", self.site.conf, "deliver", *arguments],
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                     env={**self.site.environment(False), **env}, **options)
        self.site.children.append(child)
        return child

    def deliver(self, prefix=(), env=None, patience=PATIENCE, **options):
        """A deliverer's run; its exit code."""
        child = self.start_deliverer("--once", prefix=prefix, env=env, **options)
        return self.finish(child, "a deliverer", patience)

    def deliverer(self):
        """The deliverer's process id or None. While one looks, processes end."""
        while True:
            try:
                return self.site.deliverer()
            except FileNotFoundError:
                continue

    def end_deliverer(self):
        while pid := self.deliverer():
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            wait_for(lambda: not is_alive(pid), "a deliverer ends")

    def end_offspring(self):
        """The deliverers that were started; also those that have no lock yet, for another one would yield to them. There
        is no receiver that could start more."""
        wait_for(lambda: self.end_deliverer() or not self.site.processes(), "what was started ends")

    def kill_all(self):
        """Whatever runs for this site, deliverers that were started by others too."""
        for child in self.site.children:
            child.kill()
        for pid in self.site.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for child in self.site.children:
            child.wait()
        wait_for(lambda: not self.site.processes(), "the processes of a site are gone")

    # the reckoning

    def settle(self, later=0, patience=PATIENCE):
        """Drains the journal, undisturbed, and checks. `later`: after so many seconds, as deliverers see it."""
        self.offset += later
        code = self.deliver(patience=patience)
        if code:
            log = (self.site.folder / "deliver.log").read_text().splitlines()[-3:]
            self.bench.problem(f"a deliverer that nobody disturbed ended with {code}: {log}")
        good = self.check()
        if self.counted["lost"] and not self.bench.row.must_lose:
            self.tell_lost()
        return good

    def tell_lost(self):
        """Whether what is missing only waits, and what the deliverer said last."""
        site = self.site
        status = site.run("-c", site.conf, "status", "--json")
        self.bench.problem(f"missing {self.missing[:5]}: {status.stdout.decode()}{status.stderr.decode()}; "
                           f"{self.messages().decode().splitlines()[-8:]}")

    def check(self, content=None):
        """Holds the file target against the ledger. True if all is well so far."""
        content = self.site.content if content is None else content
        lines = content.split(b"\n")
        torn = [lines[-1]] if lines[-1] else []
        delivered, ids = collections.Counter(), {}
        for line in lines[:-1]:
            try:
                record = json.loads(line)
                marker = record["data"]["id"]
            except (ValueError, KeyError, TypeError):
                torn.append(line)
                continue
            delivered[marker] += 1
            ids[marker] = record["event_id"]
        ledger = self.ledger
        self.missing = [marker for marker in ledger.accepted if marker not in delivered]
        self.counted = collections.Counter(
            lost=len(self.missing),
            twice=sum(count - 1 for count in delivered.values()),
            torn=len(torn))
        alien = delivered.keys() - ledger.sent | delivered.keys() & ledger.refused
        if alien:
            self.bench.problem(f"delivered, but refused or never sent: {sorted(alien)[:5]}")
        wrong = [marker for marker, told in ledger.accepted.items() if ids.get(marker, *told) not in told]
        if wrong:
            self.bench.problem(f"delivered under another id: {wrong[:5]}")
        return not any(self.counted.values()) and not alien and not wrong

    def find_forged(self):
        """What was refused must stand nowhere."""
        for folder in self.site.folder, self.site.spool:
            for file in tree(folder):
                with contextlib.suppress(FileNotFoundError):
                    if file.is_file() and b"forged-" in file.read_bytes():
                        self.bench.problem(f"something refused is in {file.name}")

    def end(self):
        """Ends its processes and adds up."""
        if self.ended:
            return
        self.ended = True
        self.bench.trials.discard(self)
        if self.has_offspring or any(child.poll() is None for child in self.site.children):
            self.kill_all()
        self.site.children.clear()
        self.find_forged()
        for place in self.site.folder, *self.places:
            shutil.rmtree(place, ignore_errors=True)
        bench = self.bench
        bench.acknowledged += len(self.ledger.accepted)
        bench.lost += self.counted["lost"]
        bench.twice += self.counted["twice"]
        bench.torn += self.counted["torn"]


sites = itertools.count(1)

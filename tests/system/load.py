"""Many senders at once, over FastCGI, until told to stop; a ledger keeps what they were told."""

import itertools
import random
import threading
import time

import fastcgi
import sign
from sites import Answer, variables


class Load:
    """Each sender has a connection of its own and makes a new one when it breaks. One request in ten has a forged
    signature, and one in ten repeats an event that was sent before."""

    def __init__(self, socket, ledger, senders=8, seed=1, name="m"):
        self.socket, self.ledger, self.seed, self.name = socket, ledger, seed, name
        self.stopping = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self.guard, args=(i,), daemon=True) for i in range(senders)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "a sender waits for an answer that does not come"
        assert not self.failures, self.failures

    def guard(self, sender):
        try:
            self.send_until_stopped(sender)
        except Exception as failure:  # shown by stop()
            self.failures.append(failure)

    def events(self, sender):
        chance = random.Random(f"{self.seed}-{sender}")
        before = []
        for i in itertools.count():
            kind = chance.random()
            if kind < 0.1 and before:
                yield chance.choice(before)
                continue
            marker = f"{self.name}-{sender}-{i}"
            data = f'[{{"id":"{marker}","text":"{"x" * chance.randrange(2000)}"}}]'.encode()
            if kind < 0.2:
                yield marker, sign.body(data, marker, secret=b"not the secret")
            else:
                before.append((marker, sign.body(data, marker)))
                del before[:-100]
                yield before[-1]

    def send_until_stopped(self, sender):
        connection = None
        for marker, body in self.events(sender):
            if self.stopping.is_set():
                break
            self.ledger.sending(marker)
            try:
                connection = connection or fastcgi.Connection(self.socket)
                answer = Answer.parse(connection.request(variables(body), body))
                self.ledger.answered(marker, answer)
            except (ConnectionError, FileNotFoundError):
                if connection:
                    connection.close()
                connection = None
                time.sleep(0.005)  # nobody listens at the moment: not too busy a loop
        if connection:
            connection.close()

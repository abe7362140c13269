"""What senders were told, held against what was delivered."""

import json
import threading
from collections import Counter


class Ledger:
    """Safe for several threads. An event is known by its marker: the `id` of its only element."""

    def __init__(self):
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.sent = set()
        self.accepted = {}
        self.refused = set()
        self.statuses = Counter()

    def sending(self, marker):
        with self.lock:
            self.sent.add(marker)

    def answered(self, marker, answer):
        with self.changed:
            self.statuses[answer.status] += 1
            if answer.status == 200:
                self.accepted.setdefault(marker, set()).add(answer.json["id"])
            elif answer.status < 500:
                self.refused.add(marker)
            self.changed.notify_all()

    def wait_for_accepted(self, count, timeout=120):
        """Until so many different events have been accepted."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.accepted) >= count, timeout), self.statuses

    def check(self, content, everything=False):
        """`content` is a file target's: each accepted event is in it exactly once, nothing refused or unknown is, and no
        line is torn. An event whose answer never came may be in it once. `everything`: it must be."""
        assert content == b"" or content.endswith(b"\n"), "the last line is torn"
        delivered = Counter()
        ids = {}
        for line in content.splitlines():
            record = json.loads(line)
            marker = record["data"]["id"]
            delivered[marker] += 1
            ids[marker] = record["event_id"]
        with self.lock:
            twice = [marker for marker, count in delivered.items() if count > 1]
            assert not twice, f"delivered more than once: {twice[:5]} and so on, {len(twice)} in all"
            lost = [marker for marker in self.accepted if marker not in delivered]
            assert not lost, f"accepted and lost: {lost[:5]} and so on, {len(lost)} of {len(self.accepted)}"
            wrong = [marker for marker, told in self.accepted.items() if told != {ids[marker]}]
            assert not wrong, f"delivered under another id than the answer's: {wrong[:5]}"
            assert not self.refused & delivered.keys(), "something refused was delivered"
            assert delivered.keys() <= self.sent, "something was delivered that nobody sent"
            if everything:
                assert delivered.keys() == self.sent - self.refused

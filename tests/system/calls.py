"""Reads what strace -f -yy wrote, to see in which order things were done."""

import dataclasses
import re


@dataclasses.dataclass
class Call:
    name: str
    arguments: str
    began: int  # the line where it was entered, and the one where it returned: a later line happened later
    ended: int
    result: str


def parse(text):
    found, unfinished = [], {}
    for number, line in enumerate(text.splitlines()):
        pid, _, rest = line.partition(" ")
        rest = rest.strip()
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)$", rest)
        entered = re.match(r"(\w+)\((.*)$", rest)
        if resumed:
            name, arguments, began = unfinished.pop(pid)
            rest = resumed.group(1)
        elif entered:
            name, rest = entered.groups()
            arguments, began = "", number
        else:
            continue  # a signal, an exit
        if rest.endswith("<unfinished ...>"):
            unfinished[pid] = name, arguments + rest.removesuffix("<unfinished ...>"), began
            continue
        rest, _, result = rest.rpartition(" = ")
        found.append(Call(name, arguments + rest, began, number, result))
    return found


def answers(calls):
    """The id of each event that was answered with 200, and the call that did it."""
    for call in calls:
        if call.name in ("write", "writev", "sendto", "sendmsg") and "/journal/" not in call.arguments:
            for event_id in re.findall(r'accepted\\",\\"id\\":\\"([0-9a-f]{32})', call.arguments):
                yield event_id, call


def faults(calls):
    """For each answer, what was not done before it. Nothing, if all is well."""
    found = []
    for event_id, answer in answers(calls):
        lines = [call for call in calls if call.name in ("write", "writev", "pwrite64", "pwritev")
                 and f'\\"event_id\\":\\"{event_id}' in call.arguments and "/journal/" in call.arguments]
        if not any(is_durable(calls, line, answer) for line in lines):
            found.append(f"{event_id}: its line was not durable when it was answered")
    return found


def is_durable(calls, line, answer):
    segment = re.match(r"\d+<([^>]*/journal/[^>]*)>", line.arguments).group(1)
    folder = segment.rpartition("/")[0]
    synced = any(call.name in ("fdatasync", "fsync") and f"<{segment}>" in call.arguments
                 and line.ended < call.began and call.ended < answer.began and call.result == "0" for call in calls)
    made = [call for call in calls if call.name == "openat" and f"<{segment}>" in call.result]
    named = any(call.name == "fsync" and f"<{folder}>" in call.arguments and made and made[0].ended < call.began
                and call.ended < answer.began and call.result == "0" for call in calls)
    return synced and named

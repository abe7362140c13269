"""Bits that rot, and a state that is lost or damaged."""

import json

from bench import rows
from trial import Trial

ROWS, row = rows()


def three_lines(trial):
    """One sealed segment with three events."""
    messages = [trial.good() for _ in range(3)]
    for message in messages:
        trial.post_cgi(message)
    segments = sorted(trial.site.spool.glob("journal/*.jsonl"))
    lines = [segment.read_bytes() for segment in segments]
    for segment in segments:
        segment.unlink()
    return segments[0].name, [marker for marker, _ in messages], lines


def owner(lines, position):
    """Whose byte it is; a newline belongs to two lines."""
    for number, line in enumerate(lines):
        if position < len(line):
            last = position == len(line) - 1
            return {number, number + 1} if last and number + 1 < len(lines) else {number}
        position -= len(line)
    raise IndexError


@row("bit-rot", "bit rot: each byte of a segment in turn")
def bit_rot(bench):
    """The bad line is set aside and reported; its neighbours are delivered."""
    source = Trial(bench)
    name, markers, lines = three_lines(source)
    whole = b"".join(lines)
    source.site.spool.joinpath("journal", name).write_bytes(whole)
    source.settle()
    source.end()
    for position in bench.sample(range(len(whole)), 60):
        trial = Trial(bench)
        site = trial.site
        site.spool.joinpath("journal").mkdir(parents=True, mode=0o700)
        site.spool.chmod(0o700)
        rotten = bytearray(whole)
        rotten[position] ^= 1 << bench.chance.randrange(8)
        site.spool.joinpath("journal", name).write_bytes(rotten)
        site.spool.joinpath("journal", name).chmod(0o600)
        trial.ledger.sent |= set(markers)
        hit = owner(lines, position)
        code = trial.deliver()
        text = f"byte {position} of {len(whole)}, {whole[position]:#x} turned {rotten[position]:#x}"
        if code:
            bench.problem(f"{text}: the deliverer ended with {code}")
        trial.check()
        content = site.content
        aside = b"".join(path.read_bytes() for path in site.spool.glob("damaged/*"))
        for number, marker in enumerate(markers):
            there = b'"%s"' % marker.encode() in content
            if number not in hit and not there:
                bench.lost += 1
                bench.problem(f"{text}: line {number} was not delivered")
            if number in hit and there and position != len(whole) - 1:
                bench.problem(f"{text}: line {number} was delivered")
            if number in hit and not there and not is_aside(lines[number], position, aside):
                bench.lost += 1
                bench.problem(f"{text}: line {number} is neither delivered nor set aside")
        if position % 100 == 0 and json.loads(site.run("-c", site.conf, "status", "--json").stdout)["damaged"] < 1:
            bench.problem(f"{text}: status does not report it")
        if b"damaged" not in trial.messages() and aside:
            bench.problem(f"{text}: the log does not report it")
        bench.injections += 1
        trial.end()


def is_aside(line, position, aside):
    """A good part of the line, as it was or as a JSON string, stands in damaged/."""
    parts = (line[:60], line[-60:-1])
    return any(part in aside or part.replace(b'"', b'\\"') in aside for part in parts)


def remove_state(bench, site, which):
    for name in which:
        path = site.spool / name
        if path.exists():
            path.unlink()


WAYS = {
    "cut short": lambda chance, data: data[:chance.randrange(len(data))],
    "empty": lambda chance, data: b"",
    "not a database": lambda chance, data: chance.randbytes(len(data)),
    "a page of zeros": lambda chance, data: over(data, chance.randrange(0, len(data), 4096), bytes(4096)),
    "a page of noise": lambda chance, data: over(data, chance.randrange(0, len(data), 4096), chance.randbytes(4096)),
    "a sector of noise": lambda chance, data: over(data, chance.randrange(0, len(data), 512), chance.randbytes(512)),
    "one bit": lambda chance, data: flip(data, chance.randrange(len(data)), chance.randrange(8)),
}


def over(data, position, piece):
    return data[:position] + piece + data[position + len(piece):]


def flip(data, position, bit):
    return over(data, position, bytes([data[position] ^ 1 << bit]))


def with_history(bench):
    """A trial whose state has been used; half of the time its deliverer died and left a log. And how many lines stand
    in the journal though they may have been delivered."""
    trial = Trial(bench)
    for _ in range(3):
        trial.post_cgi(trial.good())
    trial.settle()
    if bench.chance.random() < 0.5:
        trial.post_cgi(trial.good())
        child = trial.start_deliverer("--stay")
        trial.wait_for_records(4)
        child.kill()
        child.wait()
    exposed = len(journal(trial.site))
    for _ in range(2):
        trial.post_cgi(trial.good())
        trial.post_cgi(trial.again())
    return trial, exposed


def judge(bench, trial, exposed, what):
    """Nothing is lost. What is in the archive is known from there; what was delivered and still stands in the journal
    may be delivered again, and only that."""
    bench.injections += 1
    trial.settle()
    trial.post_cgi(trial.again())
    trial.settle()
    again = trial.counted["twice"]
    if again <= exposed:
        trial.counted["twice"] = 0
        bench.again += again
    if any(trial.counted.values()):
        bench.problem(f"{what}: {dict(trial.counted)}, {exposed} could be delivered again")
    trial.end()


def note_again(bench):
    if bench.again:
        bench.notes.append(f"{bench.again} that stood in the journal were delivered again, as the manual says")


@row("state-lost", "state.db deleted, also while a record was half written")
def state_lost(bench):
    for which in (("",), ("-shm",), ("", "-wal", "-shm")) * (2 if bench.short else 60):
        trial, exposed = with_history(bench)
        for end in which:
            trial.site.spool.joinpath(f"state.db{end}").unlink(missing_ok=True)
        if "" in which:
            leave_torn_record(bench, trial)
        judge(bench, trial, exposed, f"without state.db and its {which}")
    note_again(bench)


def leave_torn_record(bench, trial):
    """As if a deliverer had been killed in the middle of a write; its event stands in the journal still."""
    answer, _ = trial.post_cgi(trial.good())
    start = b'{"event_id":"%s' % answer.json["id"].encode()
    record = start + trial.site.content.splitlines()[0][len(start):]
    with open(trial.site.records_file, "ab") as file:
        file.write(record[:bench.chance.randrange(len(record))])


@row("state-older", "state.db put back from an older copy, in place or as a new file")
def state_older(bench):
    """What was delivered since stands in the archive or in the journal."""
    for in_place in (True, False) * (4 if bench.short else 100):
        trial = Trial(bench)
        trial.post_cgi(trial.good())
        trial.settle()
        path = trial.site.spool / "state.db"
        older = path.read_bytes()
        for _ in range(bench.chance.randrange(1, 4)):
            trial.post_cgi(trial.good())
            trial.settle()
        exposed = 0
        if bench.chance.random() < 0.5:
            trial.post_cgi(trial.good(bench.chance.choice((0, 1200000))))
            child = trial.start_deliverer("--stay")
            trial.wait_for_records(len(trial.ledger.accepted))
            child.kill()
            child.wait()
            exposed = len(journal(trial.site))
        for end in ("-wal", "-shm"):
            trial.site.spool.joinpath(f"state.db{end}").unlink(missing_ok=True)
        if not in_place:
            path.unlink()
        path.write_bytes(older)
        path.chmod(0o600)
        for _ in range(2):
            trial.post_cgi(trial.good())
            trial.post_cgi(trial.again())
        judge(bench, trial, exposed, f"an older state.db, {'in place' if in_place else 'a new file'}")
    note_again(bench)


@row("log-lost", "the log of state.db deleted or damaged, as a killed deliverer left it")
def log_lost(bench):
    for way, damage in (("deleted", None), *WAYS.items()) * (2 if bench.short else 30):
        trial, exposed = with_history(bench)
        log = trial.site.spool / "state.db-wal"
        if log.exists() and damage and log.stat().st_size:
            log.write_bytes(damage(bench.chance, log.read_bytes()))
        else:
            log.unlink(missing_ok=True)
        judge(bench, trial, exposed, f"a log that is {way}")
    note_again(bench)


def journal(site):
    return b"".join(path.read_bytes() for path in site.spool.glob("journal/*.jsonl")).splitlines()


@row("state-damaged", "state.db damaged: cut short, overwritten in part, bits flipped")
def state_damaged(bench):
    """The deliverer goes on, whatever it finds. It may find it late, when it has written to files already."""
    for way, damage in list(WAYS.items()) * (2 if bench.short else 60):
        trial, exposed = with_history(bench)
        path = trial.site.spool / "state.db"
        path.write_bytes(damage(bench.chance, path.read_bytes()))
        trial.deliver()
        trial.post_cgi(trial.good())
        judge(bench, trial, exposed + 2, f"a state.db with {way}")
    note_again(bench)

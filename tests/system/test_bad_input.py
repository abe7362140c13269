"""Hostile input: a clear answer, and nothing else happens.

One row of the table of bad inputs is one test, whose name begins with the row's number; rows that are about requests are
tried over FastCGI and over CGI. "The same 401" is the same down to the last byte.
"""

import base64
import collections
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import time

import pytest

import fastcgi
import sign
import spans
from sites import PROGRAM, SCRIPTS, Answer, Site, all_at_once, is_alive, memory, variables, wait_for

MB = 1 << 20
REFUSED_START = 78  # EX_CONFIG
PROGRAM_DATA = 4 * MB  # that a CGI run has with a small body, and more
BAD_SIGNATURE = Answer(401, {"status": "401 Unauthorized", "content-type": "application/json", "content-length": "26"},
                       b'{"error":"bad signature"}\n')

numbers = itertools.count(1)


def nonce():
    """A new one for each event, so that tests can share a site."""
    return f"nonce-{next(numbers)}"


def members(data=b'[{"id":"1"}]', **options):
    """The members of a good body: name to bytes, to be altered."""
    return spans.members(sign.body(data, nonce(), **options))


def join(pairs):
    """A body of these members."""
    pairs = pairs.items() if isinstance(pairs, dict) else pairs
    return b"{" + b",".join(b'"%s":%s' % (name if isinstance(name, bytes) else name.encode(), value)
                            for name, value in pairs) + b"}"


def signed(data, nonce_token):
    """A body whose nonce is this token; the signature is right for what JSON says that the token means."""
    parts = members(data)
    parts["nonce"] = nonce_token
    parts["sig"] = b'"%s"' % sign.mac("sha1", "hex", data, json.loads(nonce_token)).encode()
    return join(parts)


class Mount:
    def __init__(self, site, kind):
        self.site, self.kind = site, kind
        self.server = site.serve() if kind == "fastcgi" else None
        self.post = site.post_fastcgi if kind == "fastcgi" else site.post_cgi

    def refused(self, status, body, **more):
        """The answer, which is this status with a body of JSON; and nothing was stored."""
        before = self.site.journal()
        answer = self.post(body, **more)
        assert (answer.status, list(answer.json)) == (status, ["error"])
        assert self.site.journal() == before
        return answer

    def accepted(self, body, **more):
        """Its event's identity, which is in the journal."""
        answer = self.post(body, **more)
        assert answer.status == 200, answer
        assert answer.json["id"].encode() in self.site.journal()
        return answer.json["id"]


@pytest.fixture(scope="module", params=["fastcgi", "cgi"])
def mount(request, tmp_path_factory):
    site = Site(tmp_path_factory.mktemp(request.param), endpoint='max_body = "12M"')
    yield Mount(site, request.param)
    site.close()


@pytest.fixture(params=["fastcgi", "cgi"])
def make_mount(request, make_site):
    return lambda **options: Mount(make_site(**options), request.param)


@pytest.fixture(autouse=True)
def answers(request, monkeypatch):
    """Counts the answers of each test, for the table that tests/system/bad_input makes."""
    counted = collections.Counter()
    parse = Answer.parse

    def count(output):
        answer = parse(output)
        counted[str(answer.status)] += 1
        return answer

    monkeypatch.setattr(Answer, "parse", count)
    yield
    request.node.user_properties.append(("answers", json.dumps(counted)))


def cases(*rows):
    """Parameters for a test: the first of each row is its name."""
    return pytest.mark.parametrize("case", [pytest.param(row[1:], id=row[0]) for row in rows])


# The signature.

@cases(
    ("none", {"sig": None}),
    ("null", {"sig": b"null"}),
    ("both null", {"sig": b"null", "sig256": b"null"}),
    ("empty", {"sig": b'""'}),
    ("both empty", {"sig": b'""', "sig256": b'""'}),
)
def test_01_signature_missing(mount, case):
    parts = {**members(), **case[0]}
    body = join({name: value for name, value in parts.items() if value is not None})
    assert mount.refused(401, body) == BAD_SIGNATURE


@pytest.mark.parametrize("algorithm, encoding", [("sha1", "hex"), ("sha1", "base64"), ("sha256", "hex"), ("sha256", "base64")])
@cases(
    ("a digit less", lambda s: s.rstrip(b"=")[:-1]), ("four digits less", lambda s: s[:-4]), ("half of it", lambda s: s[:len(s) // 2]),
    ("one byte", lambda s: s[:1]), ("a byte more", lambda s: s + b"0"), ("twice", lambda s: s + s),
    ("a blank before", lambda s: b" " + s), ("a blank behind", lambda s: s + b" "),
    ("a newline behind", lambda s: s + rb"\n"), ("a tab within", lambda s: s[:5] + rb"\t" + s[5:]),
    ("NUL behind", lambda s: s + rb"\u0000"), ("a megabyte more", lambda s: s + b"0" * MB),
)
def test_02_signature_cut_or_prolonged(mount, case, algorithm, encoding):
    parts = members(sha1=encoding if algorithm == "sha1" else None, sha256=encoding if algorithm == "sha256" else None)
    name = "sig" if algorithm == "sha1" else "sig256"
    mount.accepted(join(parts))
    parts[name] = b'"%s"' % case[0](parts[name][1:-1])
    assert mount.refused(401, join(parts)) == BAD_SIGNATURE


def test_02_the_signature_as_escapes_is_the_signature(mount):
    parts = members(sha1="base64")
    parts["sig"] = b'"%s"' % b"".join(b"\\u%04x" % byte for byte in parts["sig"][1:-1])
    mount.accepted(join(parts))


def nonzero_padding(text):
    """Another last character, of which a careless decoder drops the bits that differ."""
    digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = len(text.rstrip(b"=")) - 1
    other = text[:at] + bytes([digits[digits.index(text[at]) | 1]]) + text[at + 1:]
    assert other != text and base64.b64decode(other) == base64.b64decode(text)
    return other


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@cases(
    ("padding bits", "base64", nonzero_padding),
    ("padding bits, no padding", "base64", lambda s: nonzero_padding(s).rstrip(b"=")),
    ("too much padding", "base64", lambda s: s + b"="), ("padding alone", "base64", lambda s: b"===="),
    ("mixed alphabets", "base64", lambda s: b"+_" + s[2:]), ("odd hex", "hex", lambda s: s[:-1]),
    ("hex with a blank", "hex", lambda s: s[:-1] + b" "), ("hex with 0x", "hex", lambda s: b"0x" + s[2:]),
    ("hex with a g", "hex", lambda s: s[:-1] + b"g"), ("no ASCII", "hex", lambda s: s[:-2] + "é".encode()),
)
def test_03_signature_malformed(mount, case, algorithm):
    encoding, alter = case
    name = "sig" if algorithm == "sha1" else "sig256"
    parts = members(**{"sha1": None, algorithm: encoding})
    parts[name] = b'"%s"' % alter(parts[name][1:-1])
    assert mount.refused(401, join(parts)) == BAD_SIGNATURE


@pytest.mark.parametrize("name", ["sig", "sig256"])
@pytest.mark.parametrize("value", [b"1", b"0", b"true", b'["x"]', b"{}", b"[]"], ids=bytes.decode)
def test_04_signature_is_no_string(mount, name, value):
    mount.refused(400, join({**members(sha1="hex", sha256="hex"), name: value}))


def test_05_one_good_signature_excuses_no_bad_one(mount):
    for bad in ("sig", "sig256"):
        parts = members(sha1="hex", sha256="hex")
        parts[bad] = b'"%s"' % (b"0" * (len(parts[bad]) - 2))
        assert mount.refused(401, join(parts)) == BAD_SIGNATURE


def test_05_each_signature_by_another_secret(mount):
    old, new = (mount.site.secret.read_bytes().split() + [b""])[:2]
    data, once = b"[]", nonce()
    parts = spans.members(sign.body(data, once, secret=old, sha1="hex"))
    parts["sig256"] = b'"%s"' % sign.mac("sha256", "hex", data, once, new).encode()
    assert mount.refused(401, join(parts)) == BAD_SIGNATURE


def test_06_secret_rotated_away(make_mount, make_site):
    old = sign.body(nonce="1", secret=b"the old one")
    mount = make_mount()
    assert mount.refused(401, old) == BAD_SIGNATURE
    both = make_site()
    Site.write(both.secret, "the new one\nthe old one\n")
    both = Mount(both, mount.kind)
    both.accepted(old)
    both.accepted(sign.body(nonce="2", secret=b"the new one"))


def cgi(site, body=b"", **more):
    """A CGI request, whatever its end."""
    return subprocess.run([PROGRAM], input=body, capture_output=True, timeout=60,
                          env={**site.environment(), **variables(body, **more)})


def starts(site):
    """All the ways to start a receiver, and the check: (exit code, standard error) of each."""
    for command in (["serve", "-s", site.socket], ["check"]):
        done = site.run("-c", site.conf, *command)
        yield done.returncode, done.stderr.decode()
    body = sign.body()
    done = cgi(site, body)
    answer = Answer.parse(done.stdout)
    assert (answer.status, answer.json) == (500, {"error": "internal error"})
    yield done.returncode, done.stderr.decode()
    assert not site.socket.exists() and site.journal() == b""


@cases(
    ("missing", lambda path: path.unlink()),
    ("empty", lambda path: path.write_text("")),
    ("one blank line", lambda path: path.write_text("\n")),
    ("blanks only", lambda path: path.write_text(" \t\n\r\n  ")),
    ("NUL in it", lambda path: path.write_bytes(b"a secret\0word\n")),
    ("read by others", lambda path: path.chmod(0o604)),
    ("read by a group", lambda path: (os.chown(path, 65534, 65534), path.chmod(0o640))),
    ("written by others", lambda path: path.chmod(0o602)),
    ("a folder", lambda path: (path.unlink(), path.mkdir())),
    ("a FIFO", lambda path: (path.unlink(), os.mkfifo(path, 0o600))),
)
def test_07_secret_file_is_no_good(site, case):
    words = site.secret.read_text().split()
    case[0](site.secret)
    for code, message in starts(site):
        assert code == REFUSED_START
        assert str(site.secret) in message
        assert not any(word in message for word in [*words, "a secret"])


# The JSON.

@pytest.mark.parametrize("name", ["data", "nonce", "sig", "sig256", "webhook", "type", "external_xref"])
@pytest.mark.parametrize("other", [False, True], ids=["the same value", "another value"])
def test_08_duplicate_member(mount, name, other):
    parts = members(sha1="hex", sha256="hex", xref="x")
    for pairs in ([*parts.items(), (name, b"null" if other else parts[name])],
                  [(name, b"null" if other else parts[name]), *parts.items()]):
        mount.refused(400, join(pairs))


@pytest.mark.parametrize("name", ["connection_id", "event", "object_type", "id", "workspace_id", "environment"])
def test_08_duplicate_member_of_webhook(mount, name):
    parts = members()
    parts["webhook"] = parts["webhook"][:-1] + b',"%s":"a","%s":"b"}' % (name.encode(), name.encode())
    mount.refused(400, join(parts))


@cases(
    ("data", rb"d\u0061ta"), ("DATA's escapes", rb"\u0064\u0061\u0074\u0061"), ("nonce", rb"\u006eonce"),
    ("sig", rb"s\u0069g"), ("sig256", rb"sig25\u0036"), ("type", rb"typ\u0065"), ("webhook", rb"webhoo\u006B"),
    ("data with NUL", rb"data\u0000x"), ("data with NUL behind", rb"data\u0000"), ("NUL", rb"\u0000"),
)
def test_09_duplicate_member_by_an_escape(mount, case):
    parts = members(sha1="hex", sha256="hex")
    value = parts.get(json.loads(b'"%s"' % case[0]), b'[{"id":"other"}]')
    for pairs in ([*parts.items(), (case[0], value)], [(case[0], value), *parts.items()]):
        mount.refused(400, join(pairs))


def test_09_a_member_may_be_spelt_with_escapes(mount):
    parts = {rb"d\u0061ta" if name == "data" else name: value for name, value in members().items()}
    mount.accepted(join(parts))
    mount.accepted(join({**members(), rb"data\\u0000x": b"1"}))


def delivered(mount, body):
    """The `data` of an accepted body's records, as bytes."""
    event_id = mount.accepted(body)
    mount.site.deliver()
    records = mount.site.records(event_id)
    assert all(record.count(b"\n") == 0 for record in records)
    return [spans.members(record)["data"] for record in records]


@pytest.mark.parametrize("element", [b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2,"a":3}', b'{"data":1,"data":2,"nonce":"x"}'],
                         ids=bytes.decode)
def test_10_duplicate_keys_inside_data(mount, element):
    assert delivered(mount, sign.body(b"[%s]" % element, nonce())) == [element]


@pytest.mark.parametrize("data", [b"1", b'"text"', b'""', b"true", b"false", b"null", b"-0", None],
                         ids=lambda data: data.decode() if data else "missing")
def test_11_data_is_neither_array_nor_object(mount, data):
    parts = members(data or b"")
    if data is None:
        del parts["data"]
    mount.refused(400, join(parts))


def test_12_elements_that_are_no_objects(mount):
    elements = [b"1", b'"text"', b"null", b"true", b"[[],[1]]", b'{"a":1}', b'""']
    assert delivered(mount, sign.body(b"[%s]" % b",".join(elements), nonce())) == elements


@cases(
    ("missing", None), ("null", b"null"), ("a number", b"1"), ("an array", b'["x"]'), ("an object", b"{}"), ("empty", b'""'),
    ("257 bytes", b'"%s"' % (b"x" * 257)), ("257 bytes as escapes", b'"%s"' % (rb"\u0078" * 257)),
    ("over 256 bytes of UTF-8", '"{}"'.format("é" * 129).encode()), ("a megabyte", b'"%s"' % (b"x" * MB)),
    ("a newline", rb'"a\nb"'), ("NUL", rb'"a\u0000b"'), ("ESC", rb'"\u001b[31m"'), ("DEL", b'"a\x7fb"'),
    ("a lone surrogate", rb'"\ud800"'),
)
def test_13_nonce_is_no_good(mount, case):
    token = case[0]
    parts = members()
    if token is None:
        del parts["nonce"]
        body = join(parts)
    elif token[:1] == b'"' and b"ud800" not in token:
        body = signed(b"[]", token)
    else:
        body = join({**parts, "nonce": token})
    mount.refused(400, body)


def test_13_the_longest_nonce(mount):
    for token in (b'"%s"' % os.urandom(128).hex().encode(), b'"%s"' % "".join(chr(0x80 + n) for n in range(128)).encode()):
        mount.accepted(signed(b"[%d]" % next(numbers), token))


def test_14_the_same_nonce_spelt_otherwise_is_the_same_event(mount):
    data = b"[%d]" % next(numbers)
    first = mount.accepted(signed(data, rb'"\u0061bc\/"'))
    assert mount.accepted(signed(data, b'"abc/"')) == first
    mount.site.deliver()
    assert len(mount.site.records(first)) == 1
    mount.site.deliver()
    assert mount.accepted(signed(data, rb'"ab\u0063/"')) == first
    mount.site.deliver()
    assert len(mount.site.records(first)) == 1


@cases(
    ("trailing byte", lambda body: body + b"x"), ("trailing brace", lambda body: body + b"}"),
    ("trailing NUL", lambda body: body + b"\0"), ("two objects", lambda body: body + body),
    ("two objects on two lines", lambda body: body + b"\n" + body), ("BOM", lambda body: b"\xef\xbb\xbf" + body),
    ("UTF-16", lambda body: body.decode().encode("utf-16")), ("UTF-16LE", lambda body: body.decode().encode("utf-16le")),
    ("UTF-16BE", lambda body: body.decode().encode("utf-16be")), ("UTF-32", lambda body: body.decode().encode("utf-32")),
)
def test_15_not_one_object_of_utf8(mount, case):
    mount.refused(400, case[0](sign.body(nonce=nonce())))


@pytest.mark.parametrize("bad", [b"\xff", b"\x80", b"\xc3", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
                                 b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x82"],
                         ids=bytes.hex)
def test_15_bytes_that_are_no_utf8(mount, bad):
    mount.refused(400, sign.body(b'[{"a":"%s"}]' % bad, nonce()))
    mount.refused(400, sign.body(b'[{"%s":1}]' % bad, nonce()))
    mount.refused(400, join({**members(), b"k" + bad: b"1"}))
    parts = members()
    parts["webhook"] = parts["webhook"][:-1] + b',"meta":"%s"}' % bad
    mount.refused(400, join(parts))


@pytest.mark.parametrize("value", [
    b"NaN", b"Infinity", b"-Infinity", b"'a'", b"01", b"-01", b"1.", b".5", b"+1", b"1e", b"1e+", b"0x10", b"-", b"/**/1", b"1//\n",
    b"[1,]", b"[,1]", b"[1 2]", b'{"a":1,}', b"{a:1}", b'{"a"}', b'{"a":}', b"{1:2}", b"True", b"nul", b"undefined", b'"a\tb"',
    b'"a\nb"', b'"a\0b"', b'"a\x1fb"', rb'"\x41"', rb'"\u00g0"', rb'"\u12"', rb'"\'"', b'"a', b"1,", b"\x0c1", b"\xc2\xa01",
], ids=lambda value: repr(value)[2:-1])
def test_16_not_the_grammar(mount, value):
    mount.refused(400, sign.body(b"[%s]" % value, nonce()))
    mount.refused(400, join({**members(), "more": value}))


@pytest.mark.plain
@cases(("arrays", b"["), ("objects", b'{"a":'), ("both", b'[{"a":'))
def test_17_a_million_levels(mount, case):
    deep = case[0] * MB
    bodies = (deep, b'{"data":' + deep, sign.body(deep, nonce()))
    # What a body of the same size costs that is not deep at all, and a little.
    room = int(2.2 * len(deep)) + 4 * MB
    if mount.kind == "cgi":
        for body in bodies:
            mount.refused(400, body, prefix=["prlimit", f"--data={PROGRAM_DATA + room}"])
        return
    peak = Peak(mount)
    for body in bodies:
        mount.refused(400, body)
    assert peak.grown() < room


@pytest.mark.parametrize("depth, status", [(510, 200), (511, 400), (2000, 400)])
def test_17_the_limit_is_512_levels(mount, depth, status):
    """Of which the body is the first and `data` the second."""
    body = sign.body(b"[" + b"[" * depth + b"]" * depth + b"]", nonce())
    if status == 200:
        mount.accepted(body)
    else:
        mount.refused(400, body)


@pytest.mark.parametrize("value", [
    b"12345678901234567890123", b"-99999999999999999999999", b"1e400", b"-1E-400", b"-0", b"0.0", b"1.0", b"1E5", b"1e+05",
    rb'"\ud800"', rb'"\udc00x"', rb'"\ud800\ud800"', rb'"\ud83d\ude00"', rb'"\/\u2028\u0041"', '"\u2028\u2029"'.encode(),
    b'"\x7f"', rb'"\u0000\u001b"', rb'{"\ud800":1}',
], ids=lambda value: repr(value)[2:-1])
def test_18_values_that_parsers_change(mount, value):
    data = b'[{"a":%s},%s]' % (value, value)
    assert delivered(mount, sign.body(data, nonce())) == [b'{"a":%s}' % value, value]


def colliding(count):
    """Keys that the common hash functions of strings (times 31, times 33, FNV of pairs) put into one bucket."""
    pairs = (b"Ez", b"FY")
    return [b"".join(pairs[n >> bit & 1] for bit in range(17)) for n in range(count)]


@pytest.mark.plain
@cases(
    ("different keys", [b"k%d" % n for n in range(100_000)]), ("colliding keys", colliding(100_000)),
    ("one key", [b"k"] * 100_000), ("escaped keys", [rb"\u0064\u0061%d" % n for n in range(100_000)]),
)
def test_19_a_hundred_thousand_keys(mount, case):
    crowd = b",".join(b'"%s":1' % key for key in case[0])
    few = sign.body(nonce=nonce())
    began = time.monotonic()
    mount.accepted(few)
    usual = time.monotonic() - began
    for where in ("data", "webhook", "body"):
        parts = members(b"[{%s}]" % crowd if where == "data" else b"[]")
        if where == "webhook":
            parts["webhook"] = parts["webhook"][:-1] + b"," + crowd + b"}"
        body = join(parts)
        if where == "body":
            body = body[:-1] + b"," + crowd + b"}"
        began = time.monotonic()
        mount.accepted(body)
        # In quadratic time, 10^10 steps, it would take ten seconds at least.
        assert time.monotonic() - began < usual + 2


# Body and headers.

class Peak:
    """How much more memory a FastCGI receiver has used at any moment from now on."""

    def __init__(self, mount):
        self.mount = mount
        mount.accepted(sign.body(nonce=nonce()))
        self.before = self.now()

    def now(self):
        return memory(self.mount.server.pid, "VmHWM")

    def grown(self):
        return self.now() - self.before


@pytest.mark.parametrize("length", ["declared", "-1", ""], ids=["declared", "-1", "none"])
def test_20_body_over_max_body(make_mount, length):
    mount = make_mount(endpoint='max_body = "1000"')
    body = sign.body(b'["%s"]' % (b"x" * 1000), nonce())
    within = sign.body(nonce=nonce())
    within += b" " * (1000 - len(within))
    for text, status in ((body, 413), (within, 200), (within + b" ", 413)):
        more = {} if length == "declared" else {"CONTENT_LENGTH": length}
        assert mount.post(text, **more).status == status
    assert mount.site.journal().count(b"\n") == 1


@pytest.mark.plain
@pytest.mark.parametrize("length", ["declared", "-1", ""], ids=["declared", "-1", "none"])
def test_20_body_over_max_body_takes_no_memory(make_site, length):
    """As CGI; test_floods has a gigabyte over FastCGI."""
    site = make_site(endpoint='max_body = "1M"')
    more = {} if length == "declared" else {"CONTENT_LENGTH": length}
    assert site.post_cgi(b" " * (100 * MB), prefix=["prlimit", f"--as={64 * MB}"], **more).status == 413
    assert site.journal() == b""


def test_20_records_over_their_bound(site):
    """Each element has the fields again, which are not signed."""
    data = b"[" + b",".join([b"1"] * 30000) + b"]"
    long = {name: "x" * 1022 for name in ("id", "connection_id", "object_type", "event", "workspace_id",
                                          "integration_type", "environment", "type")}
    answer = site.post_cgi(sign.body(data, nonce(), xref="x" * 4094, **long))
    assert (answer.status, answer.json) == (413, {"error": "payload too large"})
    assert site.audit(status=413)[0]["reason"] == "records over 256 MB"
    assert site.journal() == b""
    assert site.post_cgi(sign.body(data, nonce())).status == 200


@pytest.mark.parametrize("length", ["+5", "1e9", "99999999999999999999", "18446744073709551616", "-2", " 5", "5 ", "0x10", "5,5"])
def test_21_content_length_is_no_number(mount, length):
    mount.refused(400, sign.body(nonce=nonce()), CONTENT_LENGTH=length)


@pytest.mark.parametrize("length", ["-1", "", None], ids=["-1", "empty", "none"])
def test_21_content_length_says_nothing(mount, length):
    body = sign.body(nonce=nonce())
    if length is not None:
        mount.accepted(body, CONTENT_LENGTH=length)
    elif mount.kind == "fastcgi":
        about = {name: value for name, value in variables(body).items() if name != "CONTENT_LENGTH"}
        with fastcgi.Connection(mount.site.socket) as connection:
            assert Answer.parse(connection.request(about, body, keep=False)).status == 200
    else:
        env = {**mount.site.environment(), **variables(body)}
        del env["CONTENT_LENGTH"]
        done = subprocess.run([PROGRAM], input=body, capture_output=True, timeout=60, env=env)
        assert Answer.parse(done.stdout).status == 200


def test_21_content_length_with_leading_zeros(mount):
    body = sign.body(nonce=nonce())
    mount.accepted(body, CONTENT_LENGTH=f"{len(body):030}")


def test_22_body_shorter_than_declared(mount):
    body = sign.body(nonce=nonce())
    for missing in (1, 10, len(body)):
        mount.refused(400, body[:len(body) - missing], CONTENT_LENGTH=str(len(body)))


def test_22_body_longer_than_declared(mount):
    body = sign.body(nonce=nonce())
    if mount.kind == "fastcgi":
        mount.refused(400, body + b" ", CONTENT_LENGTH=str(len(body)))
    else:
        # What stands behind the body is not the program's to read (RFC 3875 section 4.2).
        mount.accepted(body + b"garbage", CONTENT_LENGTH=str(len(body)))


def test_22_the_peer_goes_in_the_middle(make_mount):
    mount = make_mount()
    body = sign.body(b'["%s"]' % (b"x" * 100000), nonce())
    if mount.kind == "fastcgi":
        whole = fastcgi.begin() + fastcgi.params(variables(body)) + fastcgi.stream(fastcgi.STDIN, body, chunk=1000)
        for sent in range(0, len(whole) - 1, 997):
            with fastcgi.Connection(mount.site.socket) as connection:
                connection.send(whole[:sent])
        mount.accepted(sign.body(nonce=nonce()))
        assert is_alive(mount.server.pid)
        assert mount.site.journal().count(b"\n") == 1
    else:
        for sent in (0, 1, 5000, len(body) - 1):
            mount.refused(400, body[:sent], CONTENT_LENGTH=str(len(body)))
        # The server's end of the pipe is gone before the answer.
        child = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 env={**mount.site.environment(), **variables(body)})
        child.stdout.close()
        child.stdin.write(body[:100])
        child.stdin.close()
        assert child.wait(60) == 74
        assert mount.site.journal() == b""


@pytest.mark.parametrize("body", [b"", b" ", b"null", b"[]", b"{}", b"true", b'"text"', b"{", b"0"], ids=repr)
def test_23_no_event(mount, body):
    mount.refused(400, body)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "post", "POSTS", "", "P" * 5000])
def test_24_method(mount, method):
    answer = mount.refused(405, sign.body(nonce=nonce()), method=method)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded",
                                  "application/jsonx", "application/xml", "json", "+json", "text/plain; a=application/json",
                                  "application/json-seq", ";", "x" * 10000])
def test_25_content_type_is_not_json(mount, kind):
    mount.refused(415, sign.body(nonce=nonce()), content_type=kind)


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;a=b", "application/json ;a",
                                  "application/vnd.api+json", "application/cloudevents+json; charset=UTF-8", ""])
def test_25_content_type_is_json(mount, kind):
    mount.accepted(sign.body(nonce=nonce()), content_type=kind)


@pytest.mark.parametrize("path", ["/other", "/webhook/../x", "//webhook", "/webhook/x", "/x/../webhook", "/webhook//", "/./webhook",
                                  "/%77ebhook", "/webhook%00", "/Webhook", "/webhook#a", "webhook", "", "/", "*", "?", "/webhook;a",
                                  "/" + "a" * 100000])
def test_26_unknown_path(mount, path):
    mount.refused(404, sign.body(nonce=nonce()), path=path)


@pytest.mark.parametrize("query", ["?", "?a=b", "?a=/../x", "??", "?\x1b[31m", "?" + "a" * 100000], ids=lambda query: query[:9])
def test_26_the_query_is_ignored(mount, query):
    mount.accepted(sign.body(nonce=nonce()), path="/webhook" + query)


@pytest.mark.parametrize("arguments", [["drop", "--all"], ["-c", "/dev/null"], ["check"], ["--help"], ["serve", "-s", "/dev/null"]],
                         ids=lambda arguments: arguments[0])
def test_26_words_of_the_query_are_no_arguments(site, arguments):
    """A server hands them to a CGI program as its arguments (RFC 3875 section 4.4)."""
    body = sign.body(nonce=nonce())
    done = subprocess.run([PROGRAM, *arguments], input=body, capture_output=True, timeout=60,
                          env={**site.environment(), **variables(body, "/webhook?" + "+".join(arguments))})
    assert Answer.parse(done.stdout).status == 200
    assert site.journal().count(b"\n") == 1


# FastCGI itself.

def request(body=None, about=None):
    body = sign.body(nonce=nonce()) if body is None else body
    return fastcgi.params(about or variables(body)) + fastcgi.stream(fastcgi.STDIN, body)


LONG = 0x7FFFFFFF
BROKEN = {
    "nothing": lambda: b"",
    "half a header": lambda: fastcgi.begin()[:5],
    "half a begin record": lambda: fastcgi.begin()[:12],
    "HTTP": lambda: b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde",
    "zeros": lambda: bytes(100000),
    "ones": lambda: b"\xff" * 100000,
    "version 2": lambda: fastcgi.record(fastcgi.BEGIN_REQUEST, b"\0\1\0\0\0\0\0\0", version=2) + request(),
    "request 0": lambda: fastcgi.begin(request=0) + request(),
    "short begin body": lambda: fastcgi.record(fastcgi.BEGIN_REQUEST, b"\0\1\0"),
    "long begin body": lambda: fastcgi.record(fastcgi.BEGIN_REQUEST, b"\0\1" + bytes(100)),
    "unknown role": lambda: fastcgi.begin(role=77) + request(),
    "role 0": lambda: fastcgi.begin(role=0) + request(),
    "no begin": lambda: request(),
    "truncated params": lambda: fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, b"\x0e\x04REQUEST", length=5000),
    "a pair over the end": lambda: fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, b"\x0e\x7fREQUEST_METHODPOST"),
    "half a length": lambda: fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, b"\xff\xff"),
    "name of 2 GB": lambda: fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.claimed_pair(LONG, 1, b"x" * 1000)),
    "value of 2 GB": lambda: fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.claimed_pair(1, LONG, b"x" * 1000)),
    "both of 2 GB": lambda: fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.claimed_pair(LONG, LONG, b"x" * 1000)),
    "value of 1 GB": lambda: fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.claimed_pair(1, 1 << 30, b"x" * 1000)),
    "stdin for params": lambda: fastcgi.begin() + fastcgi.stream(fastcgi.STDIN, b"{}"),
    "abort before params": lambda: fastcgi.begin() + fastcgi.record(fastcgi.ABORT_REQUEST),
    "abort within params": lambda: fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, b"\1\1ab") + fastcgi.record(fastcgi.ABORT_REQUEST),
    "abort within the body": lambda: (fastcgi.begin() + fastcgi.params(variables(b"x" * 100))
                                      + fastcgi.record(fastcgi.STDIN, b"x") + fastcgi.record(fastcgi.ABORT_REQUEST)),
    "params within the body": lambda: fastcgi.begin() + fastcgi.params(variables(b"x" * 9)) + fastcgi.record(fastcgi.PARAMS, b"\1\1ab"),
    "truncated body": lambda: (fastcgi.begin() + fastcgi.params(variables(b"x" * 100))
                               + fastcgi.record(fastcgi.STDIN, b"x" * 10, length=100)),
    "unknown types": lambda: b"".join(fastcgi.record(kind, b"x" * 8) for kind in range(11, 256)) + fastcgi.begin()[:3],
    "management records": lambda: b"".join(fastcgi.record(kind, b"x" * 8, request=0) for kind in range(9, 60)) + b"\1",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    mount = Mount(Site(tmp_path_factory.mktemp("served")), "fastcgi")
    yield mount
    mount.site.close()


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "byte by byte"])
def test_27_broken_fastcgi(served, name, slowly):
    """The connection ends once its peer says no more, the program lives, others are served."""
    message = BROKEN[name]()
    with fastcgi.Connection(served.site.socket, timeout=10) as connection:
        try:
            if slowly:
                for i in range(min(len(message), 2000)):
                    connection.send(message[i:i + 1])
                connection.send(message[2000:])
            else:
                connection.send(message)
            served.accepted(sign.body(nonce=nonce()))
            connection.socket.shutdown(1)
        except (BrokenPipeError, OSError):
            pass
        assert connection.is_ended()
    served.accepted(sign.body(nonce=nonce()))
    assert is_alive(served.server.pid) and served.server.poll() is None
    assert memory(served.server.pid, "VmRSS") < 200 * MB


def test_27_random_bytes(served):
    import random
    chance = random.Random(27)
    good = fastcgi.begin(keep=False) + request()
    for _ in range(300):
        with fastcgi.Connection(served.site.socket, timeout=10) as connection:
            message = bytearray(good)
            for _ in range(chance.randrange(1, 9)):
                message[chance.randrange(len(message))] = chance.randrange(256)
            try:
                connection.send(bytes(message[:chance.randrange(len(message))]))
                connection.socket.shutdown(1)
            except OSError:
                pass
            assert connection.is_ended()
    served.accepted(sign.body(nonce=nonce()))
    assert served.server.poll() is None


def test_27_late_empty_stdin(served):
    """It is the sender's time, and nobody else's."""
    body = sign.body(nonce=nonce())
    with fastcgi.Connection(served.site.socket) as late:
        late.send(fastcgi.begin() + fastcgi.params(variables(body)) + fastcgi.record(fastcgi.STDIN, body))
        for _ in range(20):
            served.accepted(sign.body(nonce=nonce()))
        late.send(fastcgi.record(fastcgi.STDIN))
        assert Answer.parse(late.answer()).status == 200


def test_27_records_of_another_request(served):
    """They are no part of this one; a second request at the same time is refused."""
    body = sign.body(nonce=nonce())
    with fastcgi.Connection(served.site.socket) as connection:
        connection.send(fastcgi.begin(request=7))
        connection.send(fastcgi.params(variables(body), request=7)[:-8] + fastcgi.record(fastcgi.PARAMS, b"\1\1ab", request=8))
        connection.send(fastcgi.record(fastcgi.PARAMS, request=7))
        connection.send(fastcgi.record(fastcgi.STDIN, b"garbage", request=8) + fastcgi.record(fastcgi.STDIN, body[:50], request=7))
        connection.send(fastcgi.begin(request=8))
        connection.send(fastcgi.record(fastcgi.STDIN, body[50:], request=7) + fastcgi.record(fastcgi.STDIN, request=7))
        assert Answer.parse(connection.answer(request=7)).status == 200


def test_27_a_connection_that_says_nothing(served):
    with fastcgi.Connection(served.site.socket, timeout=30) as silent:
        served.accepted(sign.body(nonce=nonce()))
        assert silent.is_ended()
    served.accepted(sign.body(nonce=nonce()))


# Repetitions.

def test_28_the_same_request_at_once_over_several_processes(site):
    port = site.lighttpd(processes=4)
    body = sign.body(nonce="same")
    calls = [lambda: site.post_http(port, body)] * 40 + [lambda: site.post_cgi(body)] * 10
    answers = all_at_once(calls)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["id"] for answer in answers}) == 1
    site.deliver()
    assert site.post_cgi(body).status == 200
    site.deliver()
    assert len(site.records()) == 1


def test_28_the_same_request_after_a_crash_between_sync_and_answer(make_mount):
    """The first write(2) for a request comes after the sync: there it is killed. A server has written before that its
    configuration is taken."""
    mount = make_mount()
    site, body = mount.site, sign.body(nonce="crash")
    when = 2 if mount.kind == "fastcgi" else 1
    strace = ["strace", "-f", "-o", site.folder / "trace", "-e", f"inject=write:signal=KILL:when={when}"]
    if mount.kind == "fastcgi":
        site.stop(mount.server)
        server = site.serve(strace, leaks=False)
        with pytest.raises(ConnectionError):
            site.post_fastcgi(body)
        server.wait(60)
        site.serve()
    else:
        done = subprocess.run([*strace, PROGRAM], input=body, capture_output=True, timeout=60,
                              env={**site.environment(leaks=False), **variables(body)})
        assert done.stdout == b""
    # In two lines, where another thread's call came between.
    assert re.search(r"fdatasync(\(\d+\)| resumed>\)) += 0", (site.folder / "trace").read_text())
    assert site.journal().count(b'"nonce":"crash"') == 1
    event_id = mount.accepted(body)
    assert site.journal().count(event_id.encode()) == 2
    site.deliver()
    assert len(site.records()) == 1


# What is not signed.

OUT = """
target "records" {
    file = "out/%{object_type}/%{connection_id}.jsonl"
}
"""

HOSTILE = {
    "up": "../x", "far up": "../../../../../../tmp/x", "absolute": "/x", "dot": ".", "dots": "..", "empty": "", "NUL": "a\0b",
    "NUL alone": "\0", "long": "a" * 300, "long and wide": "é" * 150, "dash": "-rf", "hidden": ".ssh", "slash": "/",
    "backslash": "..\\x", "percent": "%2e%2e%2f", "template": "%{date}", "newline": "a\nb", "blank": " ", "tilde": "~root",
    "quote": "\"'", "shell": "$(id)`id`;id|id&", "ESC": "\x1b[31m", "shellshock": "() { :;}; id", "wild": "*", "lone": "\ud800",
}


def files_below(folder):
    """All that is there, below it; each is a folder or a plain file of its own."""
    found = []
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        assert stat.S_ISDIR(about.st_mode) or (stat.S_ISREG(about.st_mode) and about.st_nlink == 1), path
        if stat.S_ISREG(about.st_mode):
            found.append(path)
    return found


def hostile_body(value):
    """One value in all the fields that no signature covers."""
    body = sign.body(nonce=nonce(), type=value, xref=value, connection_id=value, object_type=value, event=value, id=value,
                     workspace_id=value, integration_type=value, environment=value)
    return body


def test_29_an_altered_connection_stays_within_the_layout(make_mount):
    mount = make_mount(targets=OUT)
    body = sign.body(nonce="1", connection_id="c1")
    for value in HOSTILE.values():
        mount.accepted(body.replace(b'"connection_id": "c1"', b'"connection_id": %s' % json.dumps(value).encode()))
        mount.accepted(sign.body(nonce=nonce(), connection_id=value))
    mount.site.deliver()
    for path in files_below(mount.site.folder / "out"):
        assert path.parent == mount.site.folder / "out" / "crm_contact"
    assert len(files_below(mount.site.folder / "out")) == len(HOSTILE)


def test_29_an_altered_connection_is_excluded_by_the_list(make_mount):
    mount = make_mount(endpoint='connections = {"c1"}')
    body = sign.body(nonce="1", connection_id="c1")
    mount.accepted(body)
    assert mount.refused(403, body.replace(b'"c1"', b'"c2"')).json == {"error": "connection not allowed"}
    for value in (b"null", b'""', b'"c1 "', rb'"c1\u0000"', b'"C1"'):
        mount.refused(403, body.replace(b'"c1"', value))
    mount.refused(403, body.replace(b'"connection_id": "c1", ', b""))
    mount.accepted(body.replace(b'"c1"', rb'"\u00631"'))


@pytest.mark.parametrize("name", HOSTILE)
def test_30_a_field_in_a_file_name(make_site, name):
    site = make_site(targets=OUT)
    outside = {path for path in site.folder.parent.rglob("*")}
    assert site.post_cgi(hostile_body(HOSTILE[name])).status == 200
    site.deliver()
    path, = files_below(site.folder / "out")
    assert path.parent.parent == site.folder / "out"
    for part in (path.parent.name, path.name):
        assert re.fullmatch(r"[A-Za-z0-9_%][A-Za-z0-9._%-]{0,253}", part)
    new = {path for path in site.folder.parent.rglob("*")} - outside
    assert all(site.spool in [path, *path.parents] or site.folder / "out" in [path, *path.parents] for path in new)


def swap_file(make):
    def swap(folder, victim):
        path = folder / "crm_contact" / "c1.jsonl"
        path.rename(folder / "aside")
        make(path, victim)
        return lambda: (path.unlink(), (folder / "aside").rename(path))
    return swap


def swap_folder(folder, victim):
    path = folder / "crm_contact"
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    path.rename(folder / "aside")
    path.symlink_to(elsewhere)
    return lambda: (path.unlink(), (folder / "aside").rename(path))


def swap_folder_by_a_file(folder, victim):
    path = folder / "crm_contact"
    path.rename(folder / "aside")
    path.symlink_to(victim)
    return lambda: (path.unlink(), (folder / "aside").rename(path))


@cases(
    ("link to a file", swap_file(lambda path, victim: path.symlink_to(victim))),
    ("link to nothing", swap_file(lambda path, victim: path.symlink_to(victim.parent / "nothing"))),
    ("hard link", swap_file(lambda path, victim: os.link(victim, path))),
    ("FIFO", swap_file(lambda path, victim: os.mkfifo(path))),
    ("device", swap_file(lambda path, victim: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3)))),
    ("socket", swap_file(lambda path, victim: os.mknod(path, stat.S_IFSOCK | 0o600))),
    ("folder", swap_file(lambda path, victim: path.mkdir())),
    ("folder by a link", swap_folder),
    ("folder by a link to a file", swap_folder_by_a_file),
)
def test_31_a_target_is_swapped(make_site, case):
    site = make_site(targets=OUT)
    if os.geteuid() != 0 and case[0].__closure__ and "mknod" in str(case[0].__closure__[0].cell_contents.__code__.co_names):
        pytest.skip("only root can make devices")
    folder, victim = site.folder / "out", site.folder / "victim"
    victim.write_text("mine\n")
    assert site.post_cgi(sign.body(nonce="1")).status == 200
    site.deliver()
    restore = case[0](folder, victim)
    event_id = site.post_cgi(sign.body(nonce="2")).json["id"]
    site.deliver()
    site.deliver(later="+2h")
    assert victim.read_text() == "mine\n"
    assert not (site.folder / "nothing").exists()
    assert list((site.folder / "elsewhere").glob("*") if (site.folder / "elsewhere").exists() else []) == []
    assert site.journal().count(event_id.encode()) == 1
    lines = site.audit(what="delivery", target="records", event_id=event_id)
    assert [line["result"] for line in lines] == ["retry"] * len(lines) and lines and lines[0]["detail"]
    if case[0] is not swap_folder_by_a_file and (folder / "crm_contact" / "c1.jsonl").is_dir():
        (folder / "crm_contact" / "c1.jsonl").rmdir()
        (folder / "aside").rename(folder / "crm_contact" / "c1.jsonl")
    else:
        restore()
    site.deliver(later="+9h")
    content = (folder / "crm_contact" / "c1.jsonl").read_bytes()
    assert content.count(b"\n") == 2 and content.count(b'{"event_id":"%s"' % event_id.encode()) == 1


# Scripts.

SHELL = ["$(touch OWNED)", "`touch OWNED`", "; touch OWNED", "\ntouch OWNED\n", "() { :;}; touch OWNED", "| touch OWNED",
         "&& touch OWNED #", "x' || touch OWNED '", 'x" || touch OWNED "', "--version", "x\0touch OWNED"]


def script(name, *arguments, options=""):
    words = ", ".join(f'"{word}"' for word in (SCRIPTS / name, *arguments))
    return f'target "crm" {{\n    run = {{{words}}}\n    {options}\n}}\n'


@pytest.mark.parametrize("value", SHELL, ids=lambda value: repr(value)[1:-1])
def test_32_shell_words_in_fields_and_headers(make_mount, tmp_path, value):
    out = tmp_path / "described"
    mount = make_mount(targets=script("describe", out) + OUT, deliver="auto")
    inside = value.replace("\0", "")
    headers = {f"HTTP_{name}": inside for name in ("USER_AGENT", "COOKIE", "REFERER", "X", "HOST", "X_FORWARDED_FOR")}
    mount.accepted(hostile_body(value), path="/webhook?" + inside, REMOTE_ADDR=inside, QUERY_STRING=inside,
                   PATH_INFO=inside, SERVER_NAME=inside, **headers)
    wait_for(lambda: out.exists() and out.read_text().endswith("\n"), "the script ran")
    given = json.loads(out.read_text())
    assert given["arguments"] == [str(out)]
    for name, text in given["environment"].items():
        assert re.fullmatch(r"PATH|HOME|LANG|HOOKSPOOL_[A-Z_]+", name)
        assert re.fullmatch(r"[A-Za-z0-9._%/:+-]*", text), (name, text)
    assert not list(mount.site.folder.rglob("OWNED")) and not pathlib.Path("OWNED").exists()


def test_33_a_proxy_header_reaches_no_script(make_mount, tmp_path):
    out = tmp_path / "described"
    mount = make_mount(targets=script("describe", out), deliver="auto")
    mount.accepted(sign.body(nonce="1"), HTTP_PROXY="http://evil.example", http_proxy="http://evil.example")
    wait_for(lambda: out.exists() and out.read_text().endswith("\n"), "the script ran")
    assert not any("proxy" in name.lower() for name in json.loads(out.read_text())["environment"])
    assert "evil" not in out.read_text()


@pytest.mark.parametrize("value", ["\x1b[31mred", "a\nb", 'a\r\n{"at":"forged"}', "a\0b", "\x7f\x9b", "\ud800", "x" * 5000],
                         ids=lambda value: ascii(value)[1:10])
def test_34_control_characters_in_what_is_logged(make_mount, value):
    mount = make_mount()
    log = mount.site.folder / "serve.log"
    before = log.read_bytes() if log.exists() else b""
    inside = value.replace("\0", "").encode("utf-8", "replace").decode()
    body = hostile_body(value)
    raw = re.sub(rb"\\u00(7f|9b)", lambda found: chr(int(found.group(1), 16)).encode(), body)
    posts = [(body, {}), (raw, {}), (body.replace(b'"sig":"', b'"sig":"x'), {}), (body, {"path": "/x" + inside}), (body, {"method": inside or "x"}),
             (body, {"content_type": "a" + inside}), (body, {"CONTENT_LENGTH": "a" + inside})]
    for text, more in posts:
        mount.post(text, REMOTE_ADDR=inside or "x", **more)
    trail = (mount.site.spool / "audit" / "audit.jsonl").read_bytes()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", trail)
    assert len(trail.splitlines()) - len(mount.site.audit(what="configuration")) == len(posts)
    assert len(mount.site.audit(what="request")) == len(posts)
    assert all(len(line) < 2500 for line in trail.splitlines())
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", (log.read_bytes() if log.exists() else b"")[len(before):])


def test_34_control_characters_before_the_operator(make_mount):
    """What commands print for people has none that would move a terminal's cursor, whether it came from a sender or from
    a script. Their --json is for programs, and has data as it was sent."""
    evil = "\x7f\x9b31m\x85"
    mount = make_mount(targets='target "crm" {\n    run = {"/bin/sh", "-c", "cat; printf \'\\\\033[31m\\\\233x\'; exit 100"}\n}\n')
    body = re.sub(rb"\\u00(7f|9b|85)", lambda found: chr(int(found.group(1), 16)).encode(), hostile_body(evil))
    assert evil.encode() in body
    event_id = mount.accepted(body)
    mount.site.deliver()
    for command in (["status"], ["log"], ["show", event_id], ["parked"], ["replay", event_id], ["retry", "--all"]):
        done = mount.site.run("-c", mount.site.conf, *command)
        assert done.stdout and not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", done.stdout + done.stderr), command
        done.stdout.decode()


# The administrator's files.

def alter_conf(old, new):
    def alter(site):
        text = site.conf.read_text()
        assert old in text
        Site.write(site.conf, text.replace(old, new, 1))
        return new.splitlines()[-1]
    return alter


def alter_mode(which, mode):
    def alter(site):
        getattr(site, which).chmod(mode)
    return alter


@cases(
    ("config written by its group", alter_mode("conf", 0o620)), ("config written by others", alter_mode("conf", 0o602)),
    ("secret written by its group", alter_mode("secret", 0o620)), ("secret written by others", alter_mode("secret", 0o602)),
    ("unknown option", alter_conf('deliver = "manual"', 'delivr = "manual"')),
    ("unknown option of an endpoint", alter_conf('scheme = "unified"', 'scheme = "unified"\n    shceme = "unified"')),
    ("unknown section", alter_conf('endpoint "/webhook"', 'source "/webhook"')),
    ("unknown scheme", alter_conf('scheme = "unified"', 'scheme = "none"')),
    ("wrong type", alter_conf('scheme = "unified"', 'scheme = {"unified"}')),
    ("a size that is none", alter_conf('scheme = "unified"', 'scheme = "unified"\n    max_body = "many"')),
    ("a size out of range", alter_conf('scheme = "unified"', 'scheme = "unified"\n    max_body = "0"')),
    ("a huge size", alter_conf('scheme = "unified"', 'scheme = "unified"\n    max_body = "99999999999999999999"')),
    ("a negative size", alter_conf('scheme = "unified"', 'scheme = "unified"\n    max_body = "-1"')),
    ("a time without unit", alter_conf('deliver = "manual"', 'deliver = "manual"\nkeep = "7"')),
    ("a duplicate option", alter_conf('deliver = "manual"', 'deliver = "manual"\ndeliver = "auto"')),
    ("a bad choice", alter_conf('deliver = "manual"', 'deliver = "perhaps"')),
    ("an unknown placeholder", alter_conf("/records.jsonl", "/%{secret}.jsonl")),
    ("a template that climbs", alter_conf("/records.jsonl", "/%{type}/../../x.jsonl")),
    ("no closing brace", alter_conf('scheme = "unified"', 'scheme = "unified"\n    "')),
)
def test_35_config_or_secret_is_no_good(site, case):
    wrong = case[0](site)
    named = re.escape(str(site.secret if "secret" in case[0].__closure__[-1].cell_contents.__repr__() else site.conf))
    lines = site.conf.read_text().splitlines()
    for code, message in starts(site):
        assert code == REFUSED_START
        found = re.search(named + r"(?::(\d+))?", message)
        assert found, message
        if wrong is not None:
            assert wrong in lines[int(found.group(1)) - 1], message


def test_36_set_uid(site, tmp_path):
    """With another's rights it would read another's secrets."""
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    if os.environ.get("HOOKSPOOL_SANITIZED"):
        pytest.skip("a sanitizer's run-time refuses a set-uid program before it can")
    other = tmp_path / "other"
    shutil.copy(PROGRAM, other)
    for owner, mode in ((65534, 0o4755), (-1, 0o2755)):
        os.chown(other, owner, 65534)
        other.chmod(mode)
        for arguments, env in ((["check"], {}), (["deliver", "--once"], {}), ([], variables(b""))):
            done = subprocess.run([other, *arguments], input=b"", capture_output=True, timeout=60, env={**site.environment(), **env})
            assert done.returncode == 77 and b"set-uid" in done.stderr, done
    assert not site.spool.exists()


@pytest.mark.parametrize("deliver", ["manual", "auto"])
def test_37_umask_000(make_mount, deliver):
    mask = os.umask(0)
    try:
        mount = make_mount(deliver=deliver, targets=OUT + """
target "shared" {
    file = "shared/%{object_type}.jsonl"
    mode = "0640"
}
""")
        mount.accepted(sign.body())
        if deliver == "manual":
            mount.site.deliver()
        folder = mount.site.folder
        wait_for(lambda: (folder / "shared" / "crm_contact.jsonl").exists(), "it is delivered")
        mount.site.end_deliverer()
    finally:
        os.umask(mask)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for top in ("spool", "out", "shared")
             for path in [folder / top, *(folder / top).rglob("*")]}
    assert len(modes) > 8
    for path, mode in modes.items():
        if path.is_dir():
            assert mode in (0o700, 0o750) and (mode == 0o700 or "shared" in path.parts), path
        else:
            assert mode == (0o640 if path.parent.name == "shared" else 0o600), path


def make_file(path, text="#!/bin/sh\nexit 0\n", mode=0o700):
    path.write_text(text)
    path.chmod(mode)


@cases(
    ("missing", lambda path: None), ("not executable", lambda path: make_file(path, mode=0o600)), ("a folder", lambda path: path.mkdir()),
    ("no interpreter", lambda path: make_file(path, "#!/nonexistent/sh\n")), ("no program", lambda path: make_file(path, "\x7fELF?")),
    ("empty", lambda path: make_file(path, "")), ("a link to itself", lambda path: path.symlink_to(path)),
)
def test_38_a_script_that_cannot_run(make_site, tmp_path, case):
    program = tmp_path / "program"
    case[0](program)
    site = make_site(targets=f'target "crm" {{\n    run = {{"{program}"}}\n    retry_for = "5h"\n}}\n' + OUT)
    answer = site.post_cgi(sign.body())
    assert answer.status == 200
    for hours in range(0, 15, 3):
        site.deliver(later=f"+{hours}h" if hours else None)
    lines = site.audit(what="delivery", target="crm", event_id=answer.json["id"])
    results = [line["result"] for line in lines]
    assert results[-1] == "parked" and set(results[:-1]) == {"retry"} and len(results) > 1
    assert all(line["detail"] for line in lines)
    assert len(files_below(site.folder / "out")) == 1
    assert site.journal().count(b"\n") == 1, "what is parked is kept"

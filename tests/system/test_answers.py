"""A signed webhook in, the right answer and the right records out."""

import json
import os
import re
import signal

import pytest

import sign
import spans
from sites import SAMPLES, Site, all_at_once, is_alive, sample, wait_for

# Each sample and its elements. One without any is one record all the same.
ACCEPTED = {
    "virtual-one": 1,
    "virtual-ten": 10,
    "virtual-thousand": 1000,
    "native-deleted": 1,
    "initial-partial": 2,
    "initial-complete-last-page": 1,
    "initial-complete-empty": 0,
    "sha1-hex": 1,
    "sha256-base64": 1,
    "sha256-hex": 1,
    "both-signatures": 1,
    "member-order": 1,
    "old-secret": 1,
    "pretty-printed": 2,
    "unicode": 1,
    "numbers": 1,
    "new-type": 1,
    "sparse-webhook": 1,
}
REFUSED = ["bad-secret", "altered-data", "no-signature", "sha256-bad-sha1-good"]

TIME = rb"20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d\.\d{6}Z"


def expected_records(body):
    """The records of a body, as bytes, with TIME in place of the time; they are put together from the body's own."""
    body = spans.members(body)
    webhook = spans.members(body["webhook"])
    data = spans.compact(body["data"])
    elements = [data] if data[:1] == b"{" else spans.elements(data)
    count = len(elements)
    event_id = sign.event_id(data, json.loads(body["nonce"])).encode()
    lines = []
    for index, element in enumerate(elements) if elements else [(None, b"null")]:
        keys = [
            ("event_id", b'"%s"' % event_id),
            ("index", b"null" if index is None else b"%d" % index),
            ("count", b"%d" % count),
            ("received_at", b'"TIME"'),
            ("endpoint", b'"/webhook"'),
            ("scheme", b'"unified"'),
            ("type", body.get("type", b"null")),
            ("event", webhook.get("event", b"null")),
            ("object_type", webhook.get("object_type", b"null")),
            ("connection_id", webhook.get("connection_id", b"null")),
            ("webhook_id", webhook.get("id", b"null")),
            ("workspace_id", webhook.get("workspace_id", b"null")),
            ("integration_type", webhook.get("integration_type", b"null")),
            ("environment", webhook.get("environment", b"null")),
            ("external_xref", body.get("external_xref", b"null")),
            ("data", element),
        ]
        lines.append(b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in keys) + b"}")
    return lines


def without_times(lines):
    changed = [re.sub(rb'^(.{1,90}"received_at":)"' + TIME + rb'"', rb'\1"TIME"', line) for line in lines]
    times = {re.search(rb'"received_at":"(.{27})"', line).group(1) for line in lines}
    assert len(times) <= 1, "one event has one time"
    return changed


@pytest.fixture(scope="module", params=["lighttpd", "cgi"])
def mount(request, tmp_path_factory):
    """A site and how to post to it, for all samples."""
    site = Site(tmp_path_factory.mktemp(request.param))
    if request.param == "lighttpd":
        port = site.lighttpd()
        post = lambda body, **more: site.post_http(port, body, **more)
    else:
        post = site.post_cgi
    yield site, post
    site.close()


def test_each_sample_has_a_row():
    assert {path.stem for path in SAMPLES.glob("*.json")} == ACCEPTED.keys() | set(REFUSED)


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_sample_becomes_its_records(mount, name):
    site, post = mount
    answer = post(sample(name))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    count = max(1, ACCEPTED[name])
    assert list(answer.json.items()) == [("status", "accepted"), ("id", answer.json["id"]), ("records", count)]
    site.deliver()
    records = site.records(answer.json["id"])
    assert len(records) == count
    assert without_times(records) == expected_records(sample(name))


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_sample_leaves_nothing(mount, name):
    site, post = mount
    before = site.journal() + site.content
    answer = post(sample(name))
    assert (answer.status, answer.json) == (401, {"error": "bad signature"})
    site.deliver()
    assert site.journal() + site.content == before
    assert b'"nonce":"%s"' % name.encode() not in site.journal()


@pytest.mark.parametrize("case, request_, status", [
    ("unknown path", {"path": "/other"}, 404),
    ("below the endpoint", {"path": "/webhook/x"}, 404),
    ("query", {"path": "/webhook?a=b"}, 200),
    ("a slash at the end", {"path": "/webhook/"}, 200),
    ("GET", {"method": "GET"}, 405),
    ("PUT", {"method": "PUT"}, 405),
    ("DELETE", {"method": "DELETE"}, 405),
    ("form", {"content_type": "application/x-www-form-urlencoded"}, 415),
    ("text", {"content_type": "text/plain"}, 415),
    ("parameters", {"content_type": "application/json; charset=utf-8"}, 200),
    ("other JSON", {"content_type": "application/cloudevents+json"}, 200),
], ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("mounted", ["serve", "cgi"])
def test_what_is_no_webhook_is_refused(site, mounted, case, request_, status):
    answer = site.mount(mounted)(sample("virtual-one"), **request_)
    assert answer.status == status
    assert status == 200 or list(answer.json) == ["error"]
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"null", 400), (b"[]", 400), (b"{}", 400), (b"{", 400),
    (sign.body(b"[1,]"), 400), (sign.body(b'"text"'), 400), (sign.body() + b"x", 400),
    (sign.body(b"[" + b"1" * 2000 + b"]"), 413),
], ids=lambda value: value[:12].decode() if isinstance(value, bytes) else "")
@pytest.mark.parametrize("mounted", ["serve", "cgi"])
def test_what_is_no_event_is_refused(make_site, mounted, body, status):
    site = make_site(endpoint='max_body = "2000"')
    assert site.mount(mounted)(body).status == status
    assert b'"event_id"' not in site.journal()


def test_a_single_object_is_one_record(site):
    body = sign.body(b'{"id" : 1.0, "a":[ ]}', "single")
    assert site.post_cgi(body).json["records"] == 1
    site.deliver()
    assert without_times(site.records()) == expected_records(body)
    assert site.records()[0].endswith(b'"data":{"id":1.0,"a":[]}}')


@pytest.mark.parametrize("connection, status", [("c1", 200), ("c2", 200), ("c3", 403), ("C1", 403)])
def test_connections_are_an_allow_list(make_site, connection, status):
    site = make_site(endpoint='connections = {"c1", "c2"}')
    assert site.post_cgi(sign.body(connection_id=connection)).status == status
    site.deliver()
    assert len(site.records()) == (status == 200)


def test_an_endpoint_can_demand_sha256(make_site):
    site = make_site(endpoint='algorithms = {"sha256"}')
    assert site.post_cgi(sign.body(nonce="1", sha1="hex")).status == 401
    assert site.post_cgi(sign.body(nonce="2", sha1=None, sha256="hex")).status == 200


@pytest.mark.parametrize("mounted, options", [
    ("lighttpd", {}), ("lighttpd", {"processes": 4}), ("cgi", {}),
], ids=["one process", "four processes", "cgi"])
def test_the_same_payload_100_times_at_once_is_one_event(site, mounted, options):
    post = site.mount(mounted, **options)
    answers = all_at_once([lambda: post(sample("virtual-ten"))] * 100)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    site.deliver()
    site.deliver()
    assert without_times(site.records()) == expected_records(sample("virtual-ten"))
    assert json.loads(site.records()[0])["event_id"] == answers[0].json["id"]


def test_the_same_event_in_another_spelling_is_the_same(site):
    data = b'[{"id":"1","name":"Jane"}]'
    spellings = [
        sign.body(data, "abc"),
        sign.body(data, "abc").replace(b'"nonce":"abc"', b'"nonce":"\\u0061bc"'),
        sign.body(data, "abc").replace(data, b'[ {"id":"1",\n"name" : "Jane"} ]'),
        sign.body(data, "abc", sha1=None, sha256="hex"),
    ]
    answers = [site.post_cgi(body) for body in spellings]
    assert [answer.status for answer in answers] == [200] * 4
    assert len({answer.json["id"] for answer in answers}) == 1
    site.deliver()
    assert len(site.records()) == 1


@pytest.mark.parametrize("mounted", ["lighttpd", "cgi", "serve"])
def test_records_arrive_without_anybody_asking(make_site, mounted):
    """deliver = "auto": the receiver starts the deliverer; under `serve` it is watched."""
    site = make_site(deliver="auto")
    post = site.mount(mounted)
    for nonce in ("first", "second"):
        assert post(sign.body(nonce=nonce)).status == 200
    wait_for(lambda: len(site.records()) == 2, "both records arrive")


def test_the_watched_deliverer_is_started_again(make_site):
    site = make_site(deliver="auto")
    site.serve()
    for _ in range(2):
        pid = wait_for(site.deliverer, "there is a deliverer")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(pid), "it is gone")
    wait_for(site.deliverer, "there is another one")


def test_file_names_come_from_the_fields(make_site):
    site = make_site(targets='target "records" {\n file = "out/%{object_type}/%{connection_id}.jsonl"\n}\n')
    cases = {
        ("crm_contact", "c1"): "crm_contact/c1.jsonl",
        ("../../etc", "a/b"): "%2E.%2F..%2Fetc/a%2Fb.jsonl",
        ("-rf", ".hidden"): "%2Drf/%2Ehidden.jsonl",
        ("", "zoë"): "_/zo%C3%AB.jsonl",
    }
    for number, (object_type, connection) in enumerate(cases):
        body = sign.body(nonce=str(number), object_type=object_type, connection_id=connection)
        assert site.post_cgi(body).status == 200
    site.deliver()
    found = {str(path.relative_to(site.folder / "out")) for path in (site.folder / "out").rglob("*") if path.is_file()}
    assert found == set(cases.values())


def test_targets_take_what_they_match(make_site):
    site = make_site(targets="""
target "contacts" {
    file = "contacts.jsonl"
    match = {"object_type=crm_*", "event=updated"}
}
target "all" {
    file = "all.jsonl"
}
""")
    for nonce, object_type, event in (("1", "crm_contact", "updated"), ("2", "crm_deal", "updated"),
                                      ("3", "crm_contact", "deleted"), ("4", "hris_employee", "updated")):
        assert site.post_cgi(sign.body(nonce=nonce, object_type=object_type, event=event)).status == 200
    site.deliver()

    def types(name):
        return [json.loads(line)["object_type"] for line in (site.folder / name).read_text().splitlines()]

    assert types("contacts.jsonl") == ["crm_contact", "crm_deal"]
    assert types("all.jsonl") == ["crm_contact", "crm_deal", "crm_contact", "hris_employee"]


def test_secrets_and_signatures_are_written_nowhere(make_site):
    site = make_site(deliver="manual")
    hidden = [line.encode() for line in (SAMPLES / "secrets").read_text().split()] + [b"hunter2"]
    for name in ("virtual-one", "bad-secret", "sha256-bad-sha1-good"):
        site.post_cgi(sample(name))
        body = spans.members(sample(name))
        hidden += [body[member].strip(b'"') for member in ("sig", "sig256") if member in body]
    assert site.post_cgi(sign.body(nonce="url", db_url="postgres://user:hunter2@db/x")).status == 200
    site.deliver()
    for path in [path for path in site.folder.rglob("*") if path.is_file() and path != site.secret]:
        for word in hidden:
            assert word not in path.read_bytes(), (path, word)


def test_files_are_for_their_owner_only_whatever_the_umask(make_site):
    site = make_site()
    before = os.umask(0)
    try:
        assert site.post_cgi(sample("virtual-one")).status == 200
        site.deliver()
    finally:
        os.umask(before)
    for path in [site.spool, *site.spool.rglob("*"), site.records_file]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path

"""The page: what the deliverer writes and the receiver serves, over FastCGI and CGI, also as two users."""

import base64
import grp
import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import html5lib
import pytest

import fastcgi
import sign
from sites import PROGRAM, Answer, variables, wait_for

TOKEN = "0123456789abcdef-of-the-page"
PAGE = "/hooks/status"
# A script that fails until the file `works` is there; what fails is parked at once.
CRM = """target "crm" {
    run = {"/bin/sh", "-c", "test -e $0/works", "%s"}
    retry_for = "0"
}
"""
FILES = {"/": "text/html; charset=utf-8", "/style.css": "text/css; charset=utf-8", "/status.json": "application/json",
         "/metrics": "text/plain; version=0.0.4; charset=utf-8"}


@pytest.fixture
def make_paged(make_site, tmp_path):
    """Sites with a page."""
    def make(targets=None, **options):
        token = tmp_path / "token"
        token.write_text(TOKEN + "\n")
        token.chmod(0o600)
        site = make_site(targets=targets, **options)
        with site.conf.open("a") as conf:
            conf.write(f'status "{PAGE}/" {{\n    token_file = "{token}"\n}}\n')
        return site

    return make


def values(name, method="GET", body=b"", token=TOKEN, **more):
    """What a web server passes along with a request for something below the page's path."""
    if token:
        more.setdefault("HTTP_AUTHORIZATION", f"Bearer {token}")
    return variables(body, PAGE + name, method, "application/x-www-form-urlencoded", **more)


def visit_fastcgi(site, name, method="GET", body=b"", **more):
    if not site.socket.exists():
        site.serve()
    with fastcgi.Connection(site.socket) as connection:
        return Answer.parse(connection.request(values(name, method, body, **more), body, keep=False))


def visit_cgi(site, name, method="GET", body=b"", prefix=(), **more):
    child = subprocess.run([*prefix, site.program], input=body, capture_output=True, timeout=60, check=True,
                           env={**site.environment(leaks=not prefix), **values(name, method, body, **more)},
                           **site.identity)
    return Answer.parse(child.stdout)


@pytest.fixture(params=[visit_fastcgi, visit_cgi], ids=["fastcgi", "cgi"])
def visit(request):
    return request.param


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def forms(page):
    """The forms of a page: action, and what it sends."""
    found = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            attributes = dict(attributes)
            if tag == "form":
                assert attributes["method"] == "post"
                found.append((attributes["action"], []))
            if tag == "input":
                found[-1][1].append(f"{attributes['name']}={attributes['value']}")

    Reader().feed(page.decode())
    return [(action, "&".join(fields).encode()) for action, fields in found]


def text_of(page):
    """What a reader of the page sees, and the names of all elements."""
    texts, names = [], set()

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            names.add(tag)

        def handle_data(self, data):
            texts.append(data)

    Reader().feed(page.decode())
    return " ".join(texts), names


def post(site, count=1, **fields):
    ids = []
    for _ in range(count):
        nonce = f"n{time.monotonic_ns()}"
        answer = site.post_cgi(sign.body(b'[{"id":"1"}]', nonce, **fields))
        assert answer.status == 200
        ids.append(answer.json["id"])
    return ids


@pytest.mark.parametrize("authorization", [
    None, "", "Bearer", "Bearer ", "Bearer wrong", "Bearer " + TOKEN[:-1], f"Bearer {TOKEN}x", f"Bearer  {TOKEN}",
    f"Digest {TOKEN}", TOKEN, basic("", ""), basic("me", "wrong"), basic(TOKEN, ""), "Basic " + TOKEN, "Basic !!!!",
    "Basic " + base64.b64encode(TOKEN.encode()).decode(), "Basic " + "A" * 20000,
], ids=lambda value: repr(value)[:20])
def test_without_the_token_nothing_is_told(make_paged, authorization):
    site = make_paged()
    site.deliver()
    more = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    for name, method in [(name, "GET") for name in FILES] + [("/retry", "POST"), ("/nothing", "GET")]:
        answer = visit_cgi(site, name, method, token=None, **more)
        assert answer.status == 401 and answer.json == {"error": "unauthorized"}
        assert answer.headers["www-authenticate"].startswith("Basic ")
    told = site.audit(what="request")
    assert [(line["status"], line["reason"], line["endpoint"]) for line in told] \
        == ([] if authorization is None else 6 * [(401, "wrong token", PAGE)])
    assert TOKEN not in (site.spool / "audit" / "audit.jsonl").read_text() if told else True


@pytest.mark.parametrize("authorization", [
    f"Bearer {TOKEN}", f"bearer {TOKEN}", basic("", TOKEN), basic("operator", TOKEN), f"Bearer {TOKEN[::-1]}",
], ids=lambda value: value[:12])
def test_any_token_of_the_file_will_do(make_paged, visit, authorization):
    site = make_paged()
    site.write(site.folder.parent / "token", f"{TOKEN[::-1]}\n{TOKEN}\n")
    site.deliver()
    assert visit(site, "/", HTTP_AUTHORIZATION=authorization).status == 200
    assert site.audit(what="request") == []


def test_what_is_served(make_paged, visit):
    site = make_paged()
    post(site, 3)
    site.deliver()
    for name, kind in FILES.items():
        answer = visit(site, name)
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert int(answer.headers["content-length"]) == len(answer.body) > 0
        assert visit(site, name + "?x=1").body == answer.body
        head = visit(site, name, "HEAD")
        assert (head.status, head.body, head.headers) == (200, b"", answer.headers)
        refused = visit(site, name, "POST", b"x")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    assert (visit(site, "/retry").status, visit(site, "/retry").headers["allow"]) == (405, "POST")
    moved = visit(site, "", token=None)
    assert (moved.status, moved.headers["location"]) == (308, PAGE + "/")
    assert visit(site, "/nothing").status == 404
    assert visit(site, "s", token=None).status == 404


def test_the_same_numbers_everywhere(make_paged, visit):
    site = make_paged()
    site.write(site.conf, site.conf.read_text().replace("secret_file", 'connections = {"c1", "c2"}\n    secret_file', 1))
    post(site, 3, connection_id="c1")
    post(site, 2, connection_id="c2")
    body = sign.body(b"[1]", "copy", connection_id="c1")
    site.post_cgi(body), site.post_cgi(body)
    for _ in range(4):
        site.post_cgi(sign.body(connection_id="c1", secret=b"another"))
    site.post_cgi(sign.body(connection_id="c9"))
    site.deliver()
    served = visit(site, "/status.json").json
    told = json.loads(site.run("-c", site.conf, "status", "--json").stdout)
    for changing in ("at", "deliverer"):
        del served[changing], told[changing]
    assert served == told
    assert (served["accepted"], served["duplicates"]) == (6, 1)
    samples = parse_metrics(visit(site, "/metrics").body.decode())
    assert sum(samples["hookspool_events_accepted_total"].values()) == 6
    assert samples["hookspool_duplicates_total"] == {(): 1}
    assert {dict(labels)["reason"]: n for labels, n in samples["hookspool_requests_rejected_total"].items()} \
        == served["rejected"]
    assert samples["hookspool_deliveries_done_total"] == {(("target", "records"),): 6}
    text, _ = text_of(visit(site, "/").body)
    for words in ("accepted 6", "duplicates 1", "rejected 5"):
        assert words in re.sub(r"\s+", " ", text)


def parse_metrics(text):
    """Family to labels to value (the text format of Prometheus, version 0.0.4), every rule of it that applies."""
    families, kinds = {}, {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in families and re.fullmatch(r"hookspool_[a-z_]+", name) and line.split(" ", 3)[3]
            families[name] = {}
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name in families and kind == ("counter" if name.endswith("_total") else "gauge")
            kinds[name] = kind
            continue
        sample = re.fullmatch(r"(\w+)(?:\{(.*)\})? (-?\d+(?:\.\d+)?)", line)
        assert sample, line
        name, labels, value = sample.groups()
        pairs = re.findall(r'(\w+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)', labels or "")
        assert ",".join(f'{key}="{text}"' for key, text in pairs) == (labels or ""), line
        assert name in kinds and tuple(pairs) not in families[name], line
        families[name][tuple(pairs)] = float(value)
    return families


HOSTILE = [
    '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "\'><b>", "&lt;script&gt;", "</table></main>",
    "<!-- age -->", "\u202eevil", "a\x1b[31mb", "\x00", "é 漢字", "x" * 300, 'quote"back\\slash\nline',
]


@pytest.mark.parametrize("evil", HOSTILE, ids=lambda value: repr(value)[:16])
def test_whatever_a_sender_writes_is_text(make_paged, evil):
    site = make_paged(targets=CRM % "/nonexistent")
    body = sign.body(b'[{"name":"<script>"}]', "n", connection_id=evil, object_type=evil, type="INITIAL-PARTIAL")
    site.post_cgi(body)
    site.deliver()
    page = visit_cgi(site, "/").body
    text, names = text_of(page)
    assert not names & {"script", "img", "b2"} and page.count(b"<!-- age -->") == 1
    assert page.count(b"<b>") == 9 and page.count(b"</main>") == 1
    assert "\u202e" not in text and "\x1b" not in text and "\x00" not in text
    plain = evil.encode("ascii", "replace").decode()
    if len(evil) < 200 and plain == evil and evil.isprintable():
        assert evil in text
    parse_metrics(visit_cgi(site, "/metrics").body.decode())
    assert visit_cgi(site, "/status.json").json["parked"] == 1


@pytest.fixture(params=["empty", "full"])
def served_page(request, make_paged):
    site = make_paged(targets=None if request.param == "empty" else CRM % "/nonexistent")
    if request.param == "full":
        for kind in ("INITIAL-PARTIAL", "INITIAL-COMPLETE", "VIRTUAL"):
            post(site, 2, type=kind, object_type="<&\">")
        site.post_cgi(sign.body(secret=b"another"))
    site.deliver()
    return visit_cgi(site, "/").body


def test_its_html_is_valid(served_page):
    html5lib.HTMLParser(strict=True).parse(served_page)
    tidy = subprocess.run(["tidy", "-q", "-e"], input=served_page, capture_output=True, timeout=60)
    assert (tidy.returncode, tidy.stderr.decode()) == (0, "")


def test_it_needs_nothing_from_elsewhere(served_page):
    assert re.findall(rb'(?:src|href|action)="([^"]*)"', served_page) \
        and all(re.fullmatch(rb"[a-z.]+", link) for link in re.findall(rb'(?:src|href|action)="([^"]*)"', served_page))
    assert b"style=" not in served_page and b"<style" not in served_page and b" on" not in re.sub(
        rb">[^<]*<", b"><", served_page)


def health(site):
    answer = visit_cgi(site, "/health", token=None)
    assert set(answer.json) == {"state"}, "nothing but a state for whoever asks"
    return answer.status, answer.json["state"]


def test_health(make_paged):
    site = make_paged(targets=CRM % "%s")
    site.write(site.conf, site.conf.read_text().replace("%s", str(site.folder)))
    assert health(site) == (503, "unknown")
    site.deliver()
    assert health(site) == (200, "ok")
    site.write(site.folder / "works", "")
    post(site)
    assert health(site) == (200, "ok"), "it has not been waiting for long"
    site.deliver()
    assert health(site) == (200, "ok")
    (site.folder / "works").unlink()
    post(site)
    site.deliver()
    assert health(site) == (503, "not ok"), "a delivery is parked"
    for path in (site.spool / "status").glob("health"):
        path.unlink()
    assert health(site) == (503, "unknown")


def test_health_without_a_deliverer(make_paged):
    site = make_paged(options='late_after = "1s"')
    site.deliver()
    post(site)
    wait_for(lambda: health(site) == (503, "not ok"), "an event has waited for longer than late_after")
    site.deliver()
    assert health(site) == (200, "ok")


def test_health_of_a_silent_sender(make_paged):
    site = make_paged(endpoint='expect = "1s"')
    post(site)
    site.deliver()
    late_at = int((site.spool / "status" / "health").read_text().split()[2])
    assert 0 < late_at / 1e6 - time.time() < 2 or health(site) == (503, "not ok")
    wait_for(lambda: health(site) == (503, "not ok"), "the sender is silent, and nothing happens")


def test_a_parked_delivery_is_retried(make_paged, visit):
    site = make_paged(targets=CRM % "%s")
    site.write(site.conf, site.conf.read_text().replace("%s", str(site.folder)))
    ids = post(site, 3)
    site.deliver()
    page = visit(site, "/").body
    (action, every), *each = forms(page)
    assert {action, *(form[0] for form in each)} == {"retry"} and len(each) == 3
    site.write(site.folder / "works", "")
    one = next(body for _, body in each if ids[1].encode() in body)
    for _ in range(2):
        answer = visit(site, "/retry", "POST", one)
        assert answer.status == 202 and answer.headers["refresh"] == "1; url=./"
    assert os.listdir(site.spool / "errands") == [f"{ids[1]}.crm"]
    site.deliver()
    assert os.listdir(site.spool / "errands") == []
    assert [line["event_id"] for line in site.audit(what="operator", result="retried")] == [ids[1]]
    assert site.audit(what="delivery", result="done", event_id=ids[1])
    assert [ids[1] in body.decode() for _, body in forms(visit(site, "/").body)] == 3 * [False]
    assert visit(site, "/retry", "POST", every).status == 202
    site.deliver()
    assert forms(visit(site, "/").body) == []
    assert {line["event_id"] for line in site.audit(what="delivery", result="done")} == set(ids)


def test_a_form_that_is_not_the_pages_does_nothing(make_paged, visit):
    site = make_paged(targets=CRM % "/nonexistent")
    post(site)
    site.deliver()
    (_, every), (_, one) = forms(visit(site, "/").body)
    word = re.match(rb"form=([0-9a-f]{32})&", every).group(1)
    rows = [(403, every.replace(word, b"0" * 32)), (403, every.replace(word, word[:-1])), (403, b"errand=all"), (403, b""),
            (403, b"form=&errand=all"), (400, b"form=" + word), (400, b"form=" + word + b"&errand=../../../x"),
            (400, b"form=" + word + b"&errand=" + b"a" * 400), (400, one + b"/x"), (400, one[:-4]),
            (400, every + b"&" + b"x" * 2000)]
    for status, body in rows:
        assert visit(site, "/retry", "POST", body).status == status, body
    assert visit(site, "/retry", "POST", every, token=None).status == 401
    assert os.listdir(site.spool / "errands") == []
    assert sorted(os.listdir(site.spool)) == sorted({"journal", "archive", "damaged", "status", "errands", "state.db",
                                                     "audit", "trigger", "deliver.lock"})


def test_asking_wakes_a_deliverer(make_paged, visit):
    site = make_paged(deliver="auto")
    answer = visit(site, "/")
    seen = answer.status, answer.headers["refresh"]
    # `serve` starts a deliverer without being asked, which may have been there first.
    assert seen == (503, "5") or (visit is visit_fastcgi and seen == (200, "30"))
    wait_for(lambda: visit(site, "/").status == 200, "a deliverer was started, and has written the page")
    wait_for(lambda: health(site) == (200, "ok"), "and health, last")


def test_an_old_page_says_so(make_paged, visit):
    site = make_paged()
    site.deliver()
    page = visit(site, "/")
    assert b"This is" not in page.body and page.headers["refresh"] == "30"
    old = time.time() - 5 * 86400
    os.utime(site.spool / "status" / "page.html", (old, old))
    page = visit(site, "/")
    assert b'<p class="age">This is 5.0 d old.' in page.body and page.headers["refresh"] == "5"
    subprocess.run(["tidy", "-q", "-e"], input=page.body, check=True, timeout=60)


def test_a_deliverer_that_stays_writes_when_asked(make_paged):
    site, visit = make_paged(), visit_cgi
    site.start([site.program, "-c", site.conf, "deliver", "--stay"])
    wait_for(lambda: visit(site, "/").status == 200, "the page is there")
    post(site, 2)
    wait_for(lambda: visit(site, "/status.json").json["accepted"] == 2, "it tells what has happened")
    old = time.time() - 5 * 86400

    def is_told():
        os.utime(site.spool / "status" / "page.html", (old, old))
        return b"5.0 d old" in visit(site, "/").body

    wait_for(is_told, "the page says how old it is, unless the deliverer has just put a new one there")
    wait_for(lambda: b"5.0 d old" not in visit(site, "/").body, "nothing happened, but somebody asked")


def test_a_connection_goes_on_after_a_page(make_paged):
    site = make_paged()
    site.deliver()
    site.serve()
    body = sign.body()
    with fastcgi.Connection(site.socket) as connection:
        for _ in range(3):
            assert Answer.parse(connection.request(values("/"), b"")).status == 200
            assert Answer.parse(connection.request(values("/nothing"), b"")).status == 404
            assert Answer.parse(connection.request(variables(body), body)).status == 200
            assert Answer.parse(connection.request(values("/retry", "POST", b"x"), b"x")).status == 403


def test_who_reads_slowly_holds_up_nobody(make_paged):
    """A page larger than a socket takes, and a peer that does not read it."""
    site = make_paged()
    site.deliver()
    (site.spool / "status" / "page.html").write_bytes(b"x" * (8 << 20))
    site.serve()
    body = sign.body()
    with fastcgi.Connection(site.socket) as slow:
        slow.send(fastcgi.begin() + fastcgi.params(values("/")) + fastcgi.stream(fastcgi.STDIN, b""))
        for _ in range(10):
            assert site.post_fastcgi(body).status == 200
        assert Answer.parse(slow.answer()).body == b"x" * (8 << 20)


@pytest.mark.parametrize("name, method", [("/", "GET"), ("/health", "GET"), ("/retry", "POST")])
def test_the_receiver_opens_no_database(make_paged, name, method):
    site = make_paged(targets=CRM % "/nonexistent")
    post(site)
    site.deliver()
    body = forms(visit_cgi(site, "/").body)[0][1] if method == "POST" else b""
    trace = site.folder / "trace"
    answer = visit_cgi(site, name, method, body, prefix=("strace", "-f", "-qq", "-e", "trace=file", "-o", trace))
    assert answer.status in (200, 202, 503)
    calls = trace.read_text()
    assert "status/" in calls or "errands" in calls
    assert "state.db" not in calls
    written = [line for line in calls.splitlines() if re.search(r"O_WRONLY|O_RDWR|O_CREAT|rename|unlink", line)]
    allowed = r"trigger|audit\.jsonl|O_CREAT\|O_EXCL.*\"all\"|\"all\".*O_CREAT\|O_EXCL|/dev/null"
    assert [line for line in written if not re.search(allowed, line)] == []


def test_the_deliverer_opens_one_database(make_paged):
    site = make_paged(targets=CRM % "/nonexistent")
    post(site, 3)
    site.deliver()
    trace = site.folder / "trace"
    post(site)
    # The leak checker cannot work under strace.
    assert site.start(["strace", "-f", "-qq", "-e", "trace=openat", "-o", trace, site.program, "-c", site.conf,
                       "deliver", "--once"], leaks=False).wait(300) == 0
    assert b"4" in visit_cgi(site, "/metrics").body.partition(b"deliveries_parked{")[2].splitlines()[0]
    assert len(re.findall(r'state\.db", O_RDWR', trace.read_text())) == 1
    assert not re.search(r'state\.db", O_RDONLY', trace.read_text())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be two users")
def test_receiver_and_deliverer_are_two_users():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hookspool-"))
    try:
        two_users(folder)
    finally:
        shutil.rmtree(folder)


def two_users(folder):
    group = grp.getgrnam("nogroup")
    folder.chmod(0o755)
    shutil.copy(PROGRAM, folder / "hookspool")
    receiver, deliverer = ({"user": uid, "group": group.gr_gid, "extra_groups": []} for uid in (61001, 61002))
    (folder / "var").mkdir()
    os.chown(folder / "var", 61002, group.gr_gid)
    (folder / "var").chmod(0o2770)
    for name, text in (("secret", sign.SECRET.decode()), ("token", TOKEN)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
        os.chown(folder / name, 61001, group.gr_gid)
    (folder / "hookspool.conf").write_text(f"""spool = "var/spool"
group = "nogroup"
deliver = "manual"
endpoint "/webhook" {{
    scheme = "unified"
    secret_file = "secret"
}}
target "crm" {{
    run = {{"/bin/sh", "-c", "test -e {folder}/var/works"}}
    retry_for = "0"
}}
status "{PAGE}" {{ token_file = "token" }}
""")

    def deliver():
        subprocess.run([folder / "hookspool", "-c", folder / "hookspool.conf", "deliver", "--once"], check=True,
                       timeout=60, umask=0o077, **deliverer)

    def ask(more, body=b""):
        child = subprocess.run([folder / "hookspool"], input=body, capture_output=True, timeout=60, check=True,
                               umask=0o077, env={"PATH": os.environ["PATH"], **more}, **receiver)
        return Answer.parse(child.stdout)

    assert ask(values("/health", token=None)).status == 503
    deliver()
    event = ask(variables(sign.body()), sign.body()).json["id"]
    deliver()
    for name in FILES:
        assert ask(values(name)).status == 200
    form = forms(ask(values("/")).body)[1][1]
    assert event.encode() in form
    assert ask(values("/retry", "POST", form), form).status == 202
    (folder / "var" / "works").touch()
    deliver()
    assert ask(values("/status.json")).json["parked"] == 0
    assert ask(values("/health", token=None)).status == 200
    assert not list((folder / "var" / "spool" / "errands").iterdir())


def test_without_the_section_there_is_no_page(site):
    post(site)
    site.deliver()
    assert not (site.spool / "status").exists()
    answer = site.post_cgi(b"", path="/hookspool/", method="GET")
    assert answer.status == 404

"""What a CGI run does not do on its way to an answer, for that would cost each request."""

import re

import pytest

import sign
from sites import wait_for

CHILDREN = r"\b(?:clone3?|fork|vfork)\("


@pytest.mark.parametrize("deliver", ["manual", "auto"])
def test_no_thread_no_database_and_no_wait_for_a_child(make_site, deliver):
    site = make_site(deliver=deliver)
    trace = site.folder / "trace"
    answer = site.post_cgi(sign.body(), ["strace", "-o", trace], leaks=False)
    assert answer.status == 200
    calls = trace.read_text()
    before, answered, after = calls.partition('"Status: 200 OK')
    assert answered and not re.search(CHILDREN, before)
    assert not re.search(r"\b(?:wait4|waitid|waitpid|futex)\(", calls)
    assert "state.db" not in calls and "deliver.lock" not in calls
    # The web server has its answer before a deliverer is started.
    started = re.findall(CHILDREN, after)
    assert len(started) == (deliver == "auto")
    if started:
        assert "close(1)" in after[:re.search(CHILDREN, after).start()]
        wait_for(lambda: len(site.records(answer.json["id"])) == 1, "the deliverer delivers")

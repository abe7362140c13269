"""A process that has nothing to do uses next to nothing, whatever it waits for."""

import pytest

from idle_states import RUN_LIMIT_MS, STATES, WAKE_LIMIT, measure
from sites import Site

pytestmark = pytest.mark.plain


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """All of them beside each other, once."""
    sites = []

    def make(**options):
        sites.append(Site(tmp_path_factory.mktemp("site"), **options))
        return sites[-1]

    yield measure(make)
    for site in sites:
        site.close()


@pytest.mark.parametrize("state", STATES)
def test_whoever_waits_is_idle(measured, state):
    for process, use in ((process, use) for (what, process), use in measured.items() if what == state):
        assert use is not None, f"the {process} has ended"
        run, wakes = use
        assert run < RUN_LIMIT_MS and wakes < WAKE_LIMIT, f"the {process}: {run:.1f} ms, {wakes:.0f} wake-ups a minute"

import itertools

import pytest

from sites import PROGRAM, SANITIZED, Site


def pytest_configure(config):
    config.addinivalue_line("markers", "plain: says something about memory or speed that a sanitizer build changes")


def pytest_report_header():
    return f"program: {PROGRAM}"


def pytest_collection_modifyitems(items):
    for item in items:
        if SANITIZED and item.get_closest_marker("plain"):
            item.add_marker(pytest.mark.skip("not in a sanitizer build"))


@pytest.fixture
def make_site(tmp_path):
    """Makes sites, and ends them all after the test."""
    sites = []
    numbers = itertools.count(1)

    def make(**options):
        sites.append(Site(tmp_path / f"site{next(numbers)}", **options))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site):
    return make_site()

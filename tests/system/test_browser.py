"""The page as others see it: Chromium, and the checker of Prometheus."""

import subprocess

import pytest

pytest.importorskip("selenium")
from selenium import webdriver
from selenium.webdriver.common.by import By

import sign
from sites import wait_for
from test_page import CRM, TOKEN, make_paged, post, visit_cgi  # noqa: F401 (a fixture)

EVIL = '"><script>document.title = "scripted"; alert(1)</script><img src=x onerror="document.title=\'scripted\'">'
PHONE, DESK = (390, 844), (1280, 1000)


def start_browser(folder):
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", f"--user-data-dir={folder}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    driver = start_browser(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


def open_page(browser, site, size=DESK, dark=False):
    if not hasattr(site, "port"):
        site.port = site.lighttpd()
    browser.set_window_size(*size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    browser.get(f"http://operator:{TOKEN}@127.0.0.1:{site.port}/webhook/status/")


def rows(browser, section):
    return [row.text for row in browser.find_elements(By.CSS_SELECTOR, f"section[aria-labelledby={section}] tbody tr")]


def luminance(browser, element, name):
    """Of a colour of an element, from 0 to 1 (WCAG 2.1)."""
    numbers = browser.find_element(By.CSS_SELECTOR, element).value_of_css_property(name)
    channels = [float(n) / 255 for n in numbers[numbers.index("(") + 1:-1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear))


@pytest.fixture
def site(make_paged):
    """With parked deliveries, an initial sync, and names that are markup."""
    site = make_paged(targets=CRM % "%s")
    site.write(site.conf, site.conf.read_text().replace("%s", str(site.folder)).replace("/hooks/status/",
                                                                                      "/webhook/status/"))
    post(site, 2, type="INITIAL-PARTIAL")
    post(site, 1, connection_id=EVIL, object_type=EVIL)
    site.post_cgi(sign.body(secret=b"another"))
    site.deliver()
    return site


def test_it_is_read_without_a_script(browser, site):
    open_page(browser, site)
    assert browser.title.startswith("failing")
    assert len(rows(browser, "parked")) == 3 and len(rows(browser, "syncs")) == 1
    assert any(EVIL in row for row in rows(browser, "parked")), "markup is text"
    assert browser.find_elements(By.TAG_NAME, "script") == browser.find_elements(By.TAG_NAME, "img") == []
    assert browser.find_element(By.TAG_NAME, "table").value_of_css_property("border-collapse") == "collapse", "styled"
    # A browser asks for an icon by itself, and the host has none.
    assert [line for line in browser.get_log("browser") if "favicon" not in line["message"]] == []


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_can_be_read(browser, site, size, dark):
    open_page(browser, site, size, dark)
    width, shown = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= shown, "only tables scroll to the side"
    ground = luminance(browser, "body", "background-color")
    assert (ground < 0.1) == dark
    for element in ("body", "header p", ".tile span", ".tile.bad b", "thead th", ".state.failing", ".state.late", "a"):
        behind = next(luminance(browser, place, "background-color") for place, inside in (
            (element, ".state"), (".tile", ".tile"), (".scroll", "th"), ("body", "")) if inside in element)
        ink = luminance(browser, element, "color")
        contrast = (max(ink, behind) + 0.05) / (min(ink, behind) + 0.05)
        assert contrast >= 4.5, (element, round(contrast, 2))


def look(browser):
    """State and parked events, both of one moment: the page loads itself again. None on another page."""
    return browser.execute_script("""
        if (!document.getElementById("recent")) return null;
        return [document.querySelector("header .state").textContent,
                Array.from(document.querySelectorAll("section[aria-labelledby=parked] code"), e => e.textContent)]""")


def test_a_button_retries(browser, site):
    open_page(browser, site)
    state, (first, *others) = look(browser)
    assert (state, len(others)) == ("failing", 2)
    site.write(site.folder / "works", "")
    site.start([site.program, "-c", site.conf, "deliver", "--stay"])
    browser.find_element(By.CSS_SELECTOR, "section[aria-labelledby=parked] tbody button").click()
    # What says that it was asked for goes back to the page by itself.
    wait_for(lambda: look(browser) == ["failing", others], "the page has two parked deliveries left")
    assert [line["event_id"] for line in site.audit(what="operator")] == [first]
    browser.execute_script("document.querySelector('.bar button').click()")
    wait_for(lambda: look(browser) == ["ok", []], "nothing is parked")
    assert {line["event_id"] for line in site.audit(what="operator")} == {first, *others}


def test_prometheus_own_checker_agrees(site):
    metrics = visit_cgi(site, "/../webhook/status/metrics", REQUEST_URI="/webhook/status/metrics").body
    check = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, timeout=60)
    assert (check.returncode, check.stdout + check.stderr) == (0, b"")

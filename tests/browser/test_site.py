"""The site in a browser: at two widths, by mouse, by keyboard, without a network."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")]

FLAGS = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
         "disable-component-update", "disable-sync")  # fmt: skip
WIDTHS = {"desktop": (1280, 800), "phone": (390, 844)}
KINDS = {
    "index": "index.html",
    "table": "table4.html",
    "words": "table1.html",
    "figure": "figure2.html",
    "plot": "figure4.html",
    "comparison": "comparison.html",
    "cell": "table4/linf-8-255--at.html",
    "hostile cell": "table4/linf-8-255--script-img-src-x-onerror-alert-1.html",
    "gallery": "galleries/index-views-*.html",
    "reconstructions": "galleries/reconstructions.html",
    "curves": "curves.html",
    "paper": "papers/geon3d.html",
    "workflow": "workflow.html",
    "search": "search.html",
    "shards": "runs/render-shard-*.html",
    "training": "runs/pretrain-*.html",
}


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as driver:
        try:
            started = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=[f"--{f}" for f in FLAGS])
        except playwright.Error as error:
            pytest.skip(f"Chromium does not start here: {error.message.splitlines()[0]}")
        yield started
        started.close()


class Visit:
    """A page that remembers what went wrong on it."""

    def __init__(self, browser: "playwright.Browser", width: str, **options) -> None:
        size = dict(zip(("width", "height"), WIDTHS[width]))
        self.context = browser.new_context(viewport=size, **options)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.errors.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def go(self, site: Path, kind: str) -> "playwright.Page":
        (path,) = site.glob(KINDS[kind])
        self.page.goto(path.as_uri())
        return self.page

    def check(self) -> None:
        """Nothing failed, nothing asked for anything but files of the site."""
        assert not self.errors
        assert all(url.startswith(("file://", "data:")) for url in self.requests), self.requests
        self.context.close()


def whole(page: "playwright.Page", images: str) -> bool:
    """Whether there are such images and the first has arrived."""
    first = page.locator(images).first
    first.scroll_into_view_if_needed()
    return bool(first.evaluate("image => image.decode().then(() => image.naturalWidth > 0)"))


@pytest.mark.parametrize("width", WIDTHS)
def test_from_a_cell_to_its_render_in_four_clicks(browser, site, width):
    visit = Visit(browser, width)
    page = visit.go(site, "table")
    page.click("table.result td a >> nth=0")  # 1: the cell's page
    page.click(".graph a[aria-label^='Views']")  # 2: the shards, in the panel
    assert whole(page, ".panel img.render")
    page.click(".panel a:text('Renders of')")  # 3: the gallery
    assert "galleries/" in page.url and whole(page, ".frames img")
    visit.check()


def test_a_search_leads_to_the_cell(browser, site):
    visit = Visit(browser, "desktop")
    page = visit.go(site, "search")
    page.get_by_role("searchbox").fill("table 4 linf at")
    assert "1 of" in page.get_by_role("status").inner_text()
    page.get_by_role("link", name="66.7 %").first.click()
    assert "66.7" in page.locator(".value").inner_text()
    page.go_back()
    assert page.get_by_role("searchbox").input_value() == "table 4 linf at"
    page.get_by_role("searchbox").fill("onerror")
    assert page.locator("#found tbody tr").count() > 0  # and nothing ran
    page.get_by_role("searchbox").fill("no such words")
    assert "0 of" in page.get_by_role("status").inner_text()
    visit.check()


def test_the_same_way_without_scripts(browser, site):
    visit = Visit(browser, "phone", java_script_enabled=False)
    page = visit.go(site, "table")
    page.click("table.result td a >> nth=0")
    page.click(".tree a:text('Views toys')")
    page.locator("details.step a:text('Renders of')").locator("visible=true").first.click()
    assert "galleries/" in page.url
    visit.check()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_page_fails_or_is_wider_than_the_screen(browser, site, width, kind):
    visit = Visit(browser, width)
    page = visit.go(site, kind)
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]
    assert not page.evaluate("[...document.images].filter(i => i.getAttribute('src') === 'x').length")
    visit.check()


@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_serious(browser, site, kind):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    visit = Visit(browser, "phone" if kind == "table" else "desktop")
    page = visit.go(site, kind)
    if "cell" in kind:
        page.click(".graph a >> nth=0")
        page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour is caught on its way
        # Without preload: axe would fetch the style sheet, which the site's own policy forbids.
        found = axe.Axe().run(page, options={"preload": False}).response["violations"]
        serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
        assert not serious
    visit.check()


def test_the_keyboard_reaches_the_graph_and_comes_back(browser, site):
    visit = Visit(browser, "desktop")
    page = visit.go(site, "cell")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        node = page.evaluate("document.activeElement.dataset?.node ?? null")
        if node and node not in reached:
            reached.append(node)
    boxes = page.eval_on_selector_all(".explorer .box", "boxes => boxes.map(box => box.dataset.node)")
    assert reached == boxes and len(boxes) == 7
    page.focus(f".box[data-node='{boxes[1]}']")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent").startswith("Views")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.node") == boxes[1]
    assert page.locator(".panel").is_hidden()
    visit.check()


def test_a_step_tells_what_it_was_told_and_where_it_ran(browser, site):
    visit = Visit(browser, "desktop")
    page = visit.go(site, "hostile cell")
    page.click(".graph a[aria-label^='Pre-training']")
    panel = page.locator(".panel")
    text = panel.evaluate("panel => panel.textContent")
    for words in ("seed", "bench", "numpy 1.26.4", "2026-01-02", "</script><img src=x onerror=alert(1)>"):
        assert words in text, words
    assert panel.locator("img[src='x']").count() == 0
    panel.get_by_role("link", name="Page of this step").click()
    text = page.locator("main").evaluate("main => main.textContent")
    for words in ("robust3d/stages/pretrain.py", "ab" * 32, "--spec"):
        assert words in text, words
    visit.check()


def test_paper_shows_the_steps_and_no_navigation(browser, site):
    visit = Visit(browser, "desktop", color_scheme="dark")
    page = visit.go(site, "cell")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("header nav").is_hidden()
    assert page.locator("details.step dl").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    visit.check()

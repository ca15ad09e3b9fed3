"""How pages look: for those who see them, and for those who do not."""

import base64
import pathlib
import re

from playwright.sync_api import Page, expect

from bed import PAGES, Bed, ensure, figure, place_of, settled, sign_in, visit

AXE = pathlib.Path(__file__).parent / "axe" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
WIDTHS = {"narrow": (360, 780), "middle": (820, 1100), "wide": (1280, 860)}
OPTIONS = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
# What the front page shows: a picture of each in both themes, small enough for a repository.
FRONT = ["overview", "file", "workers"]
FRONT_BYTES = 150_000
LINK = re.compile(r"^https?://.+/harbour\.mp4\?.*signature=")


def accessible(bed: Bed, page: Page, name: str) -> int:
    """axe finds nothing that WCAG 2.1 forbids. Gives how many rules it had something to say about."""
    still(page)  # what comes in has another contrast meanwhile
    # axe tries out styles, which the policy of the page refuses, and says so.
    with bed.deaf():
        page.evaluate(AXE.read_text())
        found = page.evaluate("options => axe.run({ exclude: [['video']] }, options)", OPTIONS)
    told = [f"{one['id']}: {node['html'][:160]} ({node['failureSummary'].splitlines()[-1].strip()})"
            for one in found["violations"] for node in one["nodes"][:3]]
    ensure(not told, f"axe about {name}:\n" + "\n".join(told))
    return len(found["passes"])


def still(page: Page) -> None:
    """Nothing moves any more, but for what moves all the time."""
    page.evaluate("Promise.all(document.getAnimations().map(one => one.effect.getComputedTiming().iterations === Infinity ? null : one.finished.catch(() => null)))")


def fits(page: Page, name: str) -> None:
    """Nothing has to be scrolled sideways."""
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    ensure(over <= 0, f"{name} is {over} pixels too wide")


def drawings_fit(page: Page) -> None:
    """A drawing keeps its old width for a moment when a window narrows: it does not widen the page."""
    page.evaluate("document.querySelectorAll('.chart-space > *').forEach(one => { one.style.width = '2000px' })")
    fits(page, "a page with a wide drawing")


def all_pages(bed: Bed, film: str) -> None:
    """Every page in both themes, through axe; in full at each width, kept as pictures."""
    rules = 0
    for theme in ("light", "dark"):
        page = bed.window(theme)
        page.goto(bed.url)
        expect(page.get_by_label("Token")).to_be_visible()
        rules += accessible(bed, page, f"login, {theme}")
        bed.shot(page, f"login-{theme}")
        sign_in(bed, page)
        for name in PAGES:
            visit(page, place_of(name, film))
            rules += accessible(bed, page, f"{name}, {theme}")
            for width, (x, y) in WIDTHS.items():
                if bed.short and width == "middle":
                    continue
                page.set_viewport_size({"width": x, "height": y})
                settled(page)
                fits(page, f"{name}, {width}")
                if not bed.short or width != "middle":
                    bed.shot(page, f"{name}-{theme}-{width}")
                if width == "narrow":
                    rules += accessible(bed, page, f"{name}, {theme}, narrow")
                    drawings_fit(page)
            page.set_viewport_size({"width": 1280, "height": 860})
        dialogs(bed, page, film, theme)
        page.context.close()
    figure("pages through axe, both themes", f"{len(PAGES) + 1}, {rules} rules kept")
    chinese(bed)


def front(bed: Bed, film: str) -> None:
    """The pictures in docs/images, as somebody sees these pages."""
    for theme in ("light", "dark"):
        page = bed.window(theme, 1280, 800)
        sign_in(bed, page)
        line = page.context.new_cdp_session(page)
        for name in FRONT:
            visit(page, place_of(name, film))
            if name == "file":
                expect(page.locator("video")).to_have_js_property("readyState", 4)
            still(page)
            told = line.send("Page.captureScreenshot", {"format": "webp", "quality": 80})
            picture = base64.b64decode(told["data"])
            ensure(len(picture) < FRONT_BYTES, f"the picture of {name} has {len(picture)} bytes")
            (bed.shots / f"console-{name}-{theme}.webp").write_bytes(picture)
        page.context.close()


def dialogs(bed: Bed, page: Page, film: str, theme: str) -> None:
    """What opens above pages."""
    visit(page, place_of("file", film))
    page.get_by_role("button", name="Link").click()
    expect(page.get_by_label("Link", exact=True)).to_have_value(LINK)
    accessible(bed, page, f"the link's dialog, {theme}")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    visit(page, "access")
    page.get_by_role("button", name="New token").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    accessible(bed, page, f"the dialog of a new token, {theme}")
    page.keyboard.press("Escape")
    # The menu of narrow screens.
    page.set_viewport_size({"width": 360, "height": 780})
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Workers")).to_be_visible()
    accessible(bed, page, f"the menu, {theme}")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Workers")).not_to_be_visible()


def chinese(bed: Bed) -> None:
    """Another language, chosen by the browser's own."""
    page = bed.window(locale="zh-CN")
    page.goto(bed.url)
    page.get_by_label("令牌").fill(bed.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="概览")).to_be_visible()
    ensure(page.evaluate("document.documentElement.lang") == "zh-CN", "the page does not say its language")
    settled(page)
    bed.shot(page, "overview-zh-CN")
    page.context.close()

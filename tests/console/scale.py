"""`console-scale`: a folder of very many files, and many workers: pages stay small and quick."""

import os

from playwright.sync_api import Page, expect

from bed import Bed, ensure, figure, session_of, settled, sign_in, visit

FOLDER = "many/"
ANSWER_MOST_BYTES = 300_000
ASSETS_MOST_BYTES = 250_000
# Of one page: its own, who is signed in, figures and events.
REQUESTS_MOST = 10
VIEW_MOST_MILLIS = 1000
PAINT_MOST_MILLIS = 300
TRIES = 5


class Traffic:
    """What a window asks for and gets, as it goes over the line."""

    def __init__(self, page: Page) -> None:
        self.urls: dict[str, str] = {}
        self.bytes: dict[str, int] = {}
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        line.on("Network.requestWillBeSent", lambda told: self.urls.update({told["requestId"]: told["request"]["url"]}))
        line.on("Network.loadingFinished", lambda told: self.bytes.update({told["requestId"]: int(told["encodedDataLength"])}))

    def clear(self) -> None:
        self.urls.clear()
        self.bytes.clear()

    def of(self, part: str) -> dict[str, int]:
        return {f"{key} {url}": self.bytes.get(key, 0) for key, url in self.urls.items() if part in url}


def prove(bed: Bed) -> None:
    files = int(os.environ["MDFS_CONSOLE_FILES"])
    page = bed.window()
    traffic = Traffic(page)
    page.goto(bed.url)
    expect(page.get_by_label("Token")).to_be_visible()
    sign_in(bed, page)
    settled(page)
    for place in ("files", "uploads", "trash", "workers", "tasks", "events", "access"):
        visit(page, place)
    assets = sum(traffic.of("/console/").values())
    figure("assets of all pages, compressed", f"{assets / 1000:.0f} kB")
    ensure(assets < ASSETS_MOST_BYTES, f"the assets are {assets} bytes: {traffic.of('/console/')}")

    largest, most = 0, 0
    places = [f"files/{FOLDER}", f"files/{FOLDER}?sort=-size", f"files/{FOLDER}?sort=-modified", f"files/{FOLDER}?search=99",
              "overview", "workers", "tasks", "events", "trash", "access"]
    for place in places:
        traffic.clear()
        visit(page, place)
        answers = traffic.of("/v1/")
        largest, most = max([largest, *answers.values()]), max(most, len(answers))
        ensure(len(answers) <= REQUESTS_MOST, f"{place} asks {len(answers)} times: {list(answers)}")
        ensure(largest <= ANSWER_MOST_BYTES, f"{place} fetches {answers}")
    figure("most requests of a page, largest answer", f"{most}, {largest / 1000:.0f} kB")

    visit(page, f"files/{FOLDER}")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(100)
    first = rows.first.get_attribute("data-name")
    page.get_by_role("link", name="Next").click()
    expect(rows.first).not_to_have_attribute("data-name", first)
    page.get_by_role("link", name="Previous").click()
    expect(rows.first).to_have_attribute("data-name", first)
    visit(page, "workers")
    expect(page.locator(".worker")).to_have_count(int(os.environ["MDFS_CONSOLE_WORKERS"]))

    views = {place: min(view(page, bed, place) for _ in range(TRIES)) for place in ("overview", f"files/{FOLDER}", "workers")}
    for place, millis in views.items():
        figure(f"first view of {place}, {files} files", f"{millis:.0f} ms")
        ensure(bed.short or millis <= VIEW_MOST_MILLIS, f"{place} is there after {millis} ms")
    paint = first_paint(bed, page)
    figure("first paint", f"{paint:.0f} ms")
    ensure(bed.short or paint < PAINT_MOST_MILLIS, f"the first paint comes after {paint} ms")
    bed.quiet()


def view(page: Page, bed: Bed, place: str) -> float:
    """From nothing to all that belongs there, in milliseconds of the browser's own clock."""
    page.goto("about:blank")
    page.goto(f"{bed.url}#/{place}", wait_until="commit")
    return page.evaluate("""() => new Promise((resolve) => {
      const see = () => {
        const there = document.querySelector('tbody tr, .worker, .hero') && !document.querySelector('.skeleton');
        if (there) resolve(performance.now());
        else requestAnimationFrame(see);
      };
      see();
    })""")


def first_paint(bed: Bed, page: Page) -> float:
    """In a fresh window that has nothing kept."""
    cookie = session_of(page.context)
    found = []
    for _ in range(TRIES):
        fresh = bed.window()
        fresh.context.add_cookies([cookie])
        fresh.goto(bed.url)
        settled(fresh)
        found.append(fresh.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        fresh.context.close()
    return min(found)

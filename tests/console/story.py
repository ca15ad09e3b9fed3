"""`console`: what somebody does with it on a day, by mouse and by keyboard, while a worker dies."""

import json
import os
import re
import zlib
from urllib.parse import quote

from playwright.sync_api import Page, expect

import looks
from bed import LONG_MILLIS, PATIENCE_MILLIS, Bed, ensure, figure, session_of, settled, sign_in, visit

FILM = "films/harbour.mp4"
SUBTITLES = b"1\n00:00:00,000 --> 00:00:50,000\nA quiet harbour.\n\n2\n00:00:51,000 --> 00:00:58,000\nThe lights go out.\n"
# All but the first three chunks of an upload.
LATER_CHUNKS = re.compile(r"/chunks/(?:[3-9]|\d\d+)$")


def prove(bed: Bed) -> None:
    policy(bed)
    page = bed.window()
    login(bed, page)
    upload(bed, page)
    play(bed, page)
    verify(page)
    rename_delete_undo(page)
    conflict(bed, page)
    worker_dies(bed, page)
    connection_breaks(page)
    looks.all_pages(bed, FILM)
    looks.front(bed, FILM)
    session_ends(bed, page)
    bed.quiet()


def policy(bed: Bed) -> None:
    """The page may run nothing but its own files."""
    status, _, headers = bed.api("GET", "")
    told = {name.lower(): value for name, value in headers.items()}
    rules = told.get("content-security-policy", "")
    ensure(status == 200 and "script-src 'self'" in rules, f"the policy is {rules!r}")
    ensure("unsafe" not in rules and "http:" not in rules and "*" not in rules, f"the policy is {rules!r}")
    ensure(told.get("x-content-type-options") == "nosniff", "types may be guessed")


def login(bed: Bed, page: Page) -> None:
    page.goto(bed.url)
    field = page.get_by_label("Token")
    expect(field).to_be_focused()
    field.fill("not-a-token")
    page.keyboard.press("Enter")
    told = page.get_by_role("alert")
    expect(told).to_contain_text("not known")
    expect(told.locator("code")).not_to_be_empty()  # the request's id
    field.fill(bed.token)
    page.keyboard.press("Enter")
    expect(page.locator(".hero")).to_have_attribute("data-health", "ok")
    cookie = session_of(page.context)
    ensure(cookie["httpOnly"] and cookie["sameSite"] == "Strict", f"the cookie is {cookie}")
    kept = page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
    ensure(bed.token not in kept, "the token is kept where scripts find it")


def upload(bed: Bed, page: Page) -> None:
    """By keyboard alone; the page is left in the middle and comes back."""
    film = bed.folder / "harbour.mp4"
    size = os.path.getsize(film)
    puts: list[str] = []
    page.on("request", lambda request: request.method == "PUT" and puts.append(request.url))
    # Something is durable, and something is not, however long it takes to leave the page.
    page.route(LATER_CHUNKS, lambda route: None)

    visit(page, "uploads?to=films%2F")
    with page.expect_event("requestfinished", lambda request: "/chunks/" in request.url):
        choose_by_keyboard(page, film)
    item = page.locator(f'[data-name="{FILM}"]')
    expect(item).to_have_attribute("data-state", "running")
    bar = item.get_by_role("progressbar")
    expect(bar).to_have_attribute("value", re.compile(r"^[1-9]"))
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    settled(page)
    begun, there = len(puts), stored_of(bed)
    ensure(0 < there < size, f"{there} of {size} bytes were there when the page was left")
    item = page.locator(f'[data-name="{FILM}"]')
    expect(item).to_have_attribute("data-state", "absent")
    page.unroute(LATER_CHUNKS)
    choose_by_keyboard(page, film)
    expect(item).to_have_attribute("data-state", "done", timeout=LONG_MILLIS)

    crc = f"{zlib.crc32(film.read_bytes()):08x}"
    expect(item.locator(".upload-note code")).to_have_text(crc)
    status, stored, _ = bed.api("GET", f"v1/files/{quote(FILM)}")
    ensure(status == 200 and f"{zlib.crc32(stored):08x}" == crc, "what is stored is not what was sent")
    figure("uploaded, the page left in the middle", f"{size / 1e6:.1f} MB, {there / 1e6:.1f} MB there then, {begun} + {len(puts) - begun} chunks sent")


def stored_of(bed: Bed) -> int:
    _, told, _ = bed.api("GET", "v1/uploads")
    return sum(one["stored_bytes"] for one in json.loads(told)["uploads"])


def choose_by_keyboard(page: Page, file) -> None:
    field = page.locator("input[name=files]")
    tab_to(page, field)
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(file)


def tab_to(page: Page, target) -> None:
    """Walks there as somebody without a mouse does."""
    page.locator("#main").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"the keyboard does not reach {target}")


def play(bed: Bed, page: Page) -> None:
    """By keyboard: plays, seeks by ranges, and goes on there later; subtitles lie beside."""
    bed.store("films/harbour.en.srt", SUBTITLES)
    ranges: list[tuple[int, str]] = []

    def seen(response) -> None:
        if "/play/" in response.url:
            ranges.append((response.status, response.headers.get("content-range", "")))

    page.on("response", seen)
    visit(page, "files/films/")
    page.get_by_role("link", name="harbour.mp4", exact=True).press("Enter")
    video = page.locator("video")
    expect(video).to_have_js_property("error", None)
    tab_to(page, video)
    page.keyboard.press("k")
    expect(video).to_have_js_property("paused", False)
    when(page, "media.currentTime > 0.2")
    page.keyboard.press("9")
    when(page, "media.currentTime > media.duration * 0.9 && !media.seeking && media.readyState > 1")
    page.keyboard.press("k")
    expect(video).to_have_js_property("paused", True)
    ensure(all(status == 206 for status, _ in ranges), f"ranges were answered {ranges}")
    starts = [int(told.split(" ")[1].split("-")[0]) for _, told in ranges]
    ensure(any(start > 0 for start in starts), f"no seek asked for its own range: {ranges}")
    page.keyboard.press("5")
    when(page, "!media.seeking && Math.abs(media.currentTime - media.duration / 2) < 1")
    shown = "const [track] = media.textTracks; if (track) track.mode = 'showing'; return track?.cues?.length === 2"
    when(page, f"(() => {{ {shown} }})()")

    visit(page, "files/films/")
    page.get_by_role("link", name="harbour.mp4", exact=True).click()
    expect(page.locator(".player-hint")).to_contain_text("Goes on at ")
    when(page, "media.currentTime > media.duration * 0.45")
    figure("played and sought, answered with 206", f"{len(ranges)} ranges")


def when(page: Page, holds: str) -> None:
    """Waits until something is true of the player."""
    look = f"""() => new Promise((resolve, reject) => {{
      const end = performance.now() + {PATIENCE_MILLIS};
      const see = () => {{
        const media = document.querySelector('video');
        if (media && ({holds})) resolve(true);
        else if (performance.now() > end) reject(new Error(`never: at ${{media?.currentTime}} of ${{media?.duration}}, ${{media?.error?.message}}`));
        else requestAnimationFrame(see);
      }};
      see();
    }})"""
    page.evaluate(look)


def verify(page: Page) -> None:
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "good", timeout=LONG_MILLIS)
    workers = page.locator(".copy")
    ensure(workers.count() >= 2, "a file is on fewer than two workers")
    for text in workers.locator(".copy-note span").all_inner_texts():
        good, asked = re.findall(r"\d+", text)[:2]
        ensure(good == asked, f"a worker says {text}")


def rename_delete_undo(page: Page) -> None:
    """And all of it is said, by keyboard too, and taken back."""
    page.get_by_role("button", name="Rename").click()
    field = page.get_by_label("New name")
    expect(field).to_be_focused()
    field.fill("films/quay.mp4")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="quay.mp4")).to_be_visible()
    undo(page)
    expect(page.get_by_role("heading", name="harbour.mp4", exact=True)).to_be_visible()

    visit(page, "files/films/")
    row = page.locator(f'[data-name="{FILM}"]')
    tab_to(page, row.get_by_role("checkbox"))
    page.keyboard.press("Space")
    button = page.get_by_role("region", name="What was chosen").get_by_role("button", name="Delete")
    tab_to(page, button)
    page.keyboard.press("Enter")
    expect(row).to_have_count(0)
    visit(page, "trash")
    expect(row).to_have_count(1)
    undo(page)
    expect(row).to_have_count(0)
    visit(page, "files/films/")
    expect(row).to_have_count(1)
    page.get_by_role("searchbox").fill("HARB")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("searchbox").fill("no such film")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    expect(row).to_have_count(1)


def undo(page: Page) -> None:
    button = page.get_by_role("button", name="Undo").last
    expect(button).to_be_visible()
    button.press("Enter")


def conflict(bed: Bed, page: Page) -> None:
    """A name that is taken is asked about; a folder goes up with all that is in it."""
    visit(page, "uploads?to=films%2F")
    page.locator("input[name=files]").set_input_files(bed.folder / "harbour.mp4")
    item = page.locator('[data-state="conflict"]')
    expect(item).to_have_count(1)
    item.get_by_role("button", name="Keep both").click()
    expect(page.locator('[data-name="films/harbour (2).mp4"]')).to_have_attribute("data-state", "done", timeout=LONG_MILLIS)
    shelf = bed.folder / "shelf"
    (shelf / "inside").mkdir(parents=True, exist_ok=True)
    (shelf / "inside" / "one.txt").write_text("one")
    (shelf / "empty.txt").write_text("")
    page.locator("input[name=folder]").set_input_files(shelf)
    for name in ("films/shelf/inside/one.txt", "films/shelf/empty.txt"):
        expect(page.locator(f'[data-name="{name}"]')).to_have_attribute("data-state", "done")


def worker_dies(bed: Bed, page: Page) -> None:
    """Nobody loads anything anew, and the page says what is so."""
    visit(page, "overview")
    expect(page.locator(".hero")).to_have_attribute("data-health", "ok")
    page.evaluate("window.notLoadedAnew = true")
    bed.ask("kill")
    expect(page.locator(".hero")).not_to_have_attribute("data-health", "ok", timeout=LONG_MILLIS)
    expect(page.locator('[data-figure="workers"] .figure-value')).to_contain_text("3 / 4")
    bed.shot(page, "overview-degraded")
    looks.accessible(bed, page, "overview, degraded")
    visit(page, "workers")
    expect(page.locator('.worker[data-state="live"]')).to_have_count(3)
    visit(page, "overview")
    bed.ask("revive")
    expect(page.locator(".hero")).to_have_attribute("data-health", "ok", timeout=LONG_MILLIS)
    expect(page.locator('[data-figure="workers"] .figure-value')).to_contain_text("4 / 4")
    ensure(page.evaluate("window.notLoadedAnew"), "the page was loaded anew")
    visit(page, "events")
    expect(page.locator(".event-worker").first).to_be_visible()


def connection_breaks(page: Page) -> None:
    visit(page, "overview")
    page.context.set_offline(True)
    expect(page.get_by_text("The server does not answer.").first).to_be_visible()
    # What nobody can tell is not called well anywhere.
    expect(page.locator(".hero")).to_have_attribute("data-health", "unknown")
    expect(page.locator(".hero-good, .figure.tone-good, .dot-good, .badge-good")).to_have_count(0)
    page.context.set_offline(False)
    expect(page.locator(".connection .note")).to_have_count(0, timeout=LONG_MILLIS)
    expect(page.locator(".hero")).to_have_attribute("data-health", "ok")


def session_ends(bed: Bed, page: Page) -> None:
    """Whoever is signed out meanwhile stays where they are, and signs in again there."""
    visit(page, "files/films/")
    page.context.clear_cookies()
    page.get_by_role("searchbox").fill("harbour")
    dialog = page.get_by_role("dialog", name="You are signed out")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Token").fill(bed.token)
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.locator("tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    ensure(not [one for one in page.context.cookies() if one["name"].startswith("mdfs-session")], "the cookie stays")

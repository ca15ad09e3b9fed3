"""`console-rights`: a token for one folder sees that folder alone, and names and attributes of files are never code."""

import json
from urllib.parse import quote

from playwright.sync_api import Page, expect

from bed import PAGES, Bed, ensure, figure, sign_in, visit

# What has run as code somewhere, as a name or an attribute.
CORPUS = [
    "<script>window.broken=1</script>.mp4",
    "<img src=x onerror=window.broken=1>.mp4",
    "\"><svg onload=window.broken=1>.mkv",
    "' onmouseover='window.broken=1.mp4",
    "javascript:window.broken=1",
    "<iframe srcdoc='<script>parent.broken=1<\u2215script>'>.mp4",
    "{{constructor.constructor('window.broken=1')()}}.mp4",
    "${window.broken=1}.mp4",
    "<!--><img src=x onerror=window.broken=1>.mp4",
    "<math><mi xlink:href='javascript:window.broken=1'>x.mp4",
    "&lt;script&gt;window.broken=1&lt;.mp4",
    "a%3Cscript%3Ewindow.broken=1.mp4",
    "data:text:html,<script>window.broken=1<.mp4",
    "\u202egnp.exe.mp4",
    "x\u2028window.broken=1\u2029.mp4",
    "__proto__",
    "constructor",
    "?as=vtt#x",
    "a&b=c;d'e\"f`g.srt",
    "#" * 40 + ".mp4",
    "W" * 180 + ".mp4",
]
PAGE_OF_CODE = b"<!doctype html><script>document.title = 'broken'; top.broken = 1; fetch('/v1/session')</script>"
PICTURE_OF_CODE = b"<svg xmlns='http://www.w3.org/2000/svg'><script>top.broken = 1</script></svg>"


def prove(bed: Bed) -> None:
    bed.store("films/seen.mp4", b"seen" * 1000)
    bed.store("secret/unseen.mp4", b"unseen" * 1000)
    bed.store("filmsecret.mp4", b"beside")
    folder(bed)
    reader(bed)
    corpus(bed)
    files_of_code(bed)
    bed.quiet()


def folder(bed: Bed) -> None:
    """One folder, in pages, API and events."""
    token = bed.make_token("one folder", ["read", "write", "delete"], "films/")
    page = bed.window()
    sign_in(bed, page, token)
    links = page.get_by_role("navigation", name="Pages").get_by_role("link").all_inner_texts()
    ensure(not {"Workers", "Tasks", "Access"} & {link.strip() for link in links}, f"the pages are {links}")
    listen(page)
    for name in [*PAGES, "files/secret/", "file/secret%2Funseen.mp4"]:
        visit(page, name)
        # Who asks for a name is told that name, and nothing of it.
        shown = page.locator("main").inner_text()
        ensure("unseen" in name or "unseen" not in shown, f"{name} shows what it must not: {shown}")
        expect(page.locator(".details, [data-name^=secret], video")).to_have_count(0)
    visit(page, "files")
    expect(page.locator('[data-name="films/seen.mp4"]')).to_be_visible()
    ensure(page.locator("tbody tr").count() == 1, "the folder has one file")
    for path in ("v1/files?prefix=secret/", "v1/files", "v1/files?search=unseen", "v1/files/secret/unseen.mp4", "v1/workers",
                 "v1/tasks", "v1/status", "v1/admin/tokens", "v1/history?minutes=15", "play/secret/unseen.mp4"):
        status, told = page.evaluate("async path => { const answer = await fetch(path); return [answer.status, await answer.text()]; }", path)
        ensure(status in (401, 403) or "unseen" not in told, f"{path} was answered {status}: {told[:200]}")
        ensure(status in (401, 403) or path.startswith("v1/files"), f"{path} was answered {status}")
    # Events: what is inside is told, what is outside is not, and what comes later shows that nothing was left out.
    bed.store("secret/another-unseen.mp4", b"x")
    bed.api("DELETE", "v1/files/secret/another-unseen.mp4")
    bed.store("films/later.mp4", b"x")
    page.evaluate("window.heard('films/later.mp4')")
    heard = page.evaluate("window.all.join('\\n')")
    ensure("unseen" not in heard and "filmsecret" not in heard, f"events tell {heard}")
    _, told, _ = bed.api("GET", "v1/events?limit=1000", token=token)
    ensure(b"unseen" not in told and b"films/later.mp4" in told, f"events tell {told[:500]}")
    kinds = {event["kind"] for event in json.loads(told)["events"]}
    ensure(kinds <= {"stored", "changed", "reset", "renamed", "deleted", "restored", "purged"}, f"events tell of {kinds}")
    figure("pages and routes with a token for a folder", f"{len(PAGES) + 12}, none shows another's")
    page.context.close()


def listen(page: Page) -> None:
    """Gathers all that the stream says; `heard` waits for a name in it."""
    page.evaluate("""() => {
      window.all = [];
      const waiting = [];
      const source = new EventSource('v1/events');
      const take = (message) => {
        window.all.push(`${message.type} ${message.data}`);
        for (const { name, resolve } of waiting) if (message.data?.includes(name)) resolve();
      };
      source.onmessage = take;
      for (const kind of ['stored', 'renamed', 'deleted', 'restored', 'purged', 'worker', 'health', 'leader', 'voters',
        'task', 'token', 'policy', 'damage', 'tick']) source.addEventListener(kind, take);
      window.heard = (name) => new Promise((resolve) => {
        waiting.push({ name, resolve });
        if (window.all.some((line) => line.includes(name))) resolve();
      });
      return new Promise((resolve) => { source.onopen = resolve; });
    }""")


def reader(bed: Bed) -> None:
    """Who may only read is shown no way to change anything, and has none."""
    page = bed.window()
    sign_in(bed, page, bed.make_token("reads", ["read"], "films/"))
    visit(page, "file/films%2Fseen.mp4")
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    for name in ("Delete", "Rename", "Upload"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    status = page.evaluate("async () => (await fetch('v1/files/films/seen.mp4', { method: 'DELETE' })).status")
    ensure(status == 403, f"a deletion was answered {status}")
    page.context.close()


def corpus(bed: Bed) -> None:
    """Hostile names on every page that shows names: they are texts, and nothing else."""
    names = []
    for at, bad in enumerate(CORPUS):
        segments = [segment for segment in bad.split("/") if segment not in ("", ".", "..")]
        name = f"films/bad/{'∕'.join(segments)}"
        attribute = quote(bad, safe=" <>'\"=&;#${}()!?:%")
        status, told, _ = bed.api("PUT", f"v1/files/{quote(name)}", f"{at}".encode(), headers={"x-mdfs-attribute-title": attribute})
        if status == 400:  # not a name at all: said so, and nothing stored
            ensure(json.loads(told)["code"] in ("invalid_name", "invalid_request"), f"{name!r} was answered {told!r}")
        else:
            ensure(status in (201, 202), f"{name!r} was answered {status}: {told!r}")
            names.append(name)
    ensure(len(names) > 15, f"only {len(names)} hostile names could be stored")
    page = bed.window()
    page.on("dialog", lambda dialog: bed.said.append(f"a dialog opened: {dialog.message}"))
    sign_in(bed, page)
    visit(page, "files/films/bad/")
    shown = page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.name)")
    ensure(set(names) == set(shown), f"the folder shows {set(names) ^ set(shown)} otherwise")
    unharmed(page)
    for name in names:
        visit(page, f"file/{'/'.join(quote(segment, safe='') for segment in name.split('/'))}")
        expect(page.locator(".details")).to_be_visible()
        unharmed(page)
    visit(page, "files?search=" + quote("<img src=x onerror=window.broken=1>"))
    unharmed(page)
    visit(page, quote("<img src=x onerror=window.broken=1>", safe=""))
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    for name in names:
        bed.api("DELETE", f"v1/files/{quote(name)}")
    for place in ("trash", "events", "overview"):
        visit(page, place)
        unharmed(page)
    figure("hostile names and attributes, all harmless", len(names))
    page.context.close()


def unharmed(page: Page) -> None:
    ensure(page.evaluate("window.broken === undefined"), f"{page.url}: code in a name ran")
    made = page.evaluate("document.querySelectorAll('#app script, #app iframe, #app math, #app img[src=x], #app [onload], #app [onerror], #app [onmouseover]').length")
    ensure(made == 0, f"{page.url}: a name became {made} elements")
    ensure(page.evaluate("[...document.querySelectorAll('#app a')].every(a => /^(https?|blob):/.test(a.href))"), f"{page.url}: a link is code")


def files_of_code(bed: Bed) -> None:
    """A stored page or picture does not run in the console's origin, whoever opens it."""
    bed.store("films/page.html", PAGE_OF_CODE, {"Content-Type": "text/html"})
    bed.store("films/picture.svg", PICTURE_OF_CODE, {"Content-Type": "image/svg+xml"})
    page = bed.window()
    sign_in(bed, page)
    for name in ("films/page.html", "films/picture.svg"):
        for path in (f"v1/files/{name}", f"play/{name}"):
            _, _, headers = bed.api("GET", path)
            told = {key.lower(): value for key, value in headers.items()}
            ensure(told.get("content-disposition", "").startswith("attachment"), f"{path} is shown: {told}")
            ensure(told.get("x-content-type-options") == "nosniff", f"the type of {path} may be guessed: {told}")
        visit(page, f"file/{quote(name, safe='')}")
        expect(page.locator(".details")).to_be_visible()
        unharmed(page)
    # A change that another site asks for, with the cookie or without, is refused.
    status, told, _ = bed.api("POST", "v1/session", {"token": bed.token}, headers={"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "cross-site"})
    ensure(status == 403, f"signing in from another site was answered {status}: {told!r}")
    page.context.close()

"""A browser before a running cluster, and what all proofs do with it."""

import contextlib
import json
import os
import pathlib
import sys
import urllib.error
import urllib.request
from urllib.parse import quote, unquote

from playwright.sync_api import BrowserContext, Page, Playwright, expect

# Nothing here waits for time to pass; this is how long a state may take to come, on a busy machine.
PATIENCE_MILLIS = 90_000
# The same for what a cluster does in a minute when it has nothing else to do.
LONG_MILLIS = 300_000
CHROMIUM = os.environ.get("MDFS_CHROMIUM", "/usr/bin/chromium")
PAGES = ["overview", "files", "file", "uploads", "trash", "workers", "tasks", "events", "access"]
# What a browser logs about answers that are meant to be errors.
MEANT = ("the server responded with a status of 40", "the server responded with a status of 412", "net::ERR_INTERNET_DISCONNECTED", "net::ERR_ABORTED",
         "net::ERR_CONNECTION", "net::ERR_INCOMPLETE_CHUNKED_ENCODING", "net::ERR_NETWORK_IO_SUSPENDED")

expect.set_options(timeout=PATIENCE_MILLIS)


def ensure(holds: object, why: str) -> None:
    """Fails with words, also where Python is told to leave out `assert`."""
    if not holds:
        raise AssertionError(why)


def figure(what: str, value: object) -> None:
    """Prints one figure as the proofs do."""
    print(f"  {what:<44} {value}", flush=True)


class Bed:
    """The cluster, by its address and the token that may do everything."""

    def __init__(self, playwright: Playwright, short: bool) -> None:
        self.short = short
        self.url = os.environ["MDFS_URL"].rstrip("/") + "/"
        self.token = pathlib.Path(os.environ["MDFS_TOKEN_FILE"]).read_text().strip()
        self.folder = pathlib.Path(os.environ["MDFS_CONSOLE_FOLDER"])
        self.shots = pathlib.Path(os.environ["MDFS_CONSOLE_SHOTS"])
        self.shots.mkdir(parents=True, exist_ok=True)
        self.said: list[str] = []
        self.listening = True
        # The sandbox of browsers does not work for root.
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        self.browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)

    def ask(self, *words: str) -> None:
        """Has whoever started this do something to the cluster."""
        print("ASK", *words, flush=True)
        answer = sys.stdin.readline().strip()
        ensure(answer == "done", f"{words} was answered {answer!r}")

    def api(self, method: str, path: str, body: bytes | dict | None = None, token: str | None = None,
            headers: dict[str, str] | None = None) -> tuple[int, bytes, dict[str, str]]:
        """One request beside the browser, as any program makes it."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers or {})
        request.add_header("Authorization", f"Bearer {token or self.token}")
        if isinstance(body, dict):
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_MILLIS / 1000) as answer:
                return answer.status, answer.read(), dict(answer.headers.items())
        except urllib.error.HTTPError as error:
            return error.code, error.read(), dict(error.headers.items())

    def store(self, name: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        status, told, _ = self.api("PUT", f"v1/files/{quote(name)}", content, headers=headers)
        ensure(status in (201, 202), f"storing {name!r} was answered {status}: {told!r}")

    def make_token(self, label: str, roles: list[str], prefix: str) -> str:
        body = {"label": label, "roles": roles, "prefix": prefix, "expires_seconds": 3600}
        status, told, _ = self.api("POST", "v1/admin/tokens", body)
        ensure(status == 201, f"a token was answered {status}: {told!r}")
        return json.loads(told)["secret"]

    def window(self, theme: str = "light", width: int = 1280, height: int = 860, locale: str = "en-GB") -> Page:
        """A fresh window, nobody signed in. What goes wrong inside is kept."""
        context = self.browser.new_context(color_scheme=theme, viewport={"width": width, "height": height}, locale=locale)
        context.set_default_timeout(PATIENCE_MILLIS)
        # Headless, there is nobody to choose in the browser's own way; the field is always there.
        context.add_init_script("delete window.showOpenFilePicker;")
        page = context.new_page()
        page.on("pageerror", lambda error: self.said.append(f"error in the page: {error}"))
        page.on("console", self.listen)
        # Told early, the browser never opens a chooser of its own, which nobody could close.
        page.on("filechooser", lambda _: None)
        return page

    def listen(self, message) -> None:
        if self.listening and message.type == "error" and not any(meant in message.text for meant in MEANT):
            self.said.append(f"{message.text} ({message.location.get('url', '')})")

    @contextlib.contextmanager
    def deaf(self):
        """What the browser says meanwhile is not about the console."""
        self.listening = False
        try:
            yield
        finally:
            self.listening = True

    def quiet(self) -> None:
        """Nothing went wrong in any window, so no policy was broken either."""
        ensure(not self.said, "the browser says:\n" + "\n".join(self.said))

    def shot(self, page: Page, name: str) -> None:
        page.screenshot(path=self.shots / f"{name}.png", animations="disabled")


def sign_in(bed: Bed, page: Page, token: str | None = None) -> None:
    page.goto(bed.url)
    page.get_by_label("Token").fill(token or bed.token)
    page.keyboard.press("Enter")
    expect(page.locator(".frame")).to_be_visible()


def visit(page: Page, place: str) -> None:
    """Goes to a place of the console, and waits until it is all there."""
    page.evaluate("place => { location.hash = place; }", f"#/{place}")
    name, _, rest = unquote(place.partition("?")[0]).partition("/")
    there = page.locator(".page")
    expect(there).to_have_attribute("data-place", f"{name}/{rest}")
    settled(page)


def settled(page: Page) -> None:
    expect(page.locator("#page-title")).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)


def place_of(page: str, file: str) -> str:
    return f"file/{quote(file)}" if page == "file" else page


def session_of(context: BrowserContext) -> dict:
    found = [cookie for cookie in context.cookies() if cookie["name"].startswith("mdfs-session")]
    ensure(len(found) == 1, f"the cookies are {context.cookies()}")
    return found[0]

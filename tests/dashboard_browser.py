"""The dashboard in a real browser: what its scripts make of it, and what pressing its buttons does.

    cd tests && PYTHONPATH=.. python dashboard_browser.py [--screenshots DIRECTORY]

Needs Chromium (``apt-get install chromium``; as root it is installed). Every page is opened over ``demo``, and a model
name that is HTML must be text on it. Then a server with a key: nothing is to be seen before it is entered, all after.
Prints a line for each check, then PASS or FAIL.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import trio
from processes import Running, environment, twin
from trio_websocket import WebSocketConnection, open_websocket_url

from copilot_trio.twin import sample_accounts

PATIENCE = 20.0
LABELS = ("personal", "side project", "work")
HOSTILE = "<img src=x onerror=document.title='owned'>"
KEY = "synthetic-admin-key"
FOUND = {
    "overview": (*LABELS, "3/3", "accounts active", "gpt-4.1", HOSTILE),
    "accounts": (*LABELS, "octo-dev", "Premium", "left", "Disable", "Remove"),
    "models": ("gpt-4.1", "claude-sonnet-4.5", "Anthropic", "available"),
    "usage": ("claude-sonnet-4.5", "side project", "tokens in", "requests since"),
    "requests": ("gpt-4.1", HOSTILE, "/v1/chat/completions"),
    "logs": ("POST /v1/chat/completions", "SUCCESS", HOSTILE, "live"),
    "settings": ("config.json",),
}
SIZES = {"": (1280, 1100, False), "-dark": (1280, 1100, True), "-phone": (390, 1200, False)}


class Page:
    """One tab of the browser, by Chromium's debugging protocol."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []

    async def tell(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_message(
            msgspec.json.encode({"id": number, "method": method, "params": parameters}).decode()
        )
        while True:
            message = msgspec.json.decode(await self._socket.get_message(), type=dict[str, Any])
            if message.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(message["params"]["exceptionDetails"]["exception"].get("description", "?"))
            elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["source"] == "security":
                self.complaints.append(message["params"]["entry"]["text"])
            elif message.get("id") == number:
                return dict(message.get("result", {}))

    async def value(self, script: str) -> Any:
        reply = await self.tell("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return reply["result"].get("value")

    async def open(self, url: str) -> None:
        await self.tell("Page.navigate", url="about:blank")
        await self.tell("Page.navigate", url=url)

    async def text(self, tab: str) -> str:
        shown = await self.value(f"(e => e && !e.hidden ? e.innerText : '')(document.getElementById('{tab}'))")
        return str(shown or "")

    async def lacks(self, tab: str, *texts: str) -> list[str]:
        """Those of ``texts`` that are not to be seen on a page, however long one waits."""
        missing = list(texts)
        with trio.move_on_after(PATIENCE):
            while missing:
                shown = await self.text(tab)
                missing = [text for text in texts if text not in shown]
                if missing:
                    await trio.sleep(0.2)
        return missing

    async def becomes(self, condition: str) -> bool:
        """Whether a script's value is true, now or before patience ends."""
        with trio.move_on_after(PATIENCE):
            while True:
                if await self.value(condition):
                    return True
                await trio.sleep(0.2)
        return False

    async def press(self, selector: str, text: str) -> None:
        """The first such button, once it can be pressed: while one does what it is for, it cannot."""
        wanted, said = (msgspec.json.encode(each).decode() for each in (selector, text))
        found = f"[...document.querySelectorAll({wanted})].find(each => each.innerText === {said} && !each.disabled)"
        await self.becomes(f"(each => each && (each.click(), true))({found})")

    async def picture(self, path: Path, width: int, height: int, *, dark: bool) -> None:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.tell("Emulation.setEmulatedMedia", features=scheme)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.tell("Emulation.setDeviceMetricsOverride", **size)
        await trio.sleep(0.3)
        data = (await self.tell("Page.captureScreenshot", format="png"))["data"]
        await trio.Path(path).write_bytes(base64.b64decode(data))


class Checks:
    def __init__(self) -> None:
        self.failures = 0

    def see(self, name: str, missing: object) -> None:
        self.failures += bool(missing)
        print(f"{name:44} {f'FAILS: {missing}' if missing else 'ok'}", flush=True)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshots", type=Path, help="where to put pictures of every page")
    pictures: Path | None = parser.parse_args().screenshots
    checks = Checks()
    with demo() as url:
        ask(url, "gpt-4.1")
        with contextlib.suppress(urllib.error.HTTPError):
            ask(url, HOSTILE)
        async with browser() as page:
            for tab, texts in FOUND.items():
                await page.open(f"{url}/dashboard#{tab}")
                checks.see(f"{tab} shows what there is", await page.lacks(tab, *texts))
                if pictures is not None:
                    await take_pictures(page, tab, pictures)
            await check_cards(page, checks)
            await check_buttons(page, url, checks)
            checks.see("no name became HTML", await page.value("document.title") != "copilot_trio")
            checks.see("nothing broke", page.complaints)
    with keyed() as url:
        async with browser() as page:
            await check_login(page, url, checks)
            checks.see("nothing broke", page.complaints)
    print("FAIL" if checks.failures else "PASS")
    return 1 if checks.failures else 0


async def take_pictures(page: Page, tab: str, pictures: Path) -> None:
    await trio.Path(pictures).mkdir(parents=True, exist_ok=True)
    for name, (width, height, dark) in SIZES.items():
        await page.picture(pictures / f"{tab}{name}.png", width, height, dark=dark)


async def check_cards(page: Page, checks: Checks) -> None:
    """What the demo's accounts are not: beyond their quota, and warned."""
    window = {"label": "Premium", "usedPercent": 115, "remainingPercent": -15, "description": "115% used"}
    await page.value(f"view.quota.set('x', {msgspec.json.encode({'windows': [window]}).decode()})")
    account = {"id": "x", "label": "<b>bold</b>", "status": "banned", "warning": "spammy_user", "stored": True}
    card = str(await page.value(f"accountCard({msgspec.json.encode(account).decode()}).outerHTML"))
    wanted = ("115% used", "fill bad", "width: 100%", "spammy_user", "Acknowledge", "&lt;b&gt;bold&lt;/b&gt;")
    checks.see("a warned account beyond its quota", [text for text in wanted if text not in card])


async def check_buttons(page: Page, url: str, checks: Checks) -> None:
    await page.open(f"{url}/dashboard#accounts")
    await page.lacks("accounts", *LABELS)
    await page.press("article:first-child button", "Disable")
    checks.see("an account is disabled", await page.lacks("accounts", "disabled", "Enable"))
    await page.press("article:first-child button", "Remove")
    await page.press("dialog button", "Cancel")
    checks.see("removing is asked about", await page.lacks("accounts", "personal"))
    await page.press("article:first-child button", "Remove")
    await page.press("dialog button", "Remove")
    gone = "document.querySelectorAll('#account-cards article').length === 2"
    checks.see("an account is removed", not await page.becomes(gone))
    await page.press("#add-device button", "Get a code")
    checks.see("a code is shown", await page.lacks("accounts", "Enter it at", "/login/device"))
    await page.open(f"{url}/dashboard#models")
    await page.lacks("models", "gpt-4.1")
    row = "document.querySelectorAll('#mapping input')"
    await page.becomes(f"{row}.length === 2")
    await page.value(f"{row}.forEach((each, number) => each.value = ['fast', 'gpt-4.1'][number])")
    await page.press("#mapping button", "Save")
    checks.see("a mapping is saved", await page.lacks("notices", "Saved"))
    await page.open(f"{url}/dashboard#settings")
    said = "document.getElementById('settings-text').value.includes('\"fast\": \"gpt-4.1\"')"
    checks.see("it is among the settings", not await page.becomes(said))
    change = "(t => t.value = t.value.replace('\"inspect_bodies\": false', '\"inspect_bodies\": true'))"
    await page.value(f"{change}(document.getElementById('settings-text'))")
    await page.press("#settings button", "Save")
    checks.see("a setting is saved", await page.lacks("settings", "In force: inspect_bodies"))


async def check_login(page: Page, url: str, checks: Checks) -> None:
    await page.open(f"{url}/dashboard")
    checks.see("a key is asked for", await page.lacks("login", "asks for a key"))
    checks.see("nothing else is shown", await page.text("overview"))
    await enter(page, "wrong")
    checks.see("a wrong key does not do", await page.lacks("notices", "missing or wrong"))
    await enter(page, KEY)
    checks.see("the right key does", await page.lacks("overview", "accounts active"))
    connected = "document.getElementById('connection').innerText === 'live'"
    checks.see("live events come in", not await page.becomes(connected))
    await page.open(f"{url}/dashboard#logs")
    checks.see("the log comes in", await page.lacks("logs", "live"))
    await page.press("header button", "Log out")
    checks.see("logged out", await page.lacks("login", "asks for a key"))
    await page.open(f"{url}/dashboard#accounts")
    checks.see("and so after a reload", await page.lacks("login", "asks for a key"))


async def enter(page: Page, key: str) -> None:
    await page.value(f"document.getElementById('login-key').value = '{key}'")
    await page.press("#login button", "Log in")


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    with started() as url:
        async with open_websocket_url(url, max_message_size=1 << 26, message_queue_size=1000) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log"):
                await page.tell(f"{domain}.enable")
            yield page


@contextlib.contextmanager
def started() -> Iterator[str]:
    """Chromium: where its one tab can be spoken to."""
    with tempfile.TemporaryDirectory(prefix="copilot-trio-browser-", ignore_cleanup_errors=True) as profile:
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0")
        command = [chromium(), *flags, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield tab_of(debugging_port(Path(profile, "DevToolsActivePort")))
        finally:
            process.terminate()
            process.wait()


def debugging_port(path: Path) -> int:
    deadline = time.monotonic() + PATIENCE
    while not (path.exists() and path.read_text()):
        if time.monotonic() > deadline:
            sys.exit("Chromium does not start")
        time.sleep(0.1)
    return int(path.read_text().splitlines()[0])


def tab_of(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as reply:
        tabs = msgspec.json.decode(reply.read(), type=list[dict[str, Any]])
    return str(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None and os.geteuid() == 0:
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = shutil.which("chromium")
    if found is None:
        sys.exit("no Chromium: apt-get install chromium")
    return found


@contextlib.contextmanager
def demo() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="copilot-trio-home-") as home:
        with Running(("demo", "--port", "0"), environment(Path(home))) as process:
            yield process.wait_for(r"dashboard +(http://\S+)/dashboard")[1]


@contextlib.contextmanager
def keyed() -> Iterator[str]:
    """A server over the emulator, with one key."""
    with tempfile.TemporaryDirectory(prefix="copilot-trio-home-") as name:
        home = Path(name)
        with twin(home) as (base, _):
            flags = ("start", "--port", "0", "--api-key", KEY, "--github-base-url", base, "--github-api-base-url", base)
            token = sample_accounts()[0].token
            with Running(flags, environment(home, COPILOT_TRIO_GITHUB_TOKEN=token)) as process:
                yield process.wait_for(r"dashboard +(http://\S+)/dashboard")[1]


def ask(url: str, model: str) -> None:
    body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "hi"}]})
    asked = urllib.request.Request(f"{url}/v1/chat/completions", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(asked).read()


if __name__ == "__main__":
    sys.exit(trio.run(main))

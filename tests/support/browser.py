"""Pages in a real browser: what a Chromium makes of them, and a Chromium that is driven (by the DevTools
protocol, over pipes).
"""

import base64
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian's package of that name)")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
KEYS = {
    "Enter": 13,
    "Escape": 27,
    "Tab": 9,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
}
KEYS |= {"End": 35, "Home": 36}


def shown(page: Path) -> str:
    """The page's elements after a headless Chromium has run it."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *options, profile, page.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


class Browser:
    """One tab of a headless Chromium, and all that it has requested, said in its console or thrown."""

    def __init__(self, read: int, write: int):
        self.write, self.reader = write, os.fdopen(read, "rb")
        self.number, self.session = 0, ""
        self.requested: list[str] = []
        self.said: list[str] = []
        self.buffer = b""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol, and note what happens meanwhile."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (found := self.receive()).get("id") != self.number:
            self.note(found)
        assert "error" not in found, f"{method}: {found['error']}"
        return found["result"]

    def receive(self) -> dict[str, Any]:
        """The next message."""
        while b"\0" not in self.buffer:
            part = self.reader.read1(1 << 20)
            assert part, "the browser has gone"
            self.buffer += part
        first, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(first)

    def note(self, event: dict[str, Any]) -> None:
        """Keep what the page requests and what it complains of."""
        kind, params = event.get("method"), event.get("params", {})
        if kind == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif kind == "Runtime.exceptionThrown":
            self.said.append(json.dumps(params["exceptionDetails"]))
        elif kind == "Log.entryAdded":
            self.said.append(params["entry"]["text"])
        elif kind == "Runtime.consoleAPICalled":
            self.said.append(json.dumps(params["args"]))

    def open(self, page: Path, width: int = 1280, height: int = 900, script: bool = True) -> None:
        """Open a page in a window of this size, a phone's if it is narrow, with or without JavaScript."""
        self.requested.clear()
        self.said.clear()
        phone = {"deviceScaleFactor": 2 if width < 600 else 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, **phone)
        self.send("Emulation.setScriptExecutionDisabled", value=not script)
        self.send("Page.navigate", url=page.as_uri())
        while True:
            event = self.receive()
            self.note(event)
            if event.get("method") == "Page.loadEventFired":
                return

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, promises awaited."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            about = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
            typed = {"text": "\r"} if key == "Enter" else {}
            self.send("Input.dispatchKeyEvent", type="keyDown", **about, **typed)
            self.send("Input.dispatchKeyEvent", type="keyUp", **about)
            self.settle()

    def click(self, selector: str) -> None:
        """Click into the middle of an element with the mouse."""
        middle = (
            "(e => { e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2] })"
        )
        x, y = self.ask(f"{middle}(document.querySelector({json.dumps(selector)}))")
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def settle(self) -> None:
        """Let events that are under way arrive, such as a dialog's end."""
        self.ask("new Promise(done => setTimeout(() => setTimeout(done)))")

    def picture(self, path: Path, whole: bool = False) -> None:
        """Save what the window shows, or the whole page, as PNG."""
        found = self.send("Page.captureScreenshot", captureBeyondViewport=whole, **self.area(whole))
        path.write_bytes(base64.b64decode(found["data"]))

    def area(self, whole: bool) -> dict[str, Any]:
        """The part of the page that a picture is of."""
        if not whole:
            return {}
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}


@contextmanager
def driven(folder: Path) -> Iterator[Browser]:
    """A Chromium to drive, which keeps its files in a folder."""
    (inward, write), (read, outward) = os.pipe(), os.pipe()
    ours = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (inward, outward)]  # out of the way of 3 and 4
    words = [CHROMIUM, *OPTIONS, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"]

    def connect() -> None:
        """It reads commands from descriptor 3 and answers on 4."""
        for end, number in zip(ours, (3, 4), strict=True):
            os.dup2(end, number)

    process = subprocess.Popen(words, pass_fds=(3, 4), preexec_fn=connect, stderr=subprocess.DEVNULL)
    for end in (inward, outward, *ours):
        os.close(end)
    try:
        yield Browser(read, write)
    finally:
        process.kill()
        process.wait()
        os.close(write)

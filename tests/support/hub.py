"""A hub that stands in for the real one: the few addresses that an upload calls, and what arrived at them."""

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_" + "x" * 34


@dataclass
class Hub:
    """What a hub has: repositories with their visibility, and the content of the files in them."""

    address: str = ""
    private: dict[str, bool] = field(default_factory=dict)  # type/owner/name → private
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)  # large files, by their hash
    asked: list[str] = field(default_factory=list)
    broken: bool = False
    refused: str = ""  # what it says of every card


def commit_url(hub: Hub, key: str) -> str:
    """Where a hub shows the commit to a repository."""
    kind, _, name = key.partition("/")
    return f"{hub.address}/{'datasets/' * (kind == 'dataset')}{name}/commit/{'1' * 40}"


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    """Answers requests out of a hub."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: object) -> None:
            """Nothing on the terminal."""

        def body(self) -> bytes:
            """What was sent, in one piece or in chunks."""
            if self.headers.get("Transfer-Encoding") == "chunked":
                found = b""
                while size := int(self.rfile.readline(), 16):
                    found += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return found
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def answer(self, document: Any, status: int = 200, **headers: str) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def allowed(self) -> bool:
            hub.asked.append(f"{self.command} {self.path}")
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                return True
            self.answer({"error": "Invalid username or password."}, 401)
            return False

        def do_GET(self) -> None:
            if not self.allowed():
                return
            if self.path.startswith("/api/whoami"):
                self.answer({"name": "me", "type": "user", "orgs": [], "auth": {"type": "access_token"}})
                return
            if "/resolve/" in self.path:
                self.resolve()
                return
            _, _, kind, owner, name = self.path.partition("?")[0].split("/")[:5]
            key = f"{kind.removesuffix('s')}/{owner}/{name}"
            if key not in hub.private:
                self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
            else:
                about = {
                    "id": f"{owner}/{name}",
                    "private": hub.private[key],
                    "siblings": [{"rfilename": path} for path in sorted(hub.files.get(key, {}))],
                    "sha": "0" * 40,
                    "tags": [],
                }
                self.answer(about)

        def do_HEAD(self) -> None:
            if self.allowed():
                self.resolve()

        def resolve(self) -> None:
            """A file of a repository, and what its headers say of it."""
            place, _, path = self.path.partition("?")[0].partition("/resolve/")
            words = place.strip("/").split("/")
            kind = "dataset" if words[0] == "datasets" else "model"
            content = hub.files[f"{kind}/{'/'.join(words[-2:])}"][path.partition("/")[2]]
            self.send_response(200)
            about = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": "0" * 40}
            for name, value in {**about, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def do_POST(self) -> None:
            content = self.body()
            if not self.allowed():
                return
            words = self.path.partition("?")[0].split("/")
            if self.path == "/api/repos/create":
                told = json.loads(content)
                hub.private[f"{told['type']}/{told['organization']}/{told['name']}"] = (
                    told.get("visibility") == "private"
                )
                self.answer({"url": f"{hub.address}/{told['organization']}/{told['name']}"})
            elif self.path == "/api/validate-yaml":
                errors = [{"message": hub.refused}] * bool(hub.refused)
                self.answer({"errors": errors, "warnings": []}, 400 if errors else 200)
            elif "preupload" in words:
                files = json.loads(content)["files"]
                large = (".safetensors", ".parquet")
                modes = [
                    {
                        "path": f["path"],
                        "uploadMode": "lfs" if f["path"].endswith(large) else "regular",
                        "shouldIgnore": False,
                    }
                    for f in files
                ]
                self.answer({"files": modes})
            elif self.path.endswith("/info/lfs/objects/batch"):
                objects = [
                    {**o, "actions": {"upload": {"href": f"{hub.address}/store/{o['oid']}", "header": {}}}}
                    for o in json.loads(content)["objects"]
                ]
                self.answer({"transfer": "basic", "objects": objects})
            elif "commit" in words:
                self.commit(f"{words[2].removesuffix('s')}/{words[3]}/{words[4]}", content)
            else:
                self.answer({"error": f"nothing at {self.path}"}, 404)

        def commit(self, key: str, content: bytes) -> None:
            if hub.broken:
                self.answer({"error": "the storage is full"}, 413)
                return
            own = hub.files.setdefault(key, {})
            for line in content.decode().splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    own[value["path"]] = b64decode(value["content"])
                elif entry["key"] == "deletedFile":
                    del own[value["path"]]
                elif entry["key"] == "lfsFile":
                    own[value["path"]] = hub.stored[value["oid"]]
            self.answer({"commitUrl": commit_url(hub, key), "commitOid": "1" * 40})

        def do_PUT(self) -> None:
            content = self.body()
            hub.stored[hashlib.sha256(content).hexdigest()] = content
            self.answer({})

    return Handler


@contextmanager
def running() -> Iterator[Hub]:
    """A hub at an address of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A stand-in for the Hugging Face Hub: repositories in memory, as far as models are pushed and pulled."""

import base64
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What the stand-in holds, and what was asked of it."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[str] = []
        self.lfs: dict[str, bytes] = {}
        self.lies: dict[str, int] = {}
        """Sizes that are told, where they are not the files' own."""
        self.failure = 0
        """The status that everything is answered with, if any."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, content: bytes | Any = b"", **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        if self.hub.failure:
            self._answer(self.hub.failure, {"error": "no"})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/preupload/main|/commit/main|/revision/.+)?", path):
            self._repository(found[1], (found[2] or "").split("/")[1:2], body)
        elif found := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            self._batch(json.loads(body))
        elif found := re.fullmatch(r"/lfs/(\w+)", path):
            self.hub.lfs[found[1]] = body
            self._answer(200)
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            self._file(found[1], found[2])
        else:
            self._answer(404, {"error": "not found"})

    do_GET = do_POST = do_PUT = do_HEAD = _handle  # noqa: N815

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        there = name in self.hub.repositories
        self.hub.repositories.setdefault(name, {})
        self.hub.private.setdefault(name, asked.get("private", asked.get("visibility") == "private"))
        host = self.headers["Host"]
        self._answer(409 if there else 200, {"url": f"http://{host}/{name}", "name": name, "id": name})

    def _repository(self, name: str, what: list[str], body: bytes) -> None:
        if name not in self.hub.repositories:
            self._answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        elif what == ["preupload"]:
            files = json.loads(body)["files"]
            modes = {f["path"]: "lfs" if f["path"].endswith(".safetensors") else "regular" for f in files}
            answer = [{"path": p, "uploadMode": mode, "shouldIgnore": False, "oid": None} for p, mode in modes.items()]
            self._answer(200, {"files": answer})
        elif what == ["commit"]:
            self._commit(name, [json.loads(line) for line in body.splitlines()])
        else:
            files = self.hub.repositories[name]
            siblings = [
                {"rfilename": file, "size": self.hub.lies.get(file, len(content)), "blobId": "0"}
                for file, content in files.items()
            ]
            self._answer(200, {"id": name, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False})

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.hub.repositories[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.repositories[name][value["path"]] = self.hub.lfs[value["oid"]]
        url = f"http://{self.headers['Host']}/{name}/commit/{COMMIT}"
        self._answer(200, {"commitUrl": url, "commitOid": COMMIT, "hookOutput": ""})

    def _batch(self, asked: dict[str, Any]) -> None:
        host = self.headers["Host"]
        objects = [
            {**each, "actions": {"upload": {"href": f"http://{host}/lfs/{each['oid']}"}}} for each in asked["objects"]
        ]
        self._answer(200, {"transfer": "basic", "objects": objects})

    def _file(self, name: str, file: str) -> None:
        content = self.hub.repositories.get(name, {}).get(file)
        if content is None:
            self._answer(404, X_Error_Code="EntryNotFound")
            return
        etag = hashlib.sha256(content).hexdigest()
        self._answer(200, content, ETag=f'"{etag}"', X_Repo_Commit=COMMIT, Accept_Ranges="none")


@contextmanager
def serving() -> Iterator[tuple[Hub, str]]:
    """A hub, and its address."""
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()

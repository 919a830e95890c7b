"""JupyterLab without its window: a real server, and what the front end does with it.

The front end opens a notebook by the contents API, starts a session, executes cells over the kernel's web socket, puts
what comes back into the notebook as JupyterLab does, and saves it: first the notebook, then a checkpoint.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import websocket

from helpers.ports import free_port
from helpers.waiting import PATIENCE, until


@dataclass
class Lab:
    """A running server, whose files are those below `root`."""

    root: Path
    url: str
    token: str
    process: subprocess.Popen[bytes]

    def ask(self, method: str, route: str, /, **body: Any) -> Any:
        """One request to the REST API."""
        headers = {"Authorization": f"token {self.token}"}
        answer = httpx.request(method, f"{self.url}/api/{route}", headers=headers, json=body or None, timeout=PATIENCE)
        assert answer.status_code < 400, f"{method} {route}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    @contextmanager
    def opened(self, path: Path) -> Iterator[Front]:
        """A notebook opened in the front end, with a kernel of its own."""
        name = path.relative_to(self.root).as_posix()
        notebook = self.ask("GET", f"contents/{name}?type=notebook&content=1")["content"]
        session = self.ask("POST", "sessions", path=name, name=path.name, type="notebook", kernel={"name": "python3"})
        kernel = session["kernel"]["id"]
        address = f"{self.url.replace('http', 'ws')}/api/kernels/{kernel}/channels?token={self.token}"
        with closing(websocket.create_connection(address, timeout=PATIENCE)) as channel:
            front = Front(self, name, notebook, session["id"], kernel, channel)
            try:
                front.learn_language()
                yield front
            finally:
                front.shut_down()


@dataclass
class Front:
    """One notebook in the front end."""

    lab: Lab
    name: str
    notebook: dict[str, Any]
    session: str
    kernel: str
    channel: Any
    is_open: bool = True
    _displays: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def code(self) -> list[dict[str, Any]]:
        """The code cells."""
        return [cell for cell in self.notebook["cells"] if cell["cell_type"] == "code"]

    def cell(self, name: str) -> dict[str, Any]:
        """A cell by its id."""
        return next(cell for cell in self.notebook["cells"] if cell["id"] == name)

    def step_all(self) -> None:
        """Execute every cell from the first to the last, up to one that raises."""
        for cell in self.code:
            if self.execute(cell) != "ok":
                return

    def execute(self, cell: dict[str, Any]) -> str:
        """Execute one cell as Shift+Enter does; returns the status of the kernel's reply."""
        content = {"code": "".join(cell["source"]), "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": True, "stop_on_error": True}
        metadata = {"cellId": cell["id"], "deletedCells": [], "recordTiming": False}
        asked = self._send("execute_request", content, metadata)
        cell["outputs"], cell["execution_count"] = [], None
        status, is_idle, clears = "", False, False
        while not (status and is_idle):
            got = json.loads(self.channel.recv())
            kind, body = got["header"]["msg_type"], got["content"]
            if got["parent_header"].get("msg_id") != asked:
                continue
            if kind == "execute_reply":
                status, cell["execution_count"] = body["status"], body.get("execution_count")
            elif kind == "status":
                is_idle = body["execution_state"] == "idle"
            elif kind == "clear_output":
                clears = bool(body.get("wait"))
                cell["outputs"] = cell["outputs"] if clears else []
            elif kind == "update_display_data":
                for output in self._displays.get(body["transient"]["display_id"], []):
                    output["data"], output["metadata"] = body["data"], body["metadata"]
            elif kind in ("stream", "display_data", "execute_result", "error"):
                if clears:
                    cell["outputs"], clears = [], False
                self._show(cell, kind, body)
        return status

    def learn_language(self) -> None:
        """Ask the kernel who it is, and note its language in the notebook."""
        asked = self._send("kernel_info_request", {}, {})
        while True:
            got = json.loads(self.channel.recv())
            if got["header"]["msg_type"] == "kernel_info_reply" and got["parent_header"].get("msg_id") == asked:
                self.notebook["metadata"]["language_info"] = got["content"]["language_info"]
                return

    def save(self) -> None:
        """Save the notebook as JupyterLab does."""
        self.lab.ask("PUT", f"contents/{self.name}", type="notebook", format="json", content=self.notebook)
        self.lab.ask("POST", f"contents/{self.name}/checkpoints")

    def shut_down(self) -> None:
        """Shut the kernel down, as `Shut Down Kernel` does."""
        if self.is_open:
            self.lab.ask("DELETE", f"sessions/{self.session}")
        self.is_open = False

    def _send(self, kind: str, content: dict[str, Any], metadata: dict[str, Any]) -> str:
        asked = uuid.uuid4().hex
        header = {"msg_id": asked, "msg_type": kind, "username": "", "session": self.session}
        header |= {"version": "5.3", "date": "2026-01-31T08:15:00.000Z"}
        message = {"header": header, "parent_header": {}, "metadata": metadata, "content": content}
        self.channel.send(json.dumps({**message, "channel": "shell", "buffers": []}))
        return asked

    def _show(self, cell: dict[str, Any], kind: str, body: dict[str, Any]) -> None:
        outputs = cell["outputs"]
        if kind == "stream":
            if outputs and outputs[-1]["output_type"] == "stream" and outputs[-1]["name"] == body["name"]:
                outputs[-1]["text"] += body["text"]
            elif body["text"]:
                outputs.append({"output_type": "stream", "name": body["name"], "text": body["text"]})
            return
        if kind == "error":
            outputs.append({"output_type": "error", **{key: body[key] for key in ("ename", "evalue", "traceback")}})
            return
        output = {"output_type": kind, "data": body["data"], "metadata": body["metadata"]}
        if kind == "execute_result":
            output["execution_count"] = body["execution_count"]
        outputs.append(output)
        if shown := (body.get("transient") or {}).get("display_id"):
            self._displays.setdefault(shown, []).append(output)


@contextmanager
def jupyter(root: Path, home: Path) -> Iterator[Lab]:
    """A Jupyter server on a free port with a token, its own files under `home`."""
    port, token = free_port(), secrets.token_hex(16)
    places = {f"JUPYTER_{word}_DIR": str(home / word.lower()) for word in ("CONFIG", "DATA", "RUNTIME")}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TOWPATH_", "JUPYTER_"))}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={token}"]
    home.mkdir(parents=True, exist_ok=True)
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(
            command, env={**kept, **places}, stdout=log, stderr=log, cwd=root, start_new_session=True
        ) as process,
    ):
        lab = Lab(root, f"http://127.0.0.1:{port}", token, process)
        try:
            _wait(lab, home / "log")
            yield lab
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def _wait(lab: Lab, log: Path) -> None:
    def answers() -> bool:
        assert lab.process.poll() is None, log.read_text("utf-8", "replace")
        with suppress(httpx.TransportError):
            return httpx.get(f"{lab.url}/api", timeout=PATIENCE).status_code == 200
        return False

    until(answers, lambda: log.read_text("utf-8", "replace"))

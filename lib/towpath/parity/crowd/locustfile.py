"""Users who read: locust runs this in a process of its own, never Towpath, because it brings gevent with it.

TOWPATH_CROWD names a file of ready requests.  Each user sends one a second, any of them, and follows no redirect.  An
error is a request without an answer, a status from 500 on, or another status than the request had before.
"""

from __future__ import annotations

import base64
import json
import os
import random
from pathlib import Path

from locust import HttpUser, constant_pacing, task

REQUESTS = json.loads(Path(os.environ["TOWPATH_CROWD"]).read_text(encoding="utf-8"))
PATIENCE = 30.0  # seconds for an answer


class Reader(HttpUser):
    """One user."""

    wait_time = constant_pacing(1)

    def on_start(self) -> None:
        """Go to the side itself, whatever proxy this machine knows."""
        self.client.trust_env = False

    @task
    def read(self) -> None:
        """Send any of the requests."""
        request = random.choice(REQUESTS)
        self.client.cookies.clear()
        with self.client.request(
            request["method"],
            request["path"],
            name=request["route"],
            headers=request["headers"],
            data=base64.b64decode(request["body"]),
            allow_redirects=False,
            timeout=PATIENCE,
            catch_response=True,
        ) as answer:
            wanted = request["status"]
            if not answer.status_code:
                answer.failure("no answer")
            elif answer.status_code >= 500 or (wanted and answer.status_code != wanted):
                answer.failure(f"status {answer.status_code}")
            else:
                answer.success()

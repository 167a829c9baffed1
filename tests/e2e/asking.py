"""A client that asks once a second, whatever becomes of its questions, and hands in a document now and then.

    python asking.py http://ragline-gateway:8888

It runs in a pod beside the gateway, from the gateway's image, with nothing but the standard library. On stdout is a line
of JSON for each question and each document when it has been answered, or has failed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException

PERIOD_SECONDS = 1.0
DOCUMENT_EVERY = 5
"""Questions between two documents."""
TIMEOUT_SECONDS = 150
COLLECTION = "asking"
QUESTION = "How many grams are in one pound?"
ASKED = {
    "messages": [{"role": "user", "content": QUESTION}],
    "temperature": 0,
    # two slow cores have to keep up with a question a second: one passage to read, an answer's first words
    "rag": {"top_n": 1},
    "max_tokens": 4,
}


def call(url: str, body: bytes, content_type: str) -> dict[str, object]:
    """`status` (0: no reply) and `reply`, or `code`, `service` and `message` of the error."""
    headers = {
        "content-type": content_type,
        "authorization": f"Bearer {os.environ.get('RAGLINE_API_KEY', '')}",
    }
    request = urllib.request.Request(url, body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:  # noqa: S310
            return {"status": reply.status, "reply": json.load(reply)}
    except urllib.error.HTTPError as error:
        text = error.read().decode("utf-8", "replace")
        try:
            detail = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            detail = {"message": text[:300]}
        told = {key: detail.get(key) or "" for key in ("code", "service", "message")}
        return {"status": error.code, **told}
    except (OSError, HTTPException, ValueError) as error:
        return {"status": 0, "code": "no_reply", "service": "", "message": repr(error)}


def ask(url: str) -> dict[str, object]:
    found = call(f"{url}/v1/chat/completions", json.dumps(ASKED).encode(), "application/json")
    reply = found.pop("reply", None)
    if isinstance(reply, dict):
        found["model"] = reply["model"]
        found["degraded"] = reply.get("degraded") or []
        found["content"] = reply["choices"][0]["message"]["content"]
    return found


def hand_in(url: str, number: int) -> dict[str, object]:
    """Send a document of its own as a job; `job` is there once it was accepted."""
    name = f"asking-{time.time_ns()}.md"
    text = f"# Buoy {number}\n\nBuoy {number} was anchored in {name}.\n"
    boundary = f"boundary-{number}"
    form = (
        f'--{boundary}\r\ncontent-disposition: form-data; name="collection"\r\n\r\n{COLLECTION}\r\n'
        f'--{boundary}\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\n'
        f"content-type: text/markdown\r\n\r\n{text}\r\n--{boundary}--\r\n"
    )
    found = call(f"{url}/v1/jobs", form.encode(), f"multipart/form-data; boundary={boundary}")
    reply = found.pop("reply", None)
    if isinstance(reply, dict):
        found["job"] = reply["id"]
    return {"name": name, **found}


class Client:
    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()

    def run(self) -> None:
        began = time.monotonic()
        number = 0
        while True:
            number += 1
            self._start("question", number)
            if number % DOCUMENT_EVERY == 0:
                self._start("document", number)
            time.sleep(max(0.0, began + number * PERIOD_SECONDS - time.monotonic()))

    def _start(self, kind: str, number: int) -> None:
        threading.Thread(target=self._one, args=(kind, number), daemon=True).start()

    def _one(self, kind: str, number: int) -> None:
        sent = time.time()
        found = ask(self._url) if kind == "question" else hand_in(self._url, number)
        line = {"kind": kind, "number": number, "sent": sent, "seconds": time.time() - sent, **found}
        with self._lock:
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    Client(sys.argv[1]).run()

"""Writes one request's lines, then more than a node keeps in one log file, then a line every few seconds.

The fault `rotated`: the request's lines end up in a file that the pod log API does not serve.
"""

import json
import time
from datetime import UTC, datetime

REQUEST_ID = "0ddba11c-0000-4000-8000-000000000001"
LINES = 9_000
# Slower than the kubelet looks: it rotates a file that has grown too large every few seconds.
LINES_PER_PAUSE = 1_500
PAUSE = 2.0


def say(event, **fields):
    stamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    print(json.dumps({"event": event, "level": "info", "timestamp": stamp, "logger": "chatty", **fields}), flush=True)


def main():
    for step in ("received", "checked", "answered"):
        say(f"request_{step}", request_id=REQUEST_ID)
    for n in range(LINES):
        say("cache_miss", key=f"product:{n}:{'x' * 300}", request_id=f"0ddba11c-0000-4000-8000-{n + 1_000_000:012d}")
        if n % LINES_PER_PAUSE == LINES_PER_PAUSE - 1:
            time.sleep(PAUSE)
    while True:
        say("idle")
        time.sleep(5)


if __name__ == "__main__":
    main()

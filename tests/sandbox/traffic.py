"""Drives the sandbox: named faults and ordinary requests, with request IDs that are known beforehand.

The same seed gives the same IDs and the same requests. Each planted request is one JSON line on stdout, printed when
its tasks have ended. Needs DATABASE_URL (to see tasks end) and the base URLs of the web processes.
"""

import argparse
import hashlib
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime

import psycopg

TOKEN = "shoptoken-0003-9c1f"
ENDED = ("SUCCESS", "FAILURE", "REVOKED")
# Signals and log lines follow the stored result: a worker needs a moment for its last line.
LAST_LINE = 0.5


class Failed(Exception):
    """The sandbox did not do what it is built to do."""


class Shop:
    """A client of the shop that also looks into its database."""

    def __init__(self, urls, host, database, deadline):
        self.urls = urls
        self.host = host
        self.deadline = deadline
        self.database = psycopg.connect(database, autocommit=True)

    def call(self, method, path, request_id, body=None, n=0, headers=None):
        """The status and the JSON body of an answer; errors are answers too."""
        request = urllib.request.Request(
            self.urls[n % len(self.urls)] + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={
                "Authorization": f"Bearer {TOKEN}",
                "Content-Type": "application/json",
                "Host": self.host,
                "User-Agent": "shop-traffic/1",
                "X-Forwarded-For": f"203.0.113.{1 + n % 200}",
                "X-Forwarded-Proto": "https",
                "X-Request-ID": request_id,
                **(headers or {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=self.deadline) as response:
                status, content = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        try:
            return status, json.loads(content)
        except json.JSONDecodeError:
            return status, None

    def checkout(self, request_id, n=0, **body):
        status, answer = self.call("POST", "/api/orders/checkout/", request_id, {"product_id": 7, **body}, n)
        if status != 201:
            raise Failed(f"checkout answered {status}: {answer}")
        return answer

    def tasks(self, ids):
        rows = self.database.execute(
            "SELECT task_id, task_name, status FROM django_celery_results_taskresult WHERE task_id = ANY(%s)", [ids]
        )
        found = {task: {"id": task, "name": name, "status": status} for task, name, status in rows}
        return [found.get(task, {"id": task, "name": None, "status": None}) for task in ids]

    def wait(self, what, ready):
        end = time.monotonic() + self.deadline
        while not (answer := ready()):
            if time.monotonic() > end:
                raise Failed(f"not within {self.deadline} s: {what}")
            time.sleep(0.1)
        return answer

    def wait_tasks(self, ids, until=ENDED):
        def ready():
            tasks = self.tasks(ids)
            return tasks if all(task["status"] in until for task in tasks) else None

        return self.wait(f"tasks {ids} in {until}, but {self.tasks(ids)}", ready)

    def wait_paid(self, order):
        def ready():
            row = self.database.execute("SELECT status FROM shop_order WHERE id = %s", [order]).fetchone()
            return row and row[0] == "paid"

        self.wait(f"order {order} paid", ready)


def request_id(seed, name, n=0):
    """An ID that looks random and is the same every time."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"{seed}/{name}/{n}".encode()).digest()[:16], version=4))


def now():
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def failing_task(shop, seed, _options):
    rid = request_id(seed, "failing-task")
    answer = shop.checkout(rid, email="lost@hangup.example")
    tasks = shop.wait_tasks(answer["tasks"])
    shop.wait_paid(answer["order"])
    if tasks[1]["status"] != "FAILURE":
        raise Failed(f"the receipt did not fail: {tasks}")
    yield rid, tasks, "mail.send_receipt fails after 4 tries: SMTPServerDisconnected"


def slow_queue(shop, seed, options):
    first = request_id(seed, "slow-queue-newsletter")
    status, answer = shop.call("POST", "/api/orders/newsletter/", first, {"seconds": options.slow_seconds})
    if status != 202:
        raise Failed(f"newsletter answered {status}")
    shop.wait_tasks(answer["tasks"], ("STARTED", *ENDED))
    rid = request_id(seed, "slow-queue")
    waiting = shop.checkout(rid)
    # More receipts behind it: one is prefetched by the worker, the rest stay in the list.
    behind = [shop.checkout(request_id(seed, "slow-queue-behind", n), n=n) for n in range(3)]
    tasks = shop.wait_tasks(waiting["tasks"])
    shop.wait_paid(waiting["order"])
    newsletter = shop.wait_tasks(answer["tasks"])
    for other in behind:
        shop.wait_tasks(other["tasks"])
    yield first, newsletter, f"mail.send_newsletter holds the mail worker for {options.slow_seconds} s"
    yield rid, tasks, f"mail.send_receipt waits some {options.slow_seconds} s behind mail.send_newsletter"


def server_error(shop, seed, _options):
    rid = request_id(seed, "server-error")
    status, _ = shop.call("GET", "/api/products/13/margin/", rid)
    if status != 500:
        raise Failed(f"margin answered {status}")
    yield rid, [], "status 500: decimal.DivisionByZero in products/views.py"


def leaky_log(shop, seed, _options):
    rid = request_id(seed, "leaky-log")
    cookie = {"Cookie": "sessionid=crumble-2f9d7e; theme=dark"}
    status, answer = shop.call("POST", "/api/customers/sync/", rid, {"customer_id": 7}, headers=cookie)
    if status != 202:
        raise Failed(f"sync answered {status}")
    yield rid, shop.wait_tasks([answer["task_id"]]), "customers.sync_crm logs credentials and control sequences"


def oom(shop, seed, _options):
    rid = request_id(seed, "oom")
    status, answer = shop.call("POST", "/api/orders/export/", rid)
    if status != 202:
        raise Failed(f"export answered {status}")
    tasks = shop.wait_tasks(answer["tasks"], ("STARTED",))
    yield rid, tasks, "celery-export is OOM-killed in orders.export_orders; its result stays STARTED"


def crash_loop(_shop, _seed, _options):
    yield None, [], "the pods of importer exit 1: decimal.InvalidOperation on line 3 of the price list"


def rotated(_shop, _seed, _options):
    yield "0ddba11c-0000-4000-8000-000000000001", [], "chatty's lines of this request lie in a rotated file"


FAULTS = {
    "failing-task": failing_task,
    "slow-queue": slow_queue,
    "server-error": server_error,
    "leaky-log": leaky_log,
    "crash-loop": crash_loop,
    "oom": oom,
    "rotated": rotated,
}
PODS_ONLY = ("crash-loop", "oom", "rotated")


def ordinary(shop, seed, count):
    """What customers do all day; the checkouts' tasks are awaited together at the end."""
    chance = random.Random(seed)
    planted = []
    for n in range(count):
        rid = request_id(seed, "ordinary", n)
        match chance.choices(("list", "product", "sales", "missing", "checkout"), (3, 4, 1, 1, 3))[0]:
            case "list":
                method, path = "GET", f"/api/orders/?limit={chance.randint(1, 50)}"
            case "product":
                method, path = "GET", f"/api/products/{chance.randint(20, 2000)}/"
            case "sales":
                method, path = "GET", f"/api/products/{chance.randint(20, 2000)}/sales/"
            case "missing":
                method, path = "GET", f"/api/products/{chance.randint(5000, 9000)}/"
            case "checkout":
                answer = shop.checkout(rid, n=n, product_id=chance.randint(20, 2000), quantity=chance.randint(1, 4))
                planted.append((rid, answer["tasks"], "POST /api/orders/checkout/ 201"))
                continue
        status, _ = shop.call(method, path, rid, n=n)
        planted.append((rid, [], f"{method} {path} {status}"))
    for rid, tasks, what in planted:
        yield rid, shop.wait_tasks(tasks) if tasks else [], what


def say(fault, started, planted):
    for rid, tasks, what in planted:
        time.sleep(LAST_LINE if tasks and fault else 0)
        line = {"fault": fault, "request_id": rid, "what": what, "tasks": tasks, "started": started, "ended": now()}
        print(json.dumps(line), flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", action="append", required=True, help="base URL of a web process; repeatable")
    arguments.add_argument("--host", default="shop.example", help="the Host header")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--deadline", type=float, default=90, help="seconds for each wait")
    arguments.add_argument("--slow-seconds", type=float, default=40)
    arguments.add_argument("--pods", action="store_true", help="with --all: the faults that need pods too")
    arguments.add_argument("--fault", action="append", choices=FAULTS, default=[])
    arguments.add_argument("--all", action="store_true")
    arguments.add_argument("--count", type=int, default=0, help="ordinary requests")
    options = arguments.parse_args()
    faults = [name for name in FAULTS if options.pods or name not in PODS_ONLY] if options.all else options.fault
    shop = Shop(options.url, options.host, os.environ["DATABASE_URL"], options.deadline)
    try:
        for name in faults:
            say(name, now(), FAULTS[name](shop, options.seed, options))
        if options.count:
            say(None, now(), ordinary(shop, options.seed, options.count))
            time.sleep(LAST_LINE)
    except (Failed, OSError, psycopg.Error) as error:
        print(f"traffic: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

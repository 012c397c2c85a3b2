"""Drives the sandbox: named faults and ordinary requests, with request IDs that are known beforehand.

The same seed gives the same IDs and the same requests. Each planted request is one JSON line on stdout, printed when
its tasks have ended. Needs DATABASE_URL (to see tasks end) and the base URLs of the web processes.

What harms the sandbox itself (HARMS) is planted in two halves: what processes must be killed or started for it the lab does (see
tests/lab/src/sandbox/harm.rs), after or before the half that is here. `--restore NAME --task ID…` undoes it.
These need CELERY_BROKER_URL too.
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
import redis
from celery import Celery

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


def repeat(shop, seed, name, count, path):
    for n in range(count):
        status, answer = shop.call("GET", path(n), request_id(seed, name, n), n=n)
        if status != 200:
            raise Failed(f"{path(n)} answered {status}: {answer}")


def n_plus_one(shop, seed, _options):
    repeat(shop, seed, "n-plus-one", 20, lambda _: "/api/orders/customers/?limit=200")
    yield request_id(seed, "n-plus-one"), [], "orders.views.customers asks for each customer by itself: 4000 statements of one row"


def slow_report(shop, seed, _options):
    repeat(shop, seed, "slow-report", 300, lambda n: f"/api/products/{20 + n}/sales/")
    yield request_id(seed, "slow-report"), [], "products.views.sales reads the whole of shop_orderitem: no index leads with product_id"


def disk_sort(shop, seed, _options):
    repeat(shop, seed, "disk-sort", 4, lambda n: f"/api/orders/ranking/?start={300_000 + n}")
    yield request_id(seed, "disk-sort"), [], "orders.views.ranking sorts 300000 rows of shop_orderitem on disk"


class Broker:
    """The broker as an operator with redis-cli sees it, and a publisher that is no part of the shop."""

    def __init__(self, url):
        self.redis = redis.Redis.from_url(url)
        self.cache = redis.Redis.from_url(url.rsplit("/", 1)[0] + "/1")
        # Celery takes the results' backend from the environment first, and in a pod that is the shop's, which needs its settings.
        os.environ.pop("CELERY_RESULT_BACKEND", None)
        self.celery = Celery(broker=url)

    def waiting(self):
        """Tasks in the lists of the two queues, whatever their priority."""
        keys = [f"{queue}{step}" for queue in ("celery", "mail") for step in ("", "\x06\x163", "\x06\x166", "\x06\x169")]
        with self.redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.llen(key)
            return sum(pipeline.execute())

    def unacked(self):
        """Task by delivery tag, with the message."""
        held = {tag: json.loads(value) for tag, value in self.redis.hgetall("unacked").items()}
        return {tag: (value[0]["headers"]["id"], value) for tag, value in held.items()}

    def give_back(self, tasks):
        """What a dead worker held goes to the head of its queue, as kombu does it when the visibility timeout has passed."""
        for tag, (task, (message, _exchange, queue)) in self.unacked().items():
            if task in tasks:
                message["headers"]["redelivered"] = True
                self.redis.rpush(queue, json.dumps(message))
                self.redis.hdel("unacked", tag)
                self.redis.zrem("unacked_index", tag)


def lost_worker(shop, broker, seed, options):
    first = request_id(seed, "lost-worker-newsletter")
    status, answer = shop.call("POST", "/api/orders/newsletter/", first, {"seconds": options.slow_seconds})
    if status != 202:
        raise Failed(f"newsletter answered {status}")
    newsletter = shop.wait_tasks(answer["tasks"], ("STARTED",))
    # The worker fetches one more; that is the first receipt.
    requests = [request_id(seed, "lost-worker", n) for n in range(3)]
    receipts = []
    for rid in requests:
        receipts.append(shop.checkout(rid)["tasks"][1])
        shop.wait("the worker fetches a receipt", lambda: receipts[0] in [task for task, _ in broker.unacked().values()])
    yield first, newsletter, "mail.send_newsletter runs, is acknowledged, and dies with its worker: it is nowhere"
    yield requests[0], shop.tasks(receipts[:1]), "mail.send_receipt is prefetched by the worker that dies: unacked, for an hour"
    for rid, receipt in zip(requests[1:], receipts[1:]):
        yield rid, shop.tasks([receipt]), "mail.send_receipt waits in mail"


def find_worker(shop, broker, tasks):
    # The newsletter is lost for good, as it was planted; its row says so from now on.
    shop.database.execute(
        "UPDATE django_celery_results_taskresult SET status = 'REVOKED' WHERE task_id = ANY(%s) AND task_name = 'mail.send_newsletter'", [tasks]
    )
    broker.give_back(tasks)
    if tasks:
        shop.wait_tasks(tasks)


def orphan_queue(shop, broker, _seed, _options):
    ids = [broker.celery.send_task("orders.monthly_report", args=(n,), queue="reports").id for n in range(12)]
    yield None, shop.tasks(ids), "orders.monthly_report waits in reports, which nobody consumes"


def delete_queue(_shop, broker, _tasks):
    # kombu 5.7 has `_kombu.binding_permanent.reports` beside `_kombu.binding.reports`.
    broker.redis.delete(*broker.redis.keys("*reports*"))


LAST_RUN = "SELECT last_run_at FROM django_celery_beat_periodictask WHERE name = 'refresh-stock'"


def dead_beat(shop, _broker, _seed, _options):
    shop.wait("beat's first run", lambda: shop.database.execute(LAST_RUN).fetchone()[0])
    yield None, [], "celery-beat is dead: products.refresh_stock, due every 20 s, is published no more"


def await_beat(shop, _broker, _tasks):
    began = datetime.now(UTC)
    shop.wait("beat runs again", lambda: shop.database.execute(LAST_RUN).fetchone()[0] > began)


def hoarding(shop, broker, _seed, options):
    long = broker.celery.send_task("orders.rebuild_index", args=(options.slow_seconds,), queue="reindex").id
    shop.wait_tasks([long], ("STARTED",))
    tasks = [broker.celery.send_task("products.refresh_stock", queue="celery").id for _ in range(60)]

    # A task that runs elsewhere is unacked too, until it has ended: only what is held in two looks a second apart is held for good.
    def settled():
        held = {task for task, _ in broker.unacked().values()}
        rows = [row for row in shop.tasks(tasks) if row["status"] != "SUCCESS"]
        return rows if all(row["id"] in held for row in rows) else None

    def settled_twice():
        before = settled()
        time.sleep(1)
        after = settled()
        return [after] if before == after and after is not None else None

    [held] = shop.wait("every task is run or held", settled_twice)
    if len(held) < 10:
        raise Failed(f"celery-reindex got only {len(held)} of 60 tasks")
    yield None, shop.tasks([long]), "orders.rebuild_index has the only slot of celery-reindex"
    yield None, held, f"{len(held)} tasks of the queue celery are held by celery-reindex behind it"


def share_out(shop, broker, tasks):
    # A killed worker stays in the inventory; an operator would take it out by hand too.
    for member in broker.redis.smembers("_kombu.binding.celery.pidbox"):
        if b"celery-reindex" in member:
            broker.redis.srem("_kombu.binding.celery.pidbox", member)
    shop.database.execute(
        "UPDATE django_celery_results_taskresult SET status = 'REVOKED' WHERE task_id = ANY(%s) AND task_name = 'orders.rebuild_index'", [tasks]
    )
    # It held what beat published in the meantime too: that nobody has asked for, and nobody would give back for an hour.
    tags = set(broker.unacked())
    time.sleep(3)
    stayed = {task for tag, (task, _) in broker.unacked().items() if tag in tags}
    broker.give_back(stayed.union(tasks))
    if tasks:
        shop.wait_tasks(tasks)


def eviction(_shop, broker, _seed, _options):
    for n in range(200):
        broker.cache.set(f"ballast:{n}", b"x" * 100_000)
    used = broker.redis.info("memory")["used_memory"]
    broker.redis.config_set("maxmemory", int(used / 0.96))
    broker.redis.config_set("maxmemory-policy", "allkeys-lru")
    yield None, [], "Redis is nearly full, and allkeys-lru lets it evict tasks"


def make_room(_shop, broker, _tasks):
    broker.redis.config_set("maxmemory", 0)
    broker.redis.config_set("maxmemory-policy", "noeviction")
    broker.cache.delete(*[f"ballast:{n}" for n in range(200)])


BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = current_user"
IDLES = "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' AND usename = current_user AND query LIKE '%shop_product%'"


def lock_pileup(shop, _broker, seed, options):
    rid = request_id(seed, "lock-pileup-import")
    status, answer = shop.call("POST", "/api/products/import/", rid, {"seconds": options.slow_seconds})
    if status != 202:
        raise Failed(f"import answered {status}")
    shop.wait("the import holds its row", lambda: shop.database.execute(IDLES).fetchone())
    yield rid, shop.tasks(answer["tasks"]), "products.import_prices idles in its transaction and has the row of product 7 locked"
    reserved = {}

    def piled():
        # A worker fetches more than it has slots for: what lies there waits unseen, so more are sent until three are blocked.
        if len(reserved) < 9:
            rid = request_id(seed, "lock-pileup", len(reserved))
            reserved[rid] = shop.checkout(rid)["tasks"][0]
        return shop.database.execute(BLOCKED).fetchone()[0] >= 3

    shop.wait("three writers are blocked", piled)
    for rid, task in reserved.items():
        yield rid, shop.tasks([task]), "orders.reserve_stock waits for the row of product 7, or behind one that does"


def end_pileup(shop, _broker, tasks):
    shop.database.execute(
        "UPDATE django_celery_results_taskresult SET status = 'REVOKED' WHERE task_id = ANY(%s) AND task_name = 'products.import_prices'", [tasks]
    )
    for (pid,) in shop.database.execute(IDLES).fetchall():
        shop.database.execute("SELECT pg_terminate_backend(%s)", [pid])
    if tasks:
        shop.wait_tasks(tasks)


def stale_statistics(shop, _broker, seed, _options):
    shop.database.execute(
        "INSERT INTO shop_pricelistentry (supplier, product_id, price)"
        " SELECT CASE WHEN n % 50 = 0 THEN 'Other ' || n ELSE 'Acme' END, 1 + n % 2000, 5 + n % 90 FROM generate_series(1, 60000) n"
    )
    repeat(shop, seed, "stale-statistics", 5, lambda _: "/api/products/prices/?supplier=Acme")
    what = "the planner knows nothing of the 60000 rows of shop_pricelistentry: it was analyzed when it was empty, and autovacuum is off for it"
    yield request_id(seed, "stale-statistics"), [], what


def forget_prices(shop, _broker, _tasks):
    shop.database.execute("DELETE FROM shop_pricelistentry")


# What harms the sandbox, and how it becomes well again.
HARMS = {
    "lost-worker": (lost_worker, find_worker),
    "orphan-queue": (orphan_queue, delete_queue),
    "dead-beat": (dead_beat, await_beat),
    "hoarding": (hoarding, share_out),
    "eviction": (eviction, make_room),
    "lock-pileup": (lock_pileup, end_pileup),
    "stale-statistics": (stale_statistics, forget_prices),
}

FAULTS = {
    "failing-task": failing_task,
    "slow-queue": slow_queue,
    "server-error": server_error,
    "leaky-log": leaky_log,
    "crash-loop": crash_loop,
    "oom": oom,
    "rotated": rotated,
    "n-plus-one": n_plus_one,
    "slow-report": slow_report,
    "disk-sort": disk_sort,
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


def soak(shop, broker, seed, seconds):
    """An ordinary day in fast motion: bursts, tasks for later, retries, a long task now and then, and quiet. Nothing is wrong: what comes
    is within what the workers can do on this machine, which is measured all the time."""
    chance = random.Random(seed)
    ids = []
    rounds = 0

    def send(task, **options):
        ids.append(broker.celery.send_task(task, **options).id)

    def burst(size):
        for _ in range(size):
            send("products.refresh_stock", queue="celery", priority=chance.choice((0, 3, 6, 9)))

    def drained():
        began = time.monotonic()
        shop.wait("the queues to be empty", lambda: broker.waiting() < 3)
        return time.monotonic() - began

    burst(20)
    rate = 20 / max(drained(), 0.2)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rounds += 1
        rid = request_id(seed, "soak", rounds)
        match chance.choices(("burst", "later", "retries", "long", "quiet"), (4, 2, 1, 2, 2))[0]:
            case "burst":
                # Three seconds of work at the most: half a minute of the day that this stands for.
                size = max(5, min(200, int(rate * chance.uniform(0.5, 3))))
                burst(size)
                for n in range(chance.randint(1, 3)):
                    ids.extend(shop.checkout(f"{rid}-{n}", n=n)["tasks"])
                rate = (rate + size / max(drained(), 0.2)) / 2
            case "later":
                for _ in range(chance.randint(1, max(2, int(rate)))):
                    send("products.refresh_stock", queue="celery", countdown=chance.uniform(1, min(20, max(2, end - time.monotonic()))))
            case "retries":
                ids.extend(shop.checkout(rid, email="lost@hangup.example")["tasks"])
            case "long":
                send("mail.send_newsletter", args=(chance.uniform(0.5, 2.5),), queue="mail")
            case "quiet":
                time.sleep(chance.uniform(0.5, 3))
        drained()
    shop.wait_tasks(ids)
    yield None, [], f"{rounds} rounds, {len(ids)} tasks, all ended"


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
    arguments.add_argument("--fault", action="append", choices=[*FAULTS, *HARMS], default=[])
    arguments.add_argument("--restore", choices=HARMS)
    arguments.add_argument("--task", action="append", default=[], help="with --restore: a task that was planted")
    arguments.add_argument("--all", action="store_true")
    arguments.add_argument("--count", type=int, default=0, help="ordinary requests")
    arguments.add_argument("--soak", type=float, help="seconds of an ordinary day in fast motion")
    options = arguments.parse_args()
    faults = [name for name in FAULTS if options.pods or name not in PODS_ONLY] if options.all else options.fault
    shop = Shop(options.url, options.host, os.environ["DATABASE_URL"], options.deadline)
    try:
        for name in faults:
            if name in HARMS:
                say(name, now(), HARMS[name][0](shop, Broker(os.environ["CELERY_BROKER_URL"]), options.seed, options))
            else:
                say(name, now(), FAULTS[name](shop, options.seed, options))
        if options.restore:
            HARMS[options.restore][1](shop, Broker(os.environ["CELERY_BROKER_URL"]), options.task)
        if options.soak:
            say(None, now(), soak(shop, Broker(os.environ["CELERY_BROKER_URL"]), options.seed, options.soak))
        if options.count:
            say(None, now(), ordinary(shop, options.seed, options.count))
            time.sleep(LAST_LINE)
    except (Failed, OSError, psycopg.Error) as error:
        print(f"traffic: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

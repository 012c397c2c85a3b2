"""What a test asks of Celery itself: one process for each call, since starting Celery costs half a second.

    tool.py publish < LIST        publishes, prints the ids; see `Publish` in tests/lab/src/celery/publish.rs
    tool.py revoke ID             tells the workers
    tool.py inspect METHOD        what `celery inspect METHOD` answers, as JSON
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from celery import chain, chord
from lab_app import app, application


def publish(what, by):
    options = dict(what.get("options") or {})
    if (lateness := options.pop("eta_in", None)) is not None:
        options["eta"] = datetime.now(timezone.utc) + timedelta(seconds=lateness)
    args, kwargs = what.get("args") or [], what.get("kwargs") or {}
    match what["task"]:
        case "chord":
            answer = chord([app.tasks["add"].s(n, n) for n in range(args[0])], **options)(app.tasks["total"].s())
            return [header.id for header in answer.parent.results] + [answer.id]
        case "chain":
            answer = chain(app.tasks["quick"].si(n) for n in range(args[0])).apply_async(**options)
            ids = []
            while answer is not None:
                ids.insert(0, answer.id)
                answer = answer.parent
            return ids
        case task:
            return [by.send_task(task, args=args, kwargs=kwargs, **options).id for _ in range(what.get("times") or 1)]


def main():
    match sys.argv[1:]:
        case ["publish"]:
            first = application(task_protocol=1)
            answer = []
            for what in json.load(sys.stdin):
                answer += publish(what, first if what.get("protocol") == 1 else app)
        case ["revoke", task]:
            answer = app.control.revoke(task)
        case ["inspect", method]:
            answer = getattr(app.control.inspect(timeout=2), method)()
        case _:
            sys.exit(__doc__)
    print(json.dumps(answer))


main()

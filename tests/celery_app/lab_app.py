"""A Celery application for tests: tasks that end when they are told to, and settings that come from a file.

LAB_CELERY names that file, JSON: {"broker": URL, "settings": {any setting of Celery}}.
"""

import json
import os
import time
from pathlib import Path

from celery import Celery

CONFIG = json.loads(Path(os.environ["LAB_CELERY"]).read_text())


def application(**settings):
    made = Celery("lab", broker=CONFIG["broker"])
    made.conf.update({**CONFIG["settings"], **settings})
    return made


app = application()


@app.task(name="quick")
def quick(*_args, **_kwargs):
    return "done"


@app.task(name="sleep")
def sleep(seconds, **_kwargs):
    time.sleep(seconds)


@app.task(name="hold", bind=True)
def hold(self, path, **_kwargs):
    """Runs until `path` exists; `path.started.ID` says that it runs."""
    Path(f"{path}.started.{self.request.id}").touch()
    while not Path(path).exists():
        time.sleep(0.02)


@app.task(name="hold_late", bind=True, acks_late=True)
def hold_late(self, path, **_kwargs):
    """The same, acknowledged when it has ended."""
    Path(f"{path}.started.{self.request.id}").touch()
    while not Path(path).exists():
        time.sleep(0.02)


@app.task(name="fail")
def fail(says="as planted", **_kwargs):
    raise ValueError(says)


@app.task(name="retrying", bind=True)
def retrying(self, times, countdown=60, **_kwargs):
    """Fails `times` times, each time to be tried again after `countdown` seconds."""
    if self.request.retries < times:
        raise self.retry(exc=OSError("not yet"), countdown=countdown, max_retries=times)
    return self.request.retries


@app.task(name="limited", rate_limit="1/m")
def limited(*_args, **_kwargs):
    return "done"


@app.task(name="add")
def add(a, b):
    return a + b


@app.task(name="total")
def total(numbers):
    return sum(numbers)


@app.task(name="parent", bind=True)
def parent(self, children):
    """Publishes children: their parent and root are this task."""
    return [quick.apply_async((n,)).id for n in range(children)]

"""The Celery application: workers, beat and the web processes share it."""

import os

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# Profile d leaves a worker's log format to Celery, as a team does that never looked at it. The others want one format
# in every process: a receiver of this signal keeps Celery from replacing the handlers.
if os.environ.get("LOG_PROFILE", "a") != "d":

    @setup_logging.connect
    def keep_django_logging(**_kwargs):
        from logging.config import dictConfig

        from django.conf import settings

        dictConfig(settings.LOGGING)


match os.environ.get("LOG_PROFILE", "a"):
    case "a":
        from django_structlog.celery.steps import DjangoStructLogInitStep

        app.steps["worker"].add(DjangoStructLogInitStep)
    case "b":
        from . import task_logging  # noqa: F401  (connects its signals)

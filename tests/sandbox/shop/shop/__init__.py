"""The shop: settings, URLs, Celery and everything that its apps share."""

from .celery import app as celery_app

__all__ = ("celery_app",)

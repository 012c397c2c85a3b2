"""Names the project's own app: it holds the management commands."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        from . import sqlcomment  # noqa: F401  (connects its signals)

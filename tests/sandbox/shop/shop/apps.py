"""Names the project's own app: it holds the management commands."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

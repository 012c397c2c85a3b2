"""Names the app, and connects what it adds to the log lines of profile a."""

from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "customers"

    def ready(self):
        from . import log_context  # noqa: F401  (connects its receiver)

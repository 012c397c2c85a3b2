"""Names the app."""

from django.apps import AppConfig


class MailConfig(AppConfig):
    name = "mail"

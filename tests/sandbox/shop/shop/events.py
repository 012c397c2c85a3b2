"""One call for an event, whatever the profile: structured where the profile is, a sentence where it is not."""

import logging

import structlog
from django.conf import settings


class _Structured:
    def __init__(self, name):
        self._logger = structlog.get_logger(name)

    def event(self, level, name, **fields):
        getattr(self._logger, level)(name, **fields)

    def exception(self, name, **fields):
        self._logger.exception(name, **fields)


class _Extra:
    def __init__(self, name):
        self._logger = logging.getLogger(name)

    def event(self, level, name, **fields):
        self._logger.log(getattr(logging, level.upper()), _sentence(name), extra=fields, stacklevel=2)

    def exception(self, name, **fields):
        self._logger.exception(_sentence(name), extra=fields, stacklevel=2)


class _Plain:
    def __init__(self, name):
        self._logger = logging.getLogger(name)

    def event(self, level, name, **fields):
        self._logger.log(getattr(logging, level.upper()), _with_fields(name, fields), stacklevel=2)

    def exception(self, name, **fields):
        self._logger.exception(_with_fields(name, fields), stacklevel=2)


def _sentence(name):
    return name.replace("_", " ").capitalize()


def _with_fields(name, fields):
    return " ".join([_sentence(name), *(f"{key}={value}" for key, value in fields.items())])


def get_log(name):
    """The log of a module, in the shape of the profile in use."""
    return {"a": _Structured, "b": _Structured, "c": _Extra, "d": _Plain}[settings.LOG_PROFILE](name)

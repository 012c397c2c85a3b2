"""The four ways in which teams log, as settings for `logging.config.dictConfig`.

a: django-structlog; b: structlog with a middleware of the team's own; c: python-json-logger, no request ID anywhere;
d: the `verbose` format of Django's documentation.
"""

import structlog

_SHARED_PROCESSORS = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

_FORMATTERS = {
    "structlog": {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        "foreign_pre_chain": _SHARED_PROCESSORS,
    },
    "json": {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
    },
    "verbose": {
        "format": "{levelname} {asctime} {module} {process:d} {thread:d} {message}",
        "style": "{",
    },
}


def configure(profile, level):
    """The LOGGING setting of a profile; for a and b it also sets structlog itself up."""
    if profile in "ab":
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.filter_by_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.stdlib.PositionalArgumentsFormatter(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.StackInfoRenderer(),
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            cache_logger_on_first_use=True,
        )
    formatter = {"a": "structlog", "b": "structlog", "c": "json", "d": "verbose"}[profile]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {formatter: _FORMATTERS[formatter]},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": formatter}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Django gives its own logger a handler that mails administrators; everything goes to the console instead.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
        },
    }

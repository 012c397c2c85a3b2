"""Settings: everything that differs between environments comes from the environment."""

import os
import sys
from pathlib import Path

import dj_database_url

from .log_profiles import configure

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = False
SECRET_KEY = os.environ["SECRET_KEY"]
RELEASE = os.environ.get("RELEASE", "unknown")
LOG_PROFILE = os.environ.get("LOG_PROFILE", "a")
LOG_LEVEL = os.environ.get("LOG_LEVEL", "INFO")

ALLOWED_HOSTS = [h for h in os.environ.get("ALLOWED_HOSTS", "").split(",") if h]
SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django_celery_beat",
    "django_celery_results",
    "django_prometheus",
    "django_structlog",
    "shop",
    "audit",
    "customers",
    "mail",
    "orders",
    "products",
]

# What a log line knows of its request differs between the profiles, and with it the middleware that binds it.
LOG_MIDDLEWARE = {
    "a": ["django_structlog.middlewares.RequestMiddleware"],
    "b": ["shop.middleware.RequestContextMiddleware"],
    "c": ["shop.middleware.RequestTimingMiddleware"],
    "d": [],
}[LOG_PROFILE]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "shop.middleware.RequestIdMiddleware",
    "shop.sqlcomment.Middleware",
    "django.middleware.security.SecurityMiddleware",
    "customers.middleware.TokenMiddleware",
    *LOG_MIDDLEWARE,
    "django.middleware.common.CommonMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"

DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=60)}
# Whose session it is, for whoever looks into pg_stat_activity: shop-gunicorn, shop-celery, shop-manage.py.
PROGRAM = next((name for name in ("gunicorn", "celery") if any(name in word for word in sys.argv[:1])), Path(sys.argv[0]).name)
DATABASES["default"].setdefault("OPTIONS", {})["application_name"] = f"shop-{PROGRAM}"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["REDIS_URL"],
    }
}

CELERY_BROKER_URL = os.environ["CELERY_BROKER_URL"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"queue_order_strategy": "priority"}
CELERY_RESULT_BACKEND = os.environ.get("CELERY_RESULT_BACKEND", "django-db")
CELERY_RESULT_EXTENDED = True
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_DEFAULT_PRIORITY = 3
CELERY_TASK_ROUTES = {
    "mail.*": {"queue": "mail"},
    "orders.export_orders": {"queue": "export"},
    "orders.rebuild_index": {"queue": "reindex"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
# Every run is written at once, not each three minutes: what the table says of beat is true to the second.
CELERY_BEAT_SYNC_EVERY = 1
CELERY_BEAT_SCHEDULE = {
    "refresh-stock": {"task": "products.refresh_stock", "schedule": 20.0, "options": {"priority": 9}},
}

MAIL_HOST = os.environ.get("MAIL_HOST", "127.0.0.1")
MAIL_PORT = int(os.environ.get("MAIL_PORT", "25"))
MAIL_PASSWORD = os.environ.get("MAIL_PASSWORD", "")
# Seconds before the first retry of a receipt; each further one waits twice as long.
MAIL_RETRY_BACKOFF = int(os.environ.get("MAIL_RETRY_BACKOFF", "1"))

DJANGO_STRUCTLOG_CELERY_ENABLED = LOG_PROFILE == "a"
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True

LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = configure(LOG_PROFILE, LOG_LEVEL)

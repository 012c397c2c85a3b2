"""What probes and people ask: is it alive, is it ready, is it well."""

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import JsonResponse
from redis.exceptions import RedisError


def _database():
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"error: {type(error).__name__}"
    return "ok"


def _redis():
    try:
        cache.set("health", "ok", 10)
    except (RedisError, OSError) as error:
        return f"error: {type(error).__name__}"
    return "ok"


def health(_request):
    """The flat dialect: one key for each part, metadata beside them."""
    parts = {"db": _database(), "redis": _redis()}
    well = set(parts.values()) == {"ok"}
    body = {"status": "healthy" if well else "unhealthy", **parts, "version": settings.RELEASE}
    return JsonResponse(body, status=200 if well else 503)


def healthz(_request):
    """Liveness: this process answers. It asks nobody else, so that a dead Redis does not restart every pod."""
    return JsonResponse({"status": "ok"})


def readyz(_request):
    """Readiness, in the nested dialect."""
    checks = {"database": _database(), "cache": _redis()}
    ready = set(checks.values()) == {"ok"}
    return JsonResponse({"status": "ready" if ready else "not ready", "checks": checks}, status=200 if ready else 503)

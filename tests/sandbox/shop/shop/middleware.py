"""The request's ID, and what a log line learns of its request in profiles b and c."""

import time
import uuid

import structlog

from .events import get_log

log = get_log("shop.request")


class RequestIdMiddleware:
    """Honours the client's X-Request-ID, else makes one; the answer always carries it."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request_id = request.headers.get("X-Request-ID") or str(uuid.uuid4())
        request.request_id = request_id
        # django-structlog reads the header itself: it must see the same ID.
        request.META["HTTP_X_REQUEST_ID"] = request_id
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


class RequestContextMiddleware:
    """Profile b: binds the request for every line that is logged while it is served."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            request_id=request.request_id,
            user_id=request.user.pk,
            ip_address=client_ip(request),
            method=request.method,
            path=request.path,
        )
        started = time.monotonic()
        response = self.get_response(request)
        log.event(
            "info" if response.status_code < 500 else "error",
            "request_finished",
            status_code=response.status_code,
            duration_ms=round((time.monotonic() - started) * 1000, 1),
        )
        structlog.contextvars.clear_contextvars()
        return response


class RequestTimingMiddleware:
    """Profile c: one line for each request, with its time and status, and nothing that names the request."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        started = time.monotonic()
        response = self.get_response(request)
        log.event(
            "info" if response.status_code < 500 else "error",
            "request_handled",
            method=request.method,
            path=request.path,
            status_code=response.status_code,
            duration_ms=round((time.monotonic() - started) * 1000, 1),
        )
        return response


def client_ip(request):
    """The address that the proxy before us saw, else the peer's."""
    forwarded = request.headers.get("X-Forwarded-For", "")
    return forwarded.split(",")[0].strip() or request.META.get("REMOTE_ADDR")

"""Small things that every JSON view needs."""

import json

from django.http import JsonResponse


class BadRequest(ValueError):
    """The body is not what the endpoint takes."""


def read_json(request):
    """The body as an object."""
    try:
        body = json.loads(request.body or b"{}")
    except json.JSONDecodeError as error:
        raise BadRequest(f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("not an object")
    return body


def bad_request(error):
    return JsonResponse({"error": str(error)}, status=400)

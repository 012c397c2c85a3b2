"""Who calls: `Authorization: Bearer …` names a user and an organisation."""

from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError

from .models import ApiToken


class TokenMiddleware:
    """A missing or unknown token is an anonymous caller; the views decide what those may do."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.user, request.organisation_id = _caller(request.headers.get("Authorization", ""))
        return self.get_response(request)


def _caller(header):
    scheme, _, token = header.partition(" ")
    if scheme != "Bearer":
        return AnonymousUser(), None
    try:
        found = ApiToken.objects.select_related("user").get(token=token)
    except (ApiToken.DoesNotExist, DatabaseError):
        return AnonymousUser(), None
    return found.user, found.organisation_id

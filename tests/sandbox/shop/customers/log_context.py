"""Profile a: every line of a request names the organisation beside what django-structlog binds."""

import structlog
from django.dispatch import receiver
from django_structlog import signals


@receiver(signals.bind_extra_request_metadata)
def bind_organisation(request, **_kwargs):
    structlog.contextvars.bind_contextvars(organization_id=request.organisation_id)

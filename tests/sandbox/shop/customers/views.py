"""The customers' API."""

from django.http import JsonResponse
from django.views.decorators.http import require_GET, require_POST

from audit.models import record
from shop.events import get_log
from shop.http import BadRequest, bad_request, read_json

from .models import Customer
from .tasks import sync_crm

log = get_log(__name__)


@require_GET
def detail(_request, customer_id):
    customer = Customer.objects.filter(pk=customer_id).values("id", "name", "organisation__name").first()
    if customer is None:
        return JsonResponse({"error": "no such customer"}, status=404)
    return JsonResponse(customer)


@require_POST
def sync(request):
    """Pushes a customer to the CRM. Somebody once debugged it by logging too much, and the lines stayed."""
    try:
        customer = Customer.objects.get(pk=read_json(request).get("customer_id"))
    except (BadRequest, Customer.DoesNotExist, ValueError) as error:
        return bad_request(error)
    record(request, f"customer {customer.pk} synchronised")
    log.event(
        "info",
        "crm_sync_requested",
        email=customer.email,
        authorization=request.headers.get("Authorization", ""),
        cookie=request.headers.get("Cookie", ""),
    )
    task = sync_crm.delay(customer.pk)
    log.event("info", "task_enqueued", task_id=task.id, task_name=sync_crm.name)
    return JsonResponse({"task_id": task.id}, status=202)

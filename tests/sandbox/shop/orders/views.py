"""The orders' API."""

from django.db import transaction
from django.http import JsonResponse
from django.views.decorators.http import require_GET, require_POST

from audit.models import record
from mail.tasks import send_newsletter, send_receipt
from products.models import Product
from shop.events import get_log
from shop.http import BadRequest, bad_request, read_json

from .models import Order, OrderItem
from .tasks import export_orders, reserve_stock

log = get_log(__name__)


@require_GET
def index(request):
    """The latest orders."""
    limit = min(int(request.GET.get("limit", 20)), 200)
    orders = Order.objects.order_by("-id").values("id", "status", "total", "created_at")[:limit]
    return JsonResponse({"orders": list(orders)})


@require_GET
def customers(request):
    """The latest orders with their customers: each customer is asked for by itself."""
    limit = min(int(request.GET.get("limit", 200)), 1000)
    orders = Order.objects.order_by("-id")[:limit]
    return JsonResponse({"orders": [{"id": order.pk, "customer": order.customer.name} for order in orders]})


@require_GET
def ranking(request):
    """A page far down the list of all items by price: everything before it is sorted too, and does not fit into work_mem."""
    start = int(request.GET.get("start", 300_000))
    items = OrderItem.objects.order_by("price", "quantity", "-id").values("id", "order_id", "price")[start : start + 10]
    return JsonResponse({"items": list(items)})


@require_POST
def checkout(request):
    """Takes an order; its stock is reserved and its receipt mailed by workers."""
    try:
        body = read_json(request)
        email = body.get("email") or "customer@shop.example"
        product = Product.objects.get(pk=body.get("product_id", 1))
        quantity = int(body.get("quantity", 1))
    except (BadRequest, Product.DoesNotExist, ValueError) as error:
        log.event("warning", "checkout_refused", reason=str(error))
        return bad_request(error)
    log.event("info", "checkout_started", product_id=product.pk, quantity=quantity)
    with transaction.atomic():
        order = Order.objects.create(customer_id=body.get("customer_id", 1), total=product.price * quantity)
        OrderItem.objects.create(order=order, product=product, quantity=quantity, price=product.price)
        record(request, f"order {order.pk} placed")
    # This one nobody logs: in profile b no line names both the request and the task.
    reserved = reserve_stock.apply_async((order.pk,), priority=0)
    receipt = send_receipt.apply_async((order.pk, email), priority=6)
    log.event("info", "task_enqueued", task_id=receipt.id, task_name=send_receipt.name, order_id=order.pk)
    return JsonResponse({"order": order.pk, "tasks": [reserved.id, receipt.id]}, status=201)


@require_POST
def newsletter(request):
    """Asks the mail worker for a mailing that takes a while: everything behind it waits."""
    try:
        seconds = float(read_json(request).get("seconds", 40))
    except (BadRequest, ValueError) as error:
        return bad_request(error)
    task = send_newsletter.apply_async((seconds,), priority=0)
    record(request, "newsletter asked for")
    log.event("info", "task_enqueued", task_id=task.id, task_name=send_newsletter.name)
    return JsonResponse({"tasks": [task.id]}, status=202)


@require_POST
def export(request):
    """Asks for an export of every order."""
    task = export_orders.delay()
    record(request, "export asked for")
    log.event("info", "task_enqueued", task_id=task.id, task_name=export_orders.name)
    return JsonResponse({"tasks": [task.id]}, status=202)

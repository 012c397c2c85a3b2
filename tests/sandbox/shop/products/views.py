"""The products' API."""

from django.http import JsonResponse
from django.views.decorators.http import require_GET, require_POST

from orders.models import OrderItem
from shop.events import get_log
from shop.http import BadRequest, bad_request, read_json

from .models import PriceListEntry, Product
from .tasks import import_prices

log = get_log(__name__)


@require_GET
def detail(_request, product_id):
    product = Product.objects.filter(pk=product_id).values("id", "sku", "name", "price", "stock").first()
    if product is None:
        log.event("warning", "product_not_found", product_id=product_id)
        return JsonResponse({"error": "no such product"}, status=404)
    return JsonResponse(product)


@require_GET
def sales(_request, product_id):
    """How often it was sold: order items have no index on the product, so the whole table is read."""
    sold = OrderItem.objects.filter(product_id=product_id)
    return JsonResponse({"product": product_id, "order_items": sold.count()})


@require_GET
def margin(_request, product_id):
    """Breaks for a product without a price: the traceback that every log has."""
    product = Product.objects.get(pk=product_id)
    return JsonResponse({"product": product_id, "margin": float(100 / product.price)})


@require_GET
def prices(request):
    """What a supplier asks for the products that are cheap with us."""
    cheap = Product.objects.filter(price__lt=20).values("pk")
    entries = PriceListEntry.objects.filter(supplier=request.GET.get("supplier", ""), product_id__in=cheap)
    return JsonResponse({"entries": entries.count()})


@require_POST
def price_import(request):
    """Asks for an import of prices, which asks the supplier in the middle of a transaction."""
    try:
        seconds = float(read_json(request).get("seconds", 40))
    except (BadRequest, ValueError) as error:
        return bad_request(error)
    task = import_prices.apply_async((seconds,), priority=0)
    log.event("info", "task_enqueued", task_id=task.id, task_name=import_prices.name)
    return JsonResponse({"tasks": [task.id]}, status=202)

"""The products' API."""

from django.http import JsonResponse
from django.views.decorators.http import require_GET

from orders.models import OrderItem
from shop.events import get_log

from .models import Product

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

"""What beat asks for."""

from celery import shared_task
from django.core.cache import cache
from django.db.models import Sum

from shop.events import get_log

from .models import Product

log = get_log(__name__)


@shared_task(name="products.refresh_stock")
def refresh_stock():
    total = Product.objects.aggregate(total=Sum("stock"))["total"]
    cache.set("stock", total, 60)
    log.event("info", "stock_refreshed", total=total)
    return total

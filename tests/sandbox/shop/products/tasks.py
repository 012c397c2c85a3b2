"""What beat asks for."""

import time

from celery import shared_task
from django.core.cache import cache
from django.db import transaction
from django.db.models import F, Sum

from shop.events import get_log

from .models import Product

log = get_log(__name__)


@shared_task(name="products.refresh_stock")
def refresh_stock():
    total = Product.objects.aggregate(total=Sum("stock"))["total"]
    cache.set("stock", total, 60)
    log.event("info", "stock_refreshed", total=total)
    return total


@shared_task(name="products.import_prices")
def import_prices(seconds):
    """Changes a product, and then waits for the supplier with the row locked and the transaction open."""
    with transaction.atomic():
        Product.objects.filter(pk=7).update(price=F("price"))
        log.event("info", "supplier_asked")
        time.sleep(seconds)
    log.event("info", "prices_imported")

"""What happens to an order behind the request."""

import time

from celery import shared_task
from django.db.models import F, Sum

from products.models import Product
from shop.events import get_log

from .models import Order, OrderItem

log = get_log(__name__)


@shared_task(name="orders.reserve_stock")
def reserve_stock(order_id):
    items = list(OrderItem.objects.filter(order_id=order_id))
    for item in items:
        Product.objects.filter(pk=item.product_id).update(stock=F("stock") - item.quantity)
    log.event("info", "stock_reserved", order_id=order_id, items=len(items))
    # A child task: profile a carries the request's ID on into it.
    price_order.apply_async((order_id,), priority=3)
    return len(items)


@shared_task(name="orders.price_order")
def price_order(order_id):
    total = OrderItem.objects.filter(order_id=order_id).aggregate(total=Sum(F("price") * F("quantity")))["total"]
    Order.objects.filter(pk=order_id).update(total=total, status=Order.Status.PAID)
    log.event("info", "order_priced", order_id=order_id, total=str(total))
    return str(total)


@shared_task(name="orders.export_orders")
def export_orders():
    """Holds the whole export in memory. It fitted, once."""
    log.event("info", "export_started")
    rows = []
    for start in range(0, 10_000_000, 50_000):
        rows.append([f"{n};{'x' * 200}" for n in range(start, start + 50_000)])
        log.event("info", "export_progress", rows=start + 50_000)
    log.event("info", "export_finished", rows=sum(map(len, rows)))
    return len(rows)


@shared_task(name="orders.rebuild_index")
def rebuild_index(seconds):
    log.event("info", "index_started")
    time.sleep(seconds)
    log.event("info", "index_finished")

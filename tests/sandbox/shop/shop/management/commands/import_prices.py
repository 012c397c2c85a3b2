"""Takes a supplier's price list. The fault `crash-loop`: it does not survive a price with a comma."""

import csv
import decimal

from django.core.management.base import BaseCommand

from products.models import Product
from shop.events import get_log

log = get_log(__name__)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("file")

    def handle(self, *_args, file, **_options):
        log.event("info", "price_import_started", file=file)
        with open(file, newline="") as lines:
            for number, row in enumerate(csv.DictReader(lines), start=2):
                log.event("info", "price_read", line=number, sku=row["sku"], price=row["price"])
                Product.objects.filter(sku=row["sku"]).update(price=decimal.Decimal(row["price"]))
        log.event("info", "price_import_finished")

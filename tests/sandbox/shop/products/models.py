"""What is sold."""

from django.db import models


class Product(models.Model):
    sku = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=120)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    stock = models.IntegerField(default=0)

    class Meta:
        db_table = "shop_product"

    def __str__(self):
        return self.name


class PriceListEntry(models.Model):
    supplier = models.CharField(max_length=40, db_index=True)
    product_id = models.BigIntegerField()
    price = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        db_table = "shop_pricelistentry"

    def __str__(self):
        return f"{self.product_id} by {self.supplier}"

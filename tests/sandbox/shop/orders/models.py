"""Orders and what is in them. The tables keep the names they had when the shop was one app."""

from django.db import models


class Order(models.Model):
    class Status(models.TextChoices):
        NEW = "new"
        PAID = "paid"
        SHIPPED = "shipped"

    customer = models.ForeignKey("customers.Customer", on_delete=models.PROTECT)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.NEW)
    total = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "shop_order"

    def __str__(self):
        return f"order {self.pk}"


class OrderItem(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE)
    # No index: reports by product were never expected. They came, and they read the whole table.
    product = models.ForeignKey("products.Product", on_delete=models.PROTECT, db_index=False)
    quantity = models.PositiveIntegerField(default=1)
    price = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        db_table = "shop_orderitem"

    def __str__(self):
        return f"{self.quantity} of {self.product_id} in {self.order_id}"

"""Organisations, their customers, and the tokens with which people of an organisation call the API."""

from django.conf import settings
from django.db import models


class Organisation(models.Model):
    name = models.CharField(max_length=120, unique=True)

    class Meta:
        db_table = "shop_organisation"

    def __str__(self):
        return self.name


class Customer(models.Model):
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    name = models.CharField(max_length=120)
    email = models.EmailField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "shop_customer"

    def __str__(self):
        return self.name


class ApiToken(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT)
    token = models.CharField(max_length=64, unique=True)

    class Meta:
        db_table = "shop_apitoken"

    def __str__(self):
        return f"token of {self.user}"

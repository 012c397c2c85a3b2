"""Paths below /api/orders/."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.index),
    path("customers/", views.customers),
    path("ranking/", views.ranking),
    path("checkout/", views.checkout),
    path("newsletter/", views.newsletter),
    path("export/", views.export),
]

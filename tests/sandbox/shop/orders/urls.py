"""Paths below /api/orders/."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.index),
    path("checkout/", views.checkout),
    path("newsletter/", views.newsletter),
    path("export/", views.export),
]

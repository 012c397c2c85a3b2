"""Paths below /api/products/."""

from django.urls import path

from . import views

urlpatterns = [
    path("prices/", views.prices),
    path("import/", views.price_import),
    path("<int:product_id>/", views.detail),
    path("<int:product_id>/sales/", views.sales),
    path("<int:product_id>/margin/", views.margin),
]

"""Paths below /api/customers/."""

from django.urls import path

from . import views

urlpatterns = [
    path("<int:customer_id>/", views.detail),
    path("sync/", views.sync),
]

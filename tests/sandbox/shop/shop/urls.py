"""Every path that the shop answers."""

from django.urls import include, path

from . import health

urlpatterns = [
    path("api/health/", health.health),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("api/orders/", include("orders.urls")),
    path("api/products/", include("products.urls")),
    path("api/customers/", include("customers.urls")),
    path("", include("django_prometheus.urls")),
]

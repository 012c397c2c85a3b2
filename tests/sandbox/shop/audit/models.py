"""Who did what, when, for whom. Rows are only ever added: the application's role may neither change nor delete them."""

from django.db import models


class AuditEntry(models.Model):
    who = models.CharField(max_length=150)
    what = models.CharField(max_length=200)
    when = models.DateTimeField(auto_now_add=True, db_index=True)
    organisation = models.ForeignKey("customers.Organisation", null=True, on_delete=models.PROTECT)
    ip = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        db_table = "shop_auditentry"
        ordering = ["-when"]

    def __str__(self):
        return f"{self.who} {self.what}"


def record(request, what):
    """Adds the entry of a request."""
    from shop.middleware import client_ip

    return AuditEntry.objects.create(
        who=request.user.get_username() or "anonymous",
        what=what,
        organisation_id=request.organisation_id,
        ip=client_ip(request),
        request_id=request.request_id,
    )

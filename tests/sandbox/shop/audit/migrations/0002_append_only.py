"""The application's role may add entries and read them, and nothing else."""

from django.db import migrations

TABLE = "shop_auditentry"
ROLE = "shop_app"


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [
        migrations.RunSQL(
            f"REVOKE UPDATE, DELETE, TRUNCATE ON {TABLE} FROM {ROLE}",
            f"GRANT UPDATE, DELETE ON {TABLE} TO {ROLE}",
        ),
    ]

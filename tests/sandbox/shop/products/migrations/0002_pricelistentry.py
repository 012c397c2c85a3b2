"""What suppliers ask. Somebody has switched autovacuum off for the table while it was filled for the first time, and never on again."""

from django.db import migrations, models

TABLE = "shop_pricelistentry"


class Migration(migrations.Migration):
    dependencies = [("products", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="PriceListEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("supplier", models.CharField(db_index=True, max_length=40)),
                ("product_id", models.BigIntegerField()),
                ("price", models.DecimalField(decimal_places=2, max_digits=10)),
            ],
            options={"db_table": TABLE},
        ),
        migrations.RunSQL(f"ALTER TABLE {TABLE} SET (autovacuum_enabled = off)", f"ALTER TABLE {TABLE} RESET (autovacuum_enabled)"),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("routing", "0004_policy_versions")]

    operations = [
        migrations.RenameModel(old_name="RouterTurn", new_name="RouterLease"),
        migrations.AlterModelOptions(
            name="routerlease",
            options={"verbose_name": "router lease", "verbose_name_plural": "router leases"},
        ),
        migrations.AddField(
            model_name="routerlease",
            name="holder",
            field=models.CharField(blank=True, default="", max_length=100, verbose_name="holder"),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="routerlease",
            name="term",
            field=models.PositiveBigIntegerField(default=0, verbose_name="term"),
        ),
        migrations.AddField(
            model_name="routerlease",
            name="expires_at",
            field=models.DateTimeField(null=True, verbose_name="expires at"),
        ),
        migrations.AddField(
            model_name="routerlease",
            name="taken_at",
            field=models.DateTimeField(null=True, verbose_name="taken at"),
        ),
    ]

from django.db import models


class Medicine(models.Model):
    name = models.CharField(max_length=200)
    generic_name = models.CharField(max_length=200, blank=True)
    strength = models.CharField(max_length=50, blank=True)
    dosage_form = models.CharField(max_length=50, blank=True)
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)
    stock_quantity = models.IntegerField(default=0)
    reorder_level = models.IntegerField(default=10)

    def __str__(self):
        return self.name

    def move_stock(self, change, order):
        """Adds to the stock, or takes from it, and alerts where too little is left."""
        medicine = Medicine.objects.select_for_update().get(pk=self.pk)
        medicine.stock_quantity += change
        medicine.save()
        StockMovement.objects.create(medicine=medicine, order_number=order.order_number, change=change)
        if change < 0 and medicine.stock_quantity <= medicine.reorder_level:
            ReorderAlert.objects.get_or_create(medicine=medicine, is_resolved=False)


class StockMovement(models.Model):
    medicine = models.ForeignKey(Medicine, on_delete=models.CASCADE, related_name="movements")
    order_number = models.CharField(max_length=20)
    change = models.IntegerField()
    created_at = models.DateTimeField(auto_now_add=True)


class ReorderAlert(models.Model):
    medicine = models.ForeignKey(Medicine, on_delete=models.CASCADE, related_name="alerts")
    is_resolved = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

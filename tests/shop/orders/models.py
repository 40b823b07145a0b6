from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.utils import timezone

from inventory.models import Medicine


class Order(models.Model):
    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        CONFIRMED = "confirmed", "Confirmed"
        PROCESSING = "processing", "Processing"
        READY_FOR_PICKUP = "ready_for_pickup", "Ready for Pickup"
        SHIPPED = "shipped", "Shipped"
        DELIVERED = "delivered", "Delivered"
        CANCELLED = "cancelled", "Cancelled"
        RETURNED = "returned", "Returned"

    class PaymentStatus(models.TextChoices):
        PENDING = "pending", "Pending"
        PAID = "paid", "Paid"
        FAILED = "failed", "Failed"
        REFUNDED = "refunded", "Refunded"
        PARTIALLY_REFUNDED = "partially_refunded", "Partially Refunded"

    class DeliveryMethod(models.TextChoices):
        PICKUP = "pickup", "Pickup"
        DELIVERY = "delivery", "Delivery"

    # in which the medicines are not in the stock any more
    HOLDING_STOCK = (Status.CONFIRMED, Status.PROCESSING, Status.READY_FOR_PICKUP, Status.SHIPPED, Status.DELIVERED)
    STAMPS = {Status.CONFIRMED: "confirmed_at", Status.SHIPPED: "shipped_at", Status.DELIVERED: "delivered_at"}

    order_number = models.CharField(max_length=20, unique=True)
    sales_rep = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="orders"
    )
    customer_name = models.CharField(max_length=100)
    customer_phone = models.CharField(max_length=15, blank=True)
    customer_address = models.TextField(blank=True)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PENDING)
    payment_status = models.CharField(
        max_length=20, choices=PaymentStatus.choices, default=PaymentStatus.PENDING
    )
    subtotal = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    tax_amount = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    shipping_cost = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    discount_amount = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    total_amount = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    delivery_method = models.CharField(
        max_length=20, choices=DeliveryMethod.choices, default=DeliveryMethod.PICKUP
    )
    delivery_address = models.TextField(blank=True)
    delivery_instructions = models.TextField(blank=True)
    prescription_required = models.BooleanField(default=False)
    prescription_verified = models.BooleanField(default=False)
    prescription_image = models.FileField(upload_to="prescriptions/", null=True, blank=True)
    verified_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="verified_orders"
    )
    verified_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    shipped_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    customer_notes = models.TextField(blank=True)
    internal_notes = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["order_number"], name="orders_order_number_idx"),
            models.Index(fields=["sales_rep", "status"], name="orders_rep_status_idx"),
            models.Index(fields=["status", "created_at"], name="orders_status_created_idx"),
        ]

    def __str__(self):
        return self.order_number

    def before(self):
        """The order as the database has it, which nobody else changes until the transaction ends."""
        return Order.objects.select_for_update().filter(pk=self.pk).first() if self.pk else None

    def clean(self):
        before = Order.objects.filter(pk=self.pk).first() if self.pk else None
        self.refuse_unpaid_delivery(before)

    def refuse_unpaid_delivery(self, before):
        was_paid = before is not None and before.payment_status == self.PaymentStatus.PAID
        is_new_delivery = before is None or before.status != self.Status.DELIVERED
        if self.status == self.Status.DELIVERED and is_new_delivery and not was_paid:
            raise ValidationError("An order must be paid before it is delivered.")

    def save(self, *args, **kwargs):
        with transaction.atomic():
            before = self.before()
            self.refuse_unpaid_delivery(before)
            stamp = self.STAMPS.get(self.status)
            if stamp and (before is None or before.status != self.status):
                setattr(self, stamp, timezone.now())
            self.as_it_was = before
            super().save(*args, **kwargs)
            self.move_stock(before)

    def move_stock(self, before):
        held = before is not None and before.status in self.HOLDING_STOCK
        holds = self.status in self.HOLDING_STOCK
        if held == holds:
            return
        for item in self.items.select_related("medicine").order_by("medicine_id"):
            item.medicine.move_stock(-item.quantity if holds else item.quantity, self)


class OrderItem(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="items")
    medicine = models.ForeignKey(Medicine, on_delete=models.CASCADE)
    quantity = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    unit = models.CharField(max_length=20, default="boxes")
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)
    total_price = models.DecimalField(max_digits=10, decimal_places=2)
    prescription_notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        unique_together = [("order", "medicine")]


class OrderStatusHistory(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="history")
    old_status = models.CharField(max_length=20)
    new_status = models.CharField(max_length=20)
    old_payment_status = models.CharField(max_length=20)
    new_payment_status = models.CharField(max_length=20)
    notes = models.TextField(blank=True)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    changed_at = models.DateTimeField(auto_now_add=True)

    @classmethod
    def record(cls, order, user, notes=""):
        """Writes down what the last `save()` changed, and who did it."""
        before = order.as_it_was
        if before and (before.status, before.payment_status) != (order.status, order.payment_status):
            cls.objects.create(
                order=order,
                old_status=before.status,
                new_status=order.status,
                old_payment_status=before.payment_status,
                new_payment_status=order.payment_status,
                notes=notes,
                changed_by=user,
            )


class PaymentTransaction(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="transactions")
    kind = models.CharField(max_length=20)
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    created_at = models.DateTimeField(auto_now_add=True)


class Notification(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="notifications")
    message = models.CharField(max_length=200)
    is_read = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

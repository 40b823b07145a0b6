"""What follows from the change of an order that went through the model."""

from django.db.models.signals import post_save
from django.dispatch import receiver

from .models import Notification, Order, PaymentTransaction


@receiver(post_save, sender=Order)
def enter_payment(sender, instance, **kwargs):
    before = instance.as_it_was
    old, new = before.payment_status if before else None, instance.payment_status
    if old == new or new not in (Order.PaymentStatus.PAID, Order.PaymentStatus.REFUNDED):
        return
    PaymentTransaction.objects.create(order=instance, kind=new, amount=instance.total_amount)
    notify(instance, f"{instance.order_number}: payment {instance.get_payment_status_display()}")


@receiver(post_save, sender=Order)
def tell_of_status(sender, instance, **kwargs):
    before = instance.as_it_was
    if before and before.status != instance.status:
        notify(instance, f"{instance.order_number} is {instance.get_status_display()}")


def notify(order, message):
    if order.sales_rep_id:
        Notification.objects.create(user_id=order.sales_rep_id, order=order, message=message)

"""The dashboard's API as a Django shop has it before OnCare Live: seventeen aggregate queries and a count for each row.

It answers the requests of the load generator, which names a rep's session in a cookie; here the session's number is the
rep's id. `DATABASE_URL` is as the service's.
"""

import os
from urllib.parse import urlsplit

import django
from django.conf import settings

database = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": database.hostname,
            "PORT": database.port,
            "NAME": database.path.lstrip("/"),
            "USER": database.username,
            "PASSWORD": database.password or "",
            "CONN_MAX_AGE": None,
        }
    },
)
django.setup()

from django.core.paginator import Paginator  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import models  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

PAGE_SIZE = 20
STATUSES = {
    "pending": "Pending",
    "confirmed": "Confirmed",
    "processing": "Processing",
    "ready_for_pickup": "Ready for Pickup",
    "shipped": "Shipped",
    "delivered": "Delivered",
    "cancelled": "Cancelled",
    "returned": "Returned",
}
PAYMENT_STATUSES = {
    "pending": "Pending",
    "paid": "Paid",
    "failed": "Failed",
    "refunded": "Refunded",
    "partially_refunded": "Partially Refunded",
}
CARDS = {
    "pending_orders": "pending",
    "confirmed_orders": "confirmed",
    "processing_orders": "processing",
    "ready_orders": "ready_for_pickup",
    "shipped_orders": "shipped",
    "delivered_orders": "delivered",
    "cancelled_orders": "cancelled",
}
RANKS = ["pending", "processing", "confirmed", "ready_for_pickup", "shipped"]


class User(models.Model):
    username = models.CharField(max_length=150)
    role = models.CharField(max_length=20)
    is_active = models.BooleanField()

    class Meta:
        app_label = "bench"
        db_table = "accounts_user"
        managed = False


class Order(models.Model):
    order_number = models.CharField(max_length=20)
    sales_rep = models.ForeignKey(User, models.DO_NOTHING, null=True)
    customer_name = models.CharField(max_length=100)
    status = models.CharField(max_length=20, choices=STATUSES)
    payment_status = models.CharField(max_length=20, choices=PAYMENT_STATUSES)
    total_amount = models.DecimalField(max_digits=10, decimal_places=2)
    created_at = models.DateTimeField()

    class Meta:
        app_label = "bench"
        db_table = "orders_order"
        managed = False


class OrderItem(models.Model):
    order = models.ForeignKey(Order, models.DO_NOTHING, related_name="items")

    class Meta:
        app_label = "bench"
        db_table = "orders_orderitem"
        managed = False


def dashboard(request):
    rep = User.objects.get(pk=int(request.COOKIES["oncare_live_session"], 16), is_active=True, role="sales_rep")
    orders = Order.objects.filter(sales_rep=rep)
    statistics = {"total_orders": orders.count()}
    for card, status in CARDS.items():
        statistics[card] = orders.filter(status=status).count()
    paid = orders.filter(status="delivered", payment_status="paid")
    statistics["total_revenue"] = float(paid.aggregate(total=models.Sum("total_amount"))["total"] or 0)
    by_status = {
        status: {"name": name, "count": orders.filter(status=status).count()} for status, name in STATUSES.items()
    }
    rank = models.Case(
        *(models.When(status=status, then=place) for place, status in enumerate(RANKS)),
        default=len(RANKS),
        output_field=models.IntegerField(),
    )
    page = Paginator(orders.annotate(rank=rank).order_by("rank", "-created_at"), PAGE_SIZE).get_page(1)
    rows = [
        {
            "id": order.id,
            "order_number": order.order_number,
            "status": order.status,
            "status_display": order.get_status_display(),
            "payment_status": order.payment_status,
            "payment_status_display": order.get_payment_status_display(),
            "items_count": order.items.count(),
            "total_amount": float(order.total_amount),
            "created_at": order.created_at.isoformat(),
            "created_at_display": order.created_at.strftime("%b %d, %Y %H:%M"),
        }
        for order in page
    ]
    pagination = {
        "current_page": page.number,
        "total_pages": page.paginator.num_pages,
        "has_next": page.has_next(),
        "has_previous": page.has_previous(),
    }
    answer = {"statistics": statistics, "orders_by_status": by_status, "orders": rows, "pagination": pagination}
    return JsonResponse(answer)


urlpatterns = [path("orders/api/sales-rep/dashboard/", dashboard)]
application = get_wsgi_application()

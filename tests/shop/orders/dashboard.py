"""What the pages and the API show, as they always have: a query for each figure."""

from datetime import datetime

from django.core.paginator import Paginator
from django.db.models import Case, Count, IntegerField, Sum, Value, When
from django.utils import timezone

from .models import Order

PAGE_SIZE = 20
RANK = ["pending", "processing", "confirmed", "ready_for_pickup", "shipped"]


def day(text):
    """A day as the date fields send it; what is none does not limit the list."""
    try:
        return datetime.strptime(text or "", "%Y-%m-%d").date()
    except ValueError:
        return None


def listed(orders, query):
    """The list under the filter that the page's fields send."""
    status = query.get("status")
    first, last = day(query.get("date_from")), day(query.get("date_to"))
    if status:
        orders = orders.filter(status=status)
    if first:
        orders = orders.filter(created_at__date__gte=first)
    if last:
        orders = orders.filter(created_at__date__lte=last)
    if status:
        orders = orders.order_by("-created_at", "-id")
    else:
        whens = [When(status=code, then=Value(place)) for place, code in enumerate(RANK)]
        rank = Case(*whens, default=Value(len(RANK)), output_field=IntegerField())
        orders = orders.order_by(rank, "-created_at", "-id")
    return orders.annotate(items_count=Count("items"))


def page_of(orders, query):
    return Paginator(listed(orders, query), PAGE_SIZE).get_page(query.get("page"))


def statistics(orders):
    delivered = orders.filter(status="delivered")
    revenue = delivered.filter(payment_status="paid").aggregate(sum=Sum("total_amount"))["sum"]
    return {
        "total_orders": orders.count(),
        "pending_orders": orders.filter(status="pending").count(),
        "confirmed_orders": orders.filter(status="confirmed").count(),
        "processing_orders": orders.filter(status="processing").count(),
        "ready_orders": orders.filter(status="ready_for_pickup").count(),
        "shipped_orders": orders.filter(status="shipped").count(),
        "delivered_orders": delivered.count(),
        "cancelled_orders": orders.filter(status="cancelled").count(),
        "total_revenue": float(revenue or 0),
    }


def by_status(orders):
    return {code: {"name": name, "count": orders.filter(status=code).count()} for code, name in Order.Status.choices}


def row(order):
    return {
        "id": order.id,
        "order_number": order.order_number,
        "status": order.status,
        "status_display": order.get_status_display(),
        "payment_status": order.payment_status,
        "payment_status_display": order.get_payment_status_display(),
        "items_count": order.items_count,
        "total_amount": float(order.total_amount),
        "created_at": order.created_at.isoformat(),
        "created_at_display": timezone.localtime(order.created_at).strftime("%b %d, %Y %H:%M"),
    }

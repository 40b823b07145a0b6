"""The API that pages poll."""

from django.http import JsonResponse

from .dashboard import by_status, page_of, row, statistics
from .models import Order


def asked_by(request, is_allowed):
    """The refusal that a request gets, if any: an API never leads to the login."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "not signed in"}, status=401)
    if not is_allowed(request.user):
        return JsonResponse({"error": "not yours"}, status=403)
    return None


def sales_rep_dashboard(request):
    refusal = asked_by(request, lambda user: user.role == "sales_rep")
    if refusal:
        return refusal
    orders = Order.objects.filter(sales_rep=request.user)
    page = page_of(orders, request.GET)
    return JsonResponse(
        {
            "statistics": statistics(orders),
            "orders_by_status": by_status(orders),
            "orders": [row(order) for order in page],
            "pagination": {
                "current_page": page.number,
                "total_pages": page.paginator.num_pages,
                "has_next": page.has_next(),
                "has_previous": page.has_previous(),
            },
        }
    )


def pharmacist_dashboard(request):
    refusal = asked_by(request, lambda user: user.sees_all_orders)
    if refusal:
        return refusal
    orders = Order.objects.all()
    return JsonResponse(
        {
            "statistics": statistics(orders),
            "orders_by_status": by_status(orders),
            "recent_orders": [recent(order) for order in recent_orders()],
        }
    )


def recent_orders():
    return Order.objects.select_related("sales_rep").order_by("-created_at", "-id")[:10]


def recent(order):
    rep = order.sales_rep
    return {
        "id": order.id,
        "order_number": order.order_number,
        "customer_name": order.customer_name,
        "sales_rep": rep.get_username() if rep else None,
        "status": order.status,
        "status_display": order.get_status_display(),
        "payment_status": order.payment_status,
        "payment_status_display": order.get_payment_status_display(),
        "total_amount": float(order.total_amount),
        "created_at": order.created_at.isoformat(),
    }

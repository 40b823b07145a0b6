from django import forms
from django.contrib.auth.decorators import login_required, user_passes_test
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render

from .api import recent_orders
from .dashboard import by_status, page_of, statistics
from .models import Order, OrderStatusHistory

pharmacist_only = user_passes_test(lambda user: user.is_authenticated and user.sees_all_orders)


def visible_to(user):
    return Order.objects.all() if user.sees_all_orders else Order.objects.filter(sales_rep=user)


@login_required
def front(request):
    return render(request, "orders/front.html")


@login_required
def order_list(request):
    orders = Order.objects.filter(sales_rep=request.user)
    context = {
        "statistics": statistics(orders),
        "orders_by_status": by_status(orders),
        "page": page_of(orders, request.GET),
        "statuses": Order.Status.choices,
        "asked": {name: request.GET.get(name, "") for name in ("status", "date_from", "date_to")},
    }
    return render(request, "orders/order_list.html", context)


@login_required
def order_detail(request, order_id):
    order = get_object_or_404(visible_to(request.user), pk=order_id)
    return render(request, "orders/order_detail.html", {"order": order})


class CustomerForm(forms.ModelForm):
    class Meta:
        model = Order
        fields = ["customer_name", "customer_phone", "customer_address", "delivery_method", "customer_notes"]


class StatusForm(forms.ModelForm):
    class Meta:
        model = Order
        fields = ["status", "payment_status"]


def change(request, order, form_class, heading, notes):
    """Shows a form, and saves what it is sent as the shop's rules have it."""
    form = form_class(request.POST or None, instance=order)
    if request.method == "POST" and form.is_valid():
        OrderStatusHistory.record(form.save(), request.user, notes)
        return redirect(f"/orders/orders/{order.id}/")
    return render(request, "orders/form.html", {"order": order, "form": form, "heading": heading})


@login_required
def edit(request, order_id):
    order = get_object_or_404(visible_to(request.user), pk=order_id)
    if order.status != "pending" and not request.user.sees_all_orders:
        raise Http404
    return change(request, order, CustomerForm, "Edit", "")


@login_required
def cancel(request, order_id):
    order = get_object_or_404(visible_to(request.user), pk=order_id)
    if order.status not in ("pending", "confirmed"):
        raise Http404
    if request.method == "POST":
        order.status = "cancelled"
        order.save()
        OrderStatusHistory.record(order, request.user, "Cancelled")
        return redirect("/orders/orders/")
    return render(request, "orders/form.html", {"order": order, "form": forms.Form(), "heading": "Cancel"})


@pharmacist_only
def pharmacist_dashboard(request):
    context = {
        "statistics": statistics(Order.objects.all()),
        "orders_by_status": by_status(Order.objects.all()),
        "recent_orders": recent_orders(),
    }
    return render(request, "orders/pharmacist_dashboard.html", context)


@pharmacist_only
def pharmacist_order(request, order_id):
    order = get_object_or_404(Order, pk=order_id)
    return change(request, order, StatusForm, "Change status of", "By the pharmacy")

from django import template

register = template.Library()

STATUS_COLOURS = {
    "pending": "warning",
    "confirmed": "info",
    "processing": "info",
    "shipped": "info",
    "ready_for_pickup": "success",
    "delivered": "dark",
    "cancelled": "danger",
    "returned": "warning",
}
PAYMENT_COLOURS = {
    "paid": "success",
    "pending": "warning",
    "failed": "danger",
    "refunded": "secondary",
    "partially_refunded": "info",
}


@register.filter
def status_colour(status):
    return STATUS_COLOURS.get(status, "secondary")


@register.filter
def payment_colour(status):
    return PAYMENT_COLOURS.get(status, "secondary")


@register.simple_tag(takes_context=True)
def page_query(context, number):
    query = context["request"].GET.copy()
    query["page"] = number
    return query.urlencode()

from django.contrib import admin

from .models import Notification, Order, OrderItem, OrderStatusHistory, PaymentTransaction


class Items(admin.TabularInline):
    model = OrderItem
    extra = 0


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["order_number", "sales_rep", "status", "payment_status", "total_amount"]
    list_editable = ["status", "payment_status"]
    list_filter = ["status", "payment_status"]
    search_fields = ["order_number", "customer_name"]
    inlines = [Items]

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        OrderStatusHistory.record(obj, request.user, "In the admin")


admin.site.register([Notification, OrderStatusHistory, PaymentTransaction])

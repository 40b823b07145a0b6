from django.urls import path

from . import api, views

urlpatterns = [
    path("", views.front),
    path("orders/", views.order_list),
    path("orders/<int:order_id>/", views.order_detail),
    path("orders/<int:order_id>/edit/", views.edit),
    path("orders/<int:order_id>/cancel/", views.cancel),
    path("pharmacist/dashboard/", views.pharmacist_dashboard),
    path("pharmacist/orders/<int:order_id>/", views.pharmacist_order),
    path("api/sales-rep/dashboard/", api.sales_rep_dashboard),
    path("api/pharmacist/dashboard/", api.pharmacist_dashboard),
]

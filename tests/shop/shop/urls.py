from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.views import SignIn

urlpatterns = [
    path("", RedirectView.as_view(url="/orders/")),
    path("admin/", admin.site.urls),
    path("accounts/login/", SignIn.as_view()),
    path("accounts/logout/", LogoutView.as_view(next_page="/accounts/login/")),
    path("orders/", include("orders.urls")),
]

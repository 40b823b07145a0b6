from django.contrib.auth.views import LoginView


class SignIn(LoginView):
    """Leads to the shop's own front page, wherever somebody came from."""

    def get_success_url(self):
        return "/orders/"

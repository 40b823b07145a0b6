"""Names the person who is signed in to the database, for as long as the transaction of the request."""

from django.db import connection, transaction


class SaysWho:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        if request.method in ("GET", "HEAD", "OPTIONS") or not request.user.is_authenticated:
            return None
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("select set_config('app.user', %s, true)", [request.user.get_username()])
            return view(request, *args, **kwargs)

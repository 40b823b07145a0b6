"""Signs every user in at a Django: sessions as Django itself writes them, the user n's with the key n in 32 hexadecimal digits.

`DATABASE_URL` is as the service's, and `SECRET_KEY` is what they are signed with.
"""

import os
from datetime import timedelta
from urllib.parse import urlsplit

import django
from django.conf import settings

database = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    INSTALLED_APPS=["django.contrib.sessions"],
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": database.hostname,
            "PORT": database.port,
            "NAME": database.path.lstrip("/"),
            "USER": database.username,
            "PASSWORD": database.password or "",
        }
    },
)
django.setup()

from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.utils.crypto import salted_hmac  # noqa: E402

OF_PASSWORD = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"

call_command("migrate", verbosity=0)
with connection.cursor() as cursor:
    cursor.execute("select id, password from accounts_user")
    users = cursor.fetchall()


def session(user, password):
    data = {
        "_auth_user_id": str(user),
        "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
        "_auth_user_hash": salted_hmac(OF_PASSWORD, password, algorithm="sha256").hexdigest(),
    }
    encoded = SessionStore().encode(data)
    return Session(session_key=f"{user:032x}", session_data=encoded, expire_date=timezone.now() + timedelta(days=1))


Session.objects.bulk_create(session(user, password) for user, password in users)

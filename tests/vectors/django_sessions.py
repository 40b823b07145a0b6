#!/usr/bin/env python3
"""Makes django_sessions.json: session rows as Django itself writes them, and what Django itself says of them.

    ./django_sessions.py PYTHON... > django_sessions.json

Each PYTHON is an interpreter with some version of Django installed. Every row is written by `django.contrib.auth.login` to an
SQLite database in memory, and read again by `django.contrib.auth.get_user` with the keys of the case. Rows that only an attacker
or a mistake makes are put together below. Times and session keys differ from run to run, so that a new run changes every row.
"""

import json
import subprocess
import sys
import warnings

KEY = "present-key-(#1)-of-the-vectors-with-50-characters!"
OLD_KEY = "former-key-(#2)-of-the-vectors-with-50-characters!!"
OTHER_KEY = "a-key-that-never-signed-anything-of-these-vectors!!"
PASSWORD = "pbkdf2_sha256$1$saltsaltsalt$VTZdk8Km2da17X4U5HtygxdLLPIFYadEcduZLPYCOzg="


def main():
    if sys.argv[1:] == ["--these"]:
        return json.dump(vectors(), sys.stdout)
    parts = [json.loads(subprocess.check_output([python, __file__, "--these"])) for python in sys.argv[1:]]
    lines = [json.dumps(vector, sort_keys=True) for part in parts for vector in part]
    print("[\n" + ",\n".join(lines) + "\n]")


def vectors():
    warnings.simplefilter("ignore")
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY=KEY,
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    )
    django.setup()
    from django.contrib.auth import get_user, login
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.core.management import call_command
    from django.http import HttpRequest
    from django.test import override_settings

    call_command("migrate", verbosity=0)
    ana = User.objects.create(id=1, username="ana", password=PASSWORD)

    def keys(key=KEY, fallbacks=()):
        # a setting of that name is none before 4.1
        return override_settings(SECRET_KEY=key, **({"SECRET_KEY_FALLBACKS": list(fallbacks)} if fallbacks else {}))

    def row(key=KEY, user=ana, **others):
        """The data of the row of somebody who signs in while this is the key, with other things in the session."""
        with keys(key):
            request = HttpRequest()
            request.session = SessionStore()
            request.META = {}
            if user is not None:
                login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            request.session.update(others)
            request.session.save()
            return Session.objects.get(pk=request.session.session_key).session_data

    def read_by_django(data, key, fallbacks):
        """The id of the user that Django takes the row for."""
        import logging

        logging.disable(logging.CRITICAL)
        with keys(key, fallbacks):
            store = SessionStore()
            request = HttpRequest()
            request.session = store
            # nothing is to be written
            store.flush = store.cycle_key = lambda: None
            try:
                store._session_cache = store.decode(data)
                return get_user(request).pk
            except (TypeError, ValueError):
                # where others take a session for an empty one, 3.2 answers 500, and all do where it is no object
                return None

    found = []

    def case(name, data, key=KEY, fallbacks=(), password=PASSWORD, refusal=None):
        User.objects.filter(pk=1).update(password=password)
        user = read_by_django(data, key, fallbacks)
        User.objects.filter(pk=1).update(password=PASSWORD)
        if refusal is None or refusal == "pickle":
            assert user == 1, (django.get_version(), name, user)
        else:
            assert user is None, (django.get_version(), name, user)
        found.append(
            {
                "case": name,
                "django": django.get_version(),
                "fallbacks": list(fallbacks),
                "key": key,
                "password": password,
                "refusal": refusal,
                "session_data": data,
            }
        )

    def signed_with_json(payload, compress=False):
        from django.core import signing

        class Raw:
            def dumps(self, obj):
                return obj

        return signing.dumps(payload, salt=SessionStore().key_salt, serializer=Raw, compress=compress)

    plain = row()
    case("signed in", plain)
    case("much in the session, compressed", row(cart=[{"medicine": n % 7, "quantity": 1} for n in range(400)]))
    case("other scripts", row(name="Łucja Żółć 药 😀", note='"\\\n\u0000'))
    case("half a surrogate pair", row(note="\ud83d"))
    case("too little to be compressed", signed_with_json(uncompressed(SessionStore(), plain)))
    case("another key", plain, key=OTHER_KEY, refusal="wrong key")
    case("another password since", plain, password=PASSWORD + "x", refusal="not signed in")
    case("nobody signed in", row(user=None, cart=[1]), refusal="not signed in")
    case("tampered data", plain[:1] + ("A" if plain[1] != "A" else "B") + plain[2:], refusal="wrong key")
    case("tampered time", plain.replace(":", ":1", 1), refusal="wrong key")
    case("tampered signature", plain[:-2] + ("AA" if plain[-2:] != "AA" else "BB"), refusal="wrong key")
    case("nothing", "", refusal="wrong key")
    case("no signature", plain.rsplit(":", 2)[0], refusal="wrong key")
    case("no JSON", signed_with_json(b"{"), refusal="unreadable")
    case("no object", signed_with_json(b"[1]"), refusal="unreadable")

    import time

    now, time.time = time.time, lambda: 1_000_000_000
    case("signed in 2001", row())
    time.time = now

    if django.VERSION >= (4, 1):
        by_old = row(key=OLD_KEY)
        case("a former key", by_old, fallbacks=[OTHER_KEY, OLD_KEY])
        case("a former key that is none any more", by_old, fallbacks=[OTHER_KEY], refusal="wrong key")
        # written anew with the present key, by whatever changed the session, before anybody asked who it is
        resigned = SessionStore().encode(decoded(keys(OLD_KEY), SessionStore, by_old))
        case("a former key's hash under the present key's signature", resigned, fallbacks=[OLD_KEY])
        case("a forgotten key's hash under the present key's signature", resigned, refusal="not signed in")
    if django.VERSION < (5, 0):
        with override_settings(SESSION_SERIALIZER="django.contrib.sessions.serializers.PickleSerializer"):
            case("a pickle", row(), refusal="pickle")
    return found


def decoded(keys, store, data):
    with keys:
        return store().decode(data)


def uncompressed(store, data):
    return json.dumps(store.decode(data), separators=(",", ":")).encode()


if __name__ == "__main__":
    main()

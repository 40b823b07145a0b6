"""Does what it is told: a line of JSON is a piece of Python, which is carried out among the shop's models and answered with what it
left in `result`, or with the error. Whatever is not committed then is rolled back with the connection, which goes on otherwise."""

import json
import sys

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import connection, models, transaction
from django.utils import timezone


class Command(BaseCommand):
    def handle(self, **options):
        known = {model.__name__: model for model in apps.get_models()}
        known.update(connection=connection, transaction=transaction, timezone=timezone, F=models.F, Value=models.Value)
        for line in sys.stdin:
            try:
                names = dict(known)
                exec(json.loads(line), names)
                answer = {"result": names.get("result")}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer, default=str), flush=True)

from django.contrib import admin

from .models import Medicine, ReorderAlert, StockMovement

admin.site.register([Medicine, ReorderAlert, StockMovement])

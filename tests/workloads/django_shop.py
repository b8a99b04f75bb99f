"""A shop of Django with two mistakes: `list_books` asks the database once for each book, and `convert_currency` holds a
lock that all threads share while it waits."""
import threading
import time

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:shop?mode=memory&cache=shared"}},
    ROOT_URLCONF=__name__,
)
django.setup()

RATES = threading.Lock()


class Author(models.Model):
    name = models.TextField()

    class Meta:
        app_label = "shop"


class Book(models.Model):
    author = models.ForeignKey(Author, on_delete=models.CASCADE)

    class Meta:
        app_label = "shop"


with connection.schema_editor() as editor:
    editor.create_model(Author)
    editor.create_model(Book)
for number in range(60):
    Book.objects.create(author=Author.objects.create(name=f"author {number}"))


def list_books():
    return [book.author.name for book in Book.objects.all()]


def convert_currency():
    with RATES:
        time.sleep(0.05)


def shop(request):
    convert_currency()
    return HttpResponse("\n".join(list_books()))


urlpatterns = [path("", shop)]
application = get_wsgi_application()

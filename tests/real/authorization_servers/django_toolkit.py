"""django-oauth-toolkit: `django_toolkit.py REDIRECT_URI`, with the client `known`.

It prints its address, and ends when standard input does. It checks nothing before somebody is logged in.
"""

import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import include, path

settings.configure(
    SECRET_KEY="not a secret",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:memory?mode=memory&cache=shared"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    OAUTH2_PROVIDER={"SCOPES": {"read": "Read"}, "PKCE_REQUIRED": False},
    LOGIN_URL="/login",
)
django.setup()

from django.contrib.auth import login  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from oauth2_provider.models import Application  # noqa: E402


def sign_in(request):
    """A page to log in on, with one button."""
    if request.method == "GET":
        return HttpResponse('<h1>Log in</h1><form method="post"><button id="sign-in">Log in</button></form>')
    login(request, User.objects.get())
    return HttpResponseRedirect(request.GET["next"])


urlpatterns = [
    path("login", sign_in),
    path("", include("oauth2_provider.urls", namespace="oauth2_provider")),
]


class Silent(WSGIRequestHandler):
    """Requests are not written down."""

    def log_message(self, *_):
        pass


def main() -> None:
    call_command("migrate", verbosity=0)
    User.objects.create_user("alice")
    Application.objects.create(
        client_id="known",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris=sys.argv[1],
    )
    server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Silent)
    print(f"http://127.0.0.1:{server.server_port}/authorize/", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()

"""A provider of accounts on loopback, as far as OAuth2 goes: `provider.py PORT`.

Authorization code (with PKCE where the client wants it), refresh, device code; pages to sign in
and to consent that a browser can click through. Authlib decides what the RFCs decide.

The test rules it by lines of JSON: each line of standard input calls one function below that is
marked with `order`, `{"order": NAME, ...arguments}`, and one line of standard output answers. It
ends when standard input does.
"""

from dataclasses import dataclass, field
import json
import os
import secrets
import sys
import threading
import time

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.common.security import generate_token
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import ClientMixin, InvalidClientError, grants
from authlib.oauth2.rfc6749.util import extract_basic_authorization
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE,
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialDict,
)
from flask import Flask, Response, redirect, render_template_string, request, session, url_for
from markupsafe import Markup
from werkzeug.serving import WSGIRequestHandler, make_server

PORT = int(sys.argv[1])
HOST = "127.0.0.1"
# What a provider's console would have been told about a client of Home Assistant.
REDIRECTS = ("http://127.0.0.1:", "http://localhost:", "https://my.home-assistant.io/redirect/oauth")

app = Flask("provider", static_folder=None)
app.secret_key = secrets.token_hex()


@dataclass
class Client(ClientMixin):
    """A client as registered."""

    client_id: str
    client_secret: str

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope or ""

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri.startswith(memory.redirects)

    def check_client_secret(self, client_secret):
        return secrets.compare_digest(client_secret.encode(), self.client_secret.encode())

    def check_endpoint_auth_method(self, method, endpoint):
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in ("authorization_code", "refresh_token", DEVICE_CODE_GRANT_TYPE)


@dataclass
class Code:
    """A code handed out after consent."""

    client_id: str
    user: str
    redirect_uri: str
    scope: str
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope


@dataclass
class Token:
    """What was granted for a refresh token."""

    client_id: str
    user: str
    scope: str

    def check_client(self, client):
        return client.client_id == self.client_id

    def get_scope(self):
        return self.scope


@dataclass
class Memory:
    """All that the provider knows."""

    clients: dict[str, Client] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    devices: dict[str, DeviceCredentialDict] = field(default_factory=dict)
    decisions: dict[str, tuple[str, bool]] = field(default_factory=dict)
    log: list[dict] = field(default_factory=list)
    lifetime: int = 3600
    failure: int | None = None
    redirects: tuple[str, ...] = REDIRECTS


memory = Memory()


def query_client(client_id):
    """Find a client. One that is unknown is refused as one with a wrong secret is."""
    if client := memory.clients.get(client_id):
        return client
    # A browser would ask for a password on 401.
    status = 400 if request.endpoint == "authorize" else 401
    raise InvalidClientError(status_code=status, description="there is no such client")


def save_token(token, granted):
    """Remember a refresh token; access tokens are never shown to us again.

    As some providers do, we say whose token it is.
    """
    token["user_id"] = granted.user
    if refresh_token := token.get("refresh_token"):
        scope = token.get("scope", "")
        memory.tokens[refresh_token] = Token(granted.client.client_id, granted.user, scope)


class AuthorizationCode(grants.AuthorizationCodeGrant):
    """Codes after consent."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def save_authorization_code(self, code, request):
        payload = request.payload
        memory.codes[code] = Code(
            client_id=request.client.client_id,
            user=request.user,
            redirect_uri=payload.redirect_uri,
            scope=payload.scope,
            code_challenge=payload.data.get("code_challenge"),
            code_challenge_method=payload.data.get("code_challenge_method"),
        )
        return code

    def query_authorization_code(self, code, client):
        found = memory.codes.get(code)
        return found if found and found.client_id == client.client_id else None

    def delete_authorization_code(self, authorization_code):
        memory.codes = {k: v for k, v in memory.codes.items() if v is not authorization_code}

    def authenticate_user(self, authorization_code):
        return authorization_code.user


class RefreshToken(grants.RefreshTokenGrant):
    """Refresh tokens that stay valid."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def authenticate_refresh_token(self, refresh_token):
        return memory.tokens.get(refresh_token)

    def authenticate_user(self, refresh_token):
        return refresh_token.user

    def revoke_old_credential(self, refresh_token):
        pass


class DeviceCode(DeviceCodeGrant):
    """Codes that are typed in."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def query_device_credential(self, device_code):
        return memory.devices.get(device_code)

    def query_user_grant(self, user_code):
        return memory.decisions.get(user_code)

    def should_slow_down(self, credential):
        return False


class DeviceAuthorization(DeviceAuthorizationEndpoint):
    """Where device codes come from."""

    CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]
    INTERVAL = 1

    def get_verification_uri(self):
        return url_for("device", _external=True)

    def save_device_credential(self, client_id, scope, data):
        until = time.time() + data["expires_in"]
        memory.devices[data["device_code"]] = DeviceCredentialDict(
            client_id=client_id, scope=scope, **{**data, "expires_at": until}
        )


server = AuthorizationServer(app, query_client=query_client, save_token=save_token)
server.register_token_generator(
    "default",
    BearerTokenGenerator(
        access_token_generator=lambda **_: generate_token(42),
        refresh_token_generator=lambda **_: generate_token(48),
        expires_generator=lambda *_: memory.lifetime,
    ),
)
server.register_grant(AuthorizationCode, [CodeChallenge(required=False)])
server.register_grant(RefreshToken)
server.register_grant(DeviceCode)
server.register_endpoint(DeviceAuthorization)

PAGE = """<!doctype html>
<title>{{ title }}</title>
<h1>{{ title }}</h1>
<form method="post">{{ body }}</form>
"""
SIGN_IN = """<label>User <input name="user" value="alice"></label>
<button id="sign-in">Sign in</button>"""
CONSENT = """<p id="asked">{{ client }} asks {{ user }} for: {{ scope }}</p>
<button id="allow" name="decision" value="allow">Allow</button>
<button id="deny" name="decision" value="deny">Deny</button>"""
TYPE_IN = """<label>Code <input name="typed"></label> <button id="go-on">Go on</button>"""


def page(title, body, **values):
    """Render a page with one form, which posts to the address it came from."""
    inside = Markup(render_template_string(body, **values))
    return render_template_string(PAGE, title=title, body=inside)


def sign_in():
    """Send somebody unknown to the page where one says who one is."""
    return redirect(url_for("login", next=request.full_path))


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return page("Sign in", SIGN_IN)
    session["user"] = request.form["user"]
    return redirect(request.args["next"])


@app.route("/authorize", methods=["GET", "POST"])
def authorize():
    user = session.get("user")
    try:
        grant = server.get_consent_grant(end_user=user)
    except OAuth2Error as error:
        return server.handle_error_response(request, error)
    if user is None:
        return sign_in()
    if request.method == "GET":
        asked = grant.request.payload
        return page("Consent", CONSENT, client=asked.client_id, user=user, scope=asked.scope)
    allowed = request.form["decision"] == "allow"
    return server.create_authorization_response(grant=grant, grant_user=user if allowed else None)


@app.route("/device", methods=["GET", "POST"])
def device():
    user = session.get("user")
    if user is None:
        return sign_in()
    if typed := request.form.get("typed"):
        return redirect(url_for("device", user_code=typed))
    code = request.args.get("user_code")
    if code is None:
        return page("Link a device", TYPE_IN)
    asked = next((d for d in memory.devices.values() if d["user_code"] == code), None)
    if asked is None:
        return page("There is no such code", TYPE_IN), 404
    if request.method == "GET":
        scope, client = asked["scope"], asked["client_id"]
        return page("Consent", CONSENT, client=client, user=user, scope=scope)
    memory.decisions[code] = (user, request.form["decision"] == "allow")
    return page("You may close this page", "")


@app.post("/device/code")
def device_code():
    return logged("device", lambda: server.create_endpoint_response("device_authorization"))


@app.post("/token")
def token():
    return logged(request.form.get("grant_type"), server.create_token_response)


def logged(grant, answer):
    """Answer, and note who asked and how that went."""
    by_header = extract_basic_authorization(request.headers)
    by_form = request.form.get("client_id"), request.form.get("client_secret")
    client_id, client_secret = by_header if by_header[0] else by_form
    if memory.failure:
        response = Response('{"error": "server_error"}', memory.failure)
    else:
        response = answer()
    memory.log.append(
        {
            "grant": grant,
            "client_id": client_id,
            "client_secret": client_secret,
            "method": "basic" if by_header[0] else "post",
            "redirect_uri": request.form.get("redirect_uri"),
            "status": response.status_code,
            "error": json.loads(response.get_data(as_text=True)).get("error"),
        }
    )
    return response


class Silent(WSGIRequestHandler):
    """Requests are not written down but by us."""

    def log(self, type, message, *args):
        pass


class Public:
    """The listening side, which comes and goes."""

    def __init__(self):
        self.server = None

    def up(self):
        self.server = make_server(HOST, PORT, app, threaded=True, request_handler=Silent)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self):
        self.server.shutdown()
        self.server.server_close()


public = Public()
ORDERS = {}


def order(function):
    """Mark what the test may call."""
    ORDERS[function.__name__] = function
    return function


@order
def client(id, secret):
    """Register a client, or give it another secret."""
    memory.clients[id] = Client(id, secret)


@order
def redirects(prefixes):
    """Know these redirect URIs from now on, or all that Home Assistant may use."""
    memory.redirects = tuple(prefixes or REDIRECTS)


@order
def lifetime(seconds):
    """Let access tokens that are given from now on live so long."""
    memory.lifetime = seconds


@order
def forget():
    """Take back all that was granted."""
    memory.tokens.clear()


@order
def fail(status):
    """Answer every request for a token with this status, or properly again."""
    memory.failure = status


@order
def down():
    """Stop listening."""
    public.down()


@order
def up():
    """Listen again."""
    public.up()


@order
def log():
    """Tell of every request for a token so far."""
    return memory.log


def main():
    """Listen, and take orders."""
    public.up()
    print(json.dumps("up"), flush=True)
    for line in sys.stdin:
        arguments = json.loads(line)
        print(json.dumps(ORDERS[arguments.pop("order")](**arguments)), flush=True)


main()

"""Reads an installed Home Assistant: what its integrations do with application credentials.

    python facts.py            all facts, as JSON
    python facts.py --pins     the libraries from which addresses come, as the integrations pin them

To be run with the Python of that Home Assistant, and the libraries that `set_up` brings in the path.
Each platform `application_credentials` is loaded and asked for its implementation, and that is asked
for a link and a token: what it sends says more than its source. The config flows are read as source.
Libraries that are not there are replaced by empty ones; an address that would come from one is an error.
"""

import ast
import asyncio
from collections.abc import Iterator
import importlib
import importlib.abc
import importlib.machinery
import json
import logging
from pathlib import Path
import re
import sys
import types

from yarl import URL

from homeassistant import components, const
from homeassistant.helpers import aiohttp_client


class Asked(Exception):
    """A token endpoint was asked, with this."""


class Session:
    """Tells what is sent instead of sending it."""

    async def post(self, url, *, data=None, headers=None, auth=None, **_):
        raise Asked(str(url), dict(data), auth.encode() if auth else (headers or {}).get("Authorization", ""))


# Others take this function from its module as they are loaded.
aiohttp_client.async_get_clientsession = lambda *_, **__: Session()

from homeassistant.components.application_credentials import (  # noqa: E402
    AuthImplementation,
    ClientCredential,
)
from homeassistant.helpers.config_entry_oauth2_flow import LocalOAuth2Implementation  # noqa: E402

COMPONENTS = Path(components.__path__[0])
SITE_PACKAGES = COMPONENTS.parent.parent
OURS = ClientCredential("the-client-id", "the-client-secret", "The name")
AUTH_DOMAIN = "the-auth-domain"
BASE = "https://home.example"
# What Home Assistant's own steps lead to.
CONSENT = {"pick_implementation", "auth", "user"}
# What OAuth2 and PKCE want in a link.
OF_EACH_LINK = {
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "response_type",
    "state",
}
# The libraries that addresses come from, by integration.
LIBRARIES = {
    "google": "oauth2client",
    "neato": "pybotvac",
    "overkiz": "pyoverkiz",
    "miele": "pymiele",
    "tesla_fleet": "tesla-fleet-api",
    "senz": r"\w*senz",
    "vicare": "PyViCare",
    "volvo": "volvocarsapi",
    "withings": "aiowithings",
    "yolink": "yolink-api",
}


class Missing(type):
    """Something of a library that is not there: a class, so that others may inherit from it."""

    def __getattr__(cls, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        made = missing(name)
        setattr(cls, name, made)
        return made

    def __iter__(cls) -> Iterator:
        return iter(())

    def __or__(cls, other):
        return cls

    def __ror__(cls, other):
        return cls

    def __getitem__(cls, key):
        return cls

    def items(cls) -> Iterator:
        return iter(())


def missing(name: str) -> Missing:
    return Missing(name, (), {"__init__": lambda self, *_, **__: None})


class MissingModule(types.ModuleType):
    """A library that is not there."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        made = missing(name)
        setattr(self, name, made)
        return made


class Replacements(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what integrations and the libraries of `set_up` import, if its name ends so.

    Home Assistant's own libraries are whole; they look for others that they can do without.
    """

    def __init__(self, ending: str) -> None:
        self.ending = ending

    def find_spec(self, name: str, path, target=None):
        if not name.endswith(self.ending):
            return None
        frame = sys._getframe(1)
        while "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        importer = Path(frame.f_code.co_filename)
        if COMPONENTS in importer.parents or SITE_PACKAGES not in importer.parents:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return MissingModule(spec.name)

    def exec_module(self, module) -> None:
        pass


def tree_of(domain: str, name: str) -> ast.Module:
    """The source of a module of an integration."""
    path = COMPONENTS / domain / f"{name}.py"
    return ast.parse(path.read_text() if path.exists() else "")


def manifest_of(domain: str) -> dict:
    return json.loads((COMPONENTS / domain / "manifest.json").read_text())


def translations_of(domain: str) -> dict:
    return json.loads((COMPONENTS / domain / "translations/en.json").read_text())


def module_of(domain: str, module: str) -> types.ModuleType:
    """Loads a module without the integration itself, which would want all its libraries."""
    name = f"homeassistant.components.{domain}"
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [str(COMPONENTS / domain)]
        sys.modules[name] = package
    return importlib.import_module(f"{name}.{module}")


def platform_of(domain: str) -> types.ModuleType:
    return module_of(domain, "application_credentials")


def address(url, domain: str) -> str | None:
    """An address; none where it is made at run time."""
    if isinstance(url, Missing):
        raise SystemExit(f"{domain}: an address comes from a library that is not there: see LIBRARIES")
    return url or None


async def implementation_of(hass, domain: str):
    """What the platform makes of our credential; none where it needs to know more."""
    platform = platform_of(domain)
    if hasattr(platform, "async_get_auth_implementation"):
        return await platform.async_get_auth_implementation(hass, AUTH_DOMAIN, OURS)
    try:
        server = await platform.async_get_authorization_server(hass)
    except LookupError:
        return None
    return AuthImplementation(hass, AUTH_DOMAIN, OURS, server)


async def sent(made: LocalOAuth2Implementation) -> tuple[str, dict, str]:
    """What it sends to the token endpoint: address, form, header."""
    state = {"redirect_uri": f"{BASE}/auth/external/callback"}
    try:
        await made._async_refresh_token({"refresh_token": "token", **state})
    except Asked as asked:
        return asked.args
    raise SystemExit(f"{type(made).__name__} asks no token endpoint")


def added_by_flow(hass, domain: str, made: LocalOAuth2Implementation) -> dict:
    """What the config flow of a first account adds to the link.

    Nothing is known of it where that takes a library that is not there.
    """
    try:
        flow = object.__new__(getattr(module_of(domain, "config_flow"), Flow(domain).node.name))
        vars(flow).update(hass=hass, flow_impl=made, context={"source": "user"}, data={}, reauth_entry=None)
        return flow.extra_authorize_data
    except (AttributeError, TypeError):
        return {}


def authorize_parameters(link: str, added: dict) -> dict[str, str]:
    """What the link has beside what OAuth2 wants in each."""
    parameters = dict(URL(link).update_query(added).query)
    return {key: parameters[key] for key in sorted(parameters.keys() - OF_EACH_LINK) if parameters[key]}


async def client_facts(hass, domain: str) -> dict:
    """Who it is at its provider, and where that is."""
    made = await implementation_of(hass, domain)
    if made is None:
        return {}
    facts = {
        "authorize_url": address(made.authorize_url, domain),
        "token_url": address(made.token_url, domain),
    }
    if made.domain != AUTH_DOMAIN:
        facts["implementation"] = made.domain
    if made.client_id != OURS.client_id:
        facts["ignores_client"] = True
        made.client_id = OURS.client_id
    link = await made.async_generate_authorize_url("flow")
    facts["pkce"] = "code_challenge" in link
    facts["secret_in_authorize_url"] = OURS.client_secret in link
    if not facts["secret_in_authorize_url"] and "ignores_client" not in facts:
        facts["authorize_parameters"] = authorize_parameters(link, added_by_flow(hass, domain, made))
    url, form, header = await sent(made)
    if url != made.token_url:
        raise SystemExit(f"{domain}: asks {url}, not {made.token_url}")
    if header.startswith("Basic "):
        facts["client_auth"] = "basic"
    elif form.get("client_secret") != OURS.client_secret:
        facts["client_auth"] = "none"
    return facts


def words(node: ast.AST) -> Iterator[str]:
    """The texts in a part of the source."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


class Flow:
    """A config flow, as its source says."""

    def __init__(self, domain: str) -> None:
        self.constants = {}
        for name in ("const", "config_flow"):
            for node in tree_of(domain, name).body:
                if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Constant):
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    self.constants |= {ast.unparse(target): node.value.value for target in targets}
        flows = [
            node
            for node in tree_of(domain, "config_flow").body
            if isinstance(node, ast.ClassDef) and any(key.arg == "domain" for key in node.keywords)
        ]
        if len(flows) != 1:
            raise SystemExit(f"{domain}: {len(flows)} config flows")
        self.node = flows[0]
        self.methods = {
            node.name: node
            for node in self.node.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        }

    def text(self, node: ast.AST) -> str | None:
        if isinstance(node, ast.Constant):
            return node.value
        return self.constants.get(ast.unparse(node))

    def reached(self, *starts: str, stop: tuple[str, ...] = ()) -> set[str]:
        """The methods that are called, or come after a form or a menu."""
        found, left = set(), [name for name in starts if name in self.methods]
        while left:
            name = left.pop()
            if name in found or name in stop:
                continue
            found.add(name)
            called = {
                node.attr
                for node in ast.walk(self.methods[name])
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
            }
            for step, options in self.shown(name):
                called |= {f"async_step_{one}" for one in (step, *options)}
            left += called & self.methods.keys()
        return found

    def shown(self, name: str, of_all: bool = True) -> Iterator[tuple[str, list[str]]]:
        """The forms and menus of a method; only those that ask something unless `of_all`."""
        for node in ast.walk(self.methods[name]):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            keys = {key.arg: key.value for key in node.keywords}
            is_form, is_menu = (node.func.attr == f"async_show_{kind}" for kind in ("form", "menu"))
            if is_menu or (is_form and (of_all or "data_schema" in keys)):
                step = self.text(keys["step_id"]) if "step_id" in keys else None
                options = keys.get("menu_options", ast.List([]))
                yield step or name.removeprefix("async_step_"), list(words(options))

    def asks(self, *starts: str, stop: tuple[str, ...] = ()) -> list[str]:
        steps = {
            step
            for name in self.reached(*starts, stop=stop)
            for step, _ in self.shown(name, of_all=False)
        }
        return sorted(steps - CONSENT - {"reauth_confirm"} | (steps & {"user"}))

    def aborts(self, reason: str, *starts: str) -> bool:
        return any(reason in words(self.methods[name]) for name in self.reached(*starts, stop=OTHER))


AFTER = ("async_oauth_create_entry", "async_step_creation")
OTHER = ("async_step_reauth", "async_step_reconfigure", "async_step_reauth_confirm")


def flow_facts(domain: str) -> dict:
    """What its set-up asks and can."""
    flow = Flow(domain)
    start = "async_step_user"
    is_single = manifest_of(domain).get("single_config_entry", False)
    return {
        "needs_cloud": flow.aborts("cloud_not_enabled", start),
        "asks_before_consent": flow.asks(start, "async_step_auth", stop=(*AFTER, *OTHER)),
        "asks_after_consent": flow.asks(*AFTER, stop=OTHER),
        "reauth": "async_step_reauth" in flow.methods,
        "reconfigure": "async_step_reconfigure" in flow.methods,
        "one_account": is_single or flow.aborts("single_instance_allowed", start, *AFTER),
    }


def brings_client(domain: str) -> bool:
    """Whether it makes a credential of a client that is written in its source."""
    for name in ("__init__", "config_flow"):
        for node in ast.walk(tree_of(domain, name)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "ClientCredential":
                first = node.args[0] if node.args else node.keywords[0].value
                if isinstance(first, ast.Name) and first.id.isupper():
                    return True
    return False


async def console_of(hass, domain: str) -> str | None:
    """Where its provider hands out clients, where its dialog says so."""
    describe = getattr(platform_of(domain), "async_get_description_placeholders", None)
    if describe is None:
        return None
    said = {
        key: url
        for key, url in (await describe(hass)).items()
        if re.match(r"https://(?!my\.home-assistant\.io|www\.home-assistant\.io|YOUR_|home\.example)", url)
    }
    best = [url for key, url in said.items() if re.search("creds|applications|register_url", key)]
    return next(iter([*best, *said.values()]), None)


async def facts_of(hass, domain: str) -> dict:
    facts = {
        "name": manifest_of(domain)["name"],
        "console_url": await console_of(hass, domain),
        **await client_facts(hass, domain),
        "brings_client": brings_client(domain),
        **flow_facts(domain),
    }
    return {key: value for key, value in facts.items() if value}


def reasons_of(domain: str) -> dict[str, str | None]:
    """Why its set-up may end, each with Home Assistant's message, where it has one."""
    reasons = {
        key.value.value: None
        for key in ast.walk(Flow(domain).node)
        if isinstance(key, ast.keyword) and key.arg == "reason" and isinstance(key.value, ast.Constant)
    }
    return reasons | translations_of(domain).get("config", {}).get("abort", {})


async def read() -> dict:
    config = types.SimpleNamespace(components={"my"}, external_url=BASE, location_name="Home")
    hass = types.SimpleNamespace(config=config, data={"oauth2_jwt_secret": "secret"})
    domains = sorted(path.parent.name for path in COMPONENTS.glob("*/application_credentials.py"))
    return {
        "release": ".".join(const.__version__.split(".")[:2]),
        "integrations": {domain: await facts_of(hass, domain) for domain in domains},
        "reasons": {domain: reasons_of(domain) for domain in domains},
    }


def pins() -> Iterator[str]:
    """The libraries of the integrations; not newer than they pin, for a registry may lag behind."""
    for domain, library in LIBRARIES.items():
        if (COMPONENTS / domain / "application_credentials.py").exists():
            for pin in manifest_of(domain)["requirements"]:
                if re.match(rf"{library}\b", pin):
                    yield re.sub(r"(\[.*\])?==", "<=", pin)


def main() -> None:
    if sys.argv[1:] == ["--pins"]:
        print(*pins(), sep="\n")
        return
    logging.disable()
    # What was generated for protobuf needs that; else only what nobody else finds is replaced.
    sys.meta_path[:] = [Replacements("_pb2"), *sys.meta_path, Replacements("")]
    print(json.dumps(asyncio.run(read())))


main()

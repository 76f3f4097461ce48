"""An account linked by OAuth2, as Home Assistant's own integrations do it.

Five services are for tests: `flows` lists the set-ups that are open, also those that Home
Assistant does not list, `link` makes a config entry without a provider, `expire` lets its
token be out of date, `use` needs the token, as an integration does when it asks its provider,
`ask` asks for consent again while the account runs.
"""

from aiohttp import ClientError, ClientResponseError
import voluptuous as vol

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.exceptions import (
    ConfigEntryAuthFailed,
    ConfigEntryNotReady,
    HomeAssistantError,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.config_entry_oauth2_flow import (
    OAuth2Session,
    async_get_config_entry_implementation,
)

DOMAIN = "linked_account"
CONFIG_SCHEMA = cv.empty_config_schema(DOMAIN)

LINK_SCHEMA = vol.Schema(
    {vol.Required("domain"): str, vol.Required("auth_implementation"): str}
)
ENTRY_SCHEMA = vol.Schema({vol.Required("entry_id"): str})


async def async_setup(hass: HomeAssistant, config: dict) -> bool:
    """Offer the services."""
    sessions = hass.data.setdefault(DOMAIN, {})

    async def link(call: ServiceCall) -> dict:
        result = await hass.config_entries.flow.async_init(
            call.data["domain"],
            context={"source": "import"},
            data={"auth_implementation": call.data["auth_implementation"]},
        )
        return {"entry_id": result["result"].entry_id}

    async def flows(call: ServiceCall) -> dict:
        listed = hass.config_entries.flow.async_progress()
        open_flows = [flow for flow in listed if flow["handler"].startswith(DOMAIN)]
        return {"flows": [{"flow_id": flow["flow_id"]} for flow in open_flows]}

    async def expire(call: ServiceCall) -> None:
        entry = hass.config_entries.async_get_entry(call.data["entry_id"])
        token = entry.data["token"] | {"expires_at": 0}
        hass.config_entries.async_update_entry(entry, data={**entry.data, "token": token})

    async def use(call: ServiceCall) -> None:
        try:
            await sessions[call.data["entry_id"]].async_ensure_token_valid()
        except ClientError as err:
            raise HomeAssistantError("the provider gave no token") from err

    hass.services.async_register(
        DOMAIN, "link", link, LINK_SCHEMA, supports_response=SupportsResponse.ONLY
    )
    hass.services.async_register(
        DOMAIN, "flows", flows, vol.Schema({}), supports_response=SupportsResponse.ONLY
    )
    async def ask(call: ServiceCall) -> None:
        hass.config_entries.async_get_entry(call.data["entry_id"]).async_start_reauth(hass)

    hass.services.async_register(DOMAIN, "ask", ask, ENTRY_SCHEMA)
    hass.services.async_register(DOMAIN, "expire", expire, ENTRY_SCHEMA)
    hass.services.async_register(DOMAIN, "use", use, ENTRY_SCHEMA)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Make sure of a token that is valid."""
    implementation = await async_get_config_entry_implementation(hass, entry)
    session = OAuth2Session(hass, entry, implementation)
    try:
        await session.async_ensure_token_valid()
    except ClientResponseError as err:
        if 400 <= err.status < 500:
            raise ConfigEntryAuthFailed("the provider refused the refresh") from err
        raise ConfigEntryNotReady("the provider failed") from err
    except ClientError as err:
        raise ConfigEntryNotReady("the provider does not answer") from err
    hass.data[DOMAIN][entry.entry_id] = session
    return True


async def async_unload_entry(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Forget the session."""
    hass.data[DOMAIN].pop(entry.entry_id)
    return True

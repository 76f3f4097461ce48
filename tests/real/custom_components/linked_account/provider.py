"""Where the provider is: `linked_account.json` in the configuration folder says so.

It is read each time, so that a test may write it when its provider runs. Without it the addresses
are such that nobody answers.
"""

import json
from pathlib import Path

from homeassistant.components.application_credentials import AuthorizationServer
from homeassistant.core import HomeAssistant

NOBODY = "http://127.0.0.1:9"
DEFAULTS = {
    "authorize_url": f"{NOBODY}/authorize",
    "token_url": f"{NOBODY}/token",
    "device_url": f"{NOBODY}/device/code",
}


async def async_provider(hass: HomeAssistant) -> dict[str, str]:
    """Return the provider's addresses."""
    file = Path(hass.config.path("linked_account.json"))

    def read() -> dict[str, str]:
        return json.loads(file.read_text()) if file.exists() else {}

    return DEFAULTS | await hass.async_add_executor_job(read)


async def async_get_authorization_server(hass: HomeAssistant) -> AuthorizationServer:
    """Return the part of them that Home Assistant asks integrations for."""
    provider = await async_provider(hass)
    return AuthorizationServer(provider["authorize_url"], provider["token_url"])

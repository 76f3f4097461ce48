"""Takes application credentials, and gives all of them its own name."""

from pathlib import Path

from custom_components.linked_account.provider import async_get_authorization_server
from homeassistant.components.application_credentials import (
    AuthImplementation,
    ClientCredential,
)
from homeassistant.core import HomeAssistant

DOMAIN = Path(__file__).parent.name


async def async_get_auth_implementation(
    hass: HomeAssistant, auth_domain: str, credential: ClientCredential
) -> AuthImplementation:
    """Return the implementation."""
    server = await async_get_authorization_server(hass)
    return AuthImplementation(hass, DOMAIN, credential, server)

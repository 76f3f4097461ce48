"""Links an account, with a credential or by Home Assistant Cloud."""

from pathlib import Path

from custom_components.linked_account.flow import LinkedAccountFlow
from homeassistant.helpers.config_entry_oauth2_flow import LocalOAuth2Implementation

from .application_credentials import DOMAIN

ADDRESS = "http://127.0.0.1:9"


class Flow(LinkedAccountFlow, domain=DOMAIN):
    """Offers Home Assistant Cloud as well; ends at once where the file `full_moon` is."""

    DOMAIN = DOMAIN

    async def async_step_user(self, user_input: dict | None = None):
        """Begin."""
        if Path(self.hass.config.path("full_moon")).exists():
            places = {"planet": "Jupiter"}
            return self.async_abort(reason="full_moon", description_placeholders=places)
        cloud = LocalOAuth2Implementation(self.hass, "cloud", "cloud", "", ADDRESS, ADDRESS)
        self.async_register_implementation(self.hass, cloud)
        return await super().async_step_user(user_input)

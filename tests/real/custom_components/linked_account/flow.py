"""The part of the config flow that all linked accounts share."""

import logging
import time

from homeassistant.helpers.config_entry_oauth2_flow import AbstractOAuth2FlowHandler

LONG = 10 * 365 * 24 * 3600


class LinkedAccountFlow(AbstractOAuth2FlowHandler):
    """Links an account, or links it again when the provider refuses the token."""

    linked_before = None

    @property
    def logger(self) -> logging.Logger:
        """Return the log of this integration."""
        return logging.getLogger(__name__)

    @property
    def extra_authorize_data(self) -> dict:
        """Return what else the consent page is told."""
        return {"scope": "read offline_access"}

    async def async_step_import(self, link: dict):
        """Make an entry with a token that is never looked at."""
        token = {
            "access_token": "by hand",
            "refresh_token": "by hand",
            "token_type": "Bearer",
            "expires_in": LONG,
            "expires_at": time.time() + LONG,
        }
        return self.async_create_entry(title="Linked by hand", data={**link, "token": token})

    async def async_step_reauth(self, entry_data):
        """Begin to link again."""
        self.linked_before = self.hass.config_entries.async_get_entry(self.context["entry_id"])
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict | None = None):
        """Ask before going on."""
        if user_input is None:
            return self.async_show_form(step_id="reauth_confirm")
        return await self.async_step_user()

    async def async_oauth_create_entry(self, data: dict):
        """Keep the token."""
        if self.linked_before:
            return self.async_update_reload_and_abort(self.linked_before, data=data)
        return await self.async_keep(data)

    async def async_keep(self, data: dict):
        """Make the entry of a new link."""
        return self.async_create_entry(title=self.flow_impl.name, data=data)

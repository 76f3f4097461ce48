"""Links an account by a code that is typed in at the provider (RFC 8628)."""

import asyncio
import time

from homeassistant.helpers.aiohttp_client import async_get_clientsession

from custom_components.linked_account.flow import LinkedAccountFlow
from custom_components.linked_account.provider import async_provider

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


class Flow(LinkedAccountFlow, domain="linked_account_device"):
    """Shows a code and waits until it was typed in."""

    DOMAIN = "linked_account_device"

    device: dict | None = None
    waiting: asyncio.Task | None = None

    async def async_step_auth(self, user_input: dict | None = None):
        """Show the code while it is waited for."""
        if self.device is None:
            provider = await async_provider(self.hass)
            status, self.device = await self.ask(provider["device_url"], {"scope": "read"})
            if status != 200:
                return self.async_abort(reason="oauth_unauthorized")
            self.waiting = self.hass.async_create_task(self.wait(provider["token_url"]))
        if self.waiting.done():
            return self.async_show_progress_done(next_step_id="creation")
        return self.async_show_progress(
            step_id="auth",
            progress_action="exchange",
            description_placeholders={
                "url": self.device["verification_uri"],
                "user_code": self.device["user_code"],
            },
            progress_task=self.waiting,
        )

    async def async_step_creation(self, user_input: dict | None = None):
        """Keep the token, or say why there is none."""
        status, token = self.waiting.result()
        if status != 200:
            return self.async_abort(reason=token["error"])
        token["expires_at"] = time.time() + token["expires_in"]
        data = {"auth_implementation": self.flow_impl.domain, "token": token}
        return await self.async_oauth_create_entry(data)

    async def wait(self, token_url: str) -> tuple[int, dict]:
        """Ask for the token until there is one, or never will be."""
        question = {"grant_type": DEVICE_CODE, "device_code": self.device["device_code"]}
        while True:
            await asyncio.sleep(self.device["interval"])
            status, token = await self.ask(token_url, question)
            if token.get("error") not in ("authorization_pending", "slow_down"):
                return status, token

    async def ask(self, url: str, question: dict) -> tuple[int, dict]:
        """Ask the provider as the client that the credential names."""
        client = {
            "client_id": self.flow_impl.client_id,
            "client_secret": self.flow_impl.client_secret,
        }
        session = async_get_clientsession(self.hass)
        async with session.post(url, data={**client, **question}) as response:
            return response.status, await response.json()

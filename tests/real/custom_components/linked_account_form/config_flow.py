"""Links an account and asks one thing more."""

import voluptuous as vol

from custom_components.linked_account.flow import LinkedAccountFlow

HOMES = ["Cabin", "House", "Sold"]


class Flow(LinkedAccountFlow, domain="linked_account_form"):
    """Asks which home, after consent."""

    DOMAIN = "linked_account_form"

    data: dict

    async def async_keep(self, data: dict):
        """Keep the token till the question is answered."""
        self.data = data
        return await self.async_step_home()

    async def async_step_reconfigure(self, user_input: dict | None = None):
        """Begin to link again because somebody wants that."""
        self.linked_before = self.hass.config_entries.async_get_entry(self.context["entry_id"])
        return await self.async_step_user()

    async def async_step_home(self, user_input: dict | None = None):
        """Ask which home; one of them is refused."""
        errors = {}
        if user_input is not None:
            if user_input["home"] != "Sold":
                data = {**self.data, **user_input}
                return self.async_create_entry(title=user_input["home"], data=data)
            errors["home"] = "not_yours"
        schema = vol.Schema({vol.Required("home"): vol.In(HOMES), vol.Optional("nickname"): str})
        return self.async_show_form(step_id="home", data_schema=schema, errors=errors)

"""Links each account once."""

from custom_components.linked_account.flow import LinkedAccountFlow


class Flow(LinkedAccountFlow, domain="linked_account_several"):
    """Knows an account by what the provider calls it, as Home Assistant's own integrations do."""

    DOMAIN = "linked_account_several"

    async def async_keep(self, data: dict):
        """Make the entry of a new link, unless the account has one."""
        user = data["token"]["user_id"]
        await self.async_set_unique_id(user)
        self._abort_if_unique_id_configured()
        return self.async_create_entry(title=f"{user}@provider.example", data=data)

"""Several accounts linked by OAuth2 through one credential."""

from custom_components.linked_account import async_setup_entry, async_unload_entry

__all__ = ["async_setup_entry", "async_unload_entry"]

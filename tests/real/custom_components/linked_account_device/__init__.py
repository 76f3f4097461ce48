"""An account linked by OAuth2 with a code shown on a device."""

from custom_components.linked_account import async_setup_entry, async_unload_entry

__all__ = ["async_setup_entry", "async_unload_entry"]

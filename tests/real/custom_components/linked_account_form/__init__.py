"""An account linked by OAuth2, with one more question after consent."""

from custom_components.linked_account import async_setup_entry, async_unload_entry

__all__ = ["async_setup_entry", "async_unload_entry"]

"""Takes application credentials."""

from custom_components.linked_account.provider import async_get_authorization_server

__all__ = ["async_get_authorization_server"]

"""Takes application credentials."""

from .provider import async_get_authorization_server

__all__ = ["async_get_authorization_server"]

"""A linked account whose integration looks at no `auth_domain`, as withings and smartthings do.

A test copies this folder under the name of one of them, which then takes the place of Home
Assistant's own. It offers Home Assistant Cloud as well.
"""

from custom_components.linked_account import async_setup_entry, async_unload_entry

__all__ = ["async_setup_entry", "async_unload_entry"]

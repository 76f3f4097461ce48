"""Stands for Home Assistant Cloud, which some integrations want to be there."""

from homeassistant.core import HomeAssistant


async def async_setup(hass: HomeAssistant, config: dict) -> bool:
    """Do nothing."""
    return True

"""Links an account in the usual way."""

from .flow import LinkedAccountFlow


class Flow(LinkedAccountFlow, domain="linked_account"):
    """Nothing but consent."""

    DOMAIN = "linked_account"

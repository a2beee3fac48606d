"""Adding and changing agencies, domains, mailboxes and rights.

Every function works in the caller's transaction, writes its ledger event there, and returns the
Change; a Change without fields means that everything was already so. Not for the event loop.
"""

from mailgov.directory.change import Act, Change
from mailgov.directory.provisioning.agencies import add_agency, edit_agency, get_agency
from mailgov.directory.provisioning.app_passwords import (
    NewAppPassword,
    add_app_password,
    revoke_app_password,
)
from mailgov.directory.provisioning.domains import (
    add_domain,
    disable_domain,
    enable_domain,
    get_domain,
    remove_domain,
)
from mailgov.directory.provisioning.groups import (
    add_group,
    add_member,
    edit_group,
    remove_group,
    remove_member,
)
from mailgov.directory.provisioning.mailboxes import (
    NewMailbox,
    add_mailbox,
    get_mailbox,
    resume,
    set_password,
    suspend,
)
from mailgov.directory.provisioning.rights import (
    add_alias,
    grant_role,
    grant_send_as,
    remove_alias,
    revoke_delegation,
    revoke_role,
)
from mailgov.directory.provisioning.second_factor import reset_second_factor

__all__ = [
    "Act",
    "Change",
    "NewAppPassword",
    "NewMailbox",
    "add_agency",
    "add_alias",
    "add_app_password",
    "add_domain",
    "add_group",
    "add_mailbox",
    "add_member",
    "disable_domain",
    "edit_agency",
    "edit_group",
    "enable_domain",
    "get_agency",
    "get_domain",
    "get_mailbox",
    "grant_role",
    "grant_send_as",
    "remove_alias",
    "remove_domain",
    "remove_group",
    "remove_member",
    "reset_second_factor",
    "resume",
    "revoke_app_password",
    "revoke_delegation",
    "revoke_role",
    "set_password",
    "suspend",
]

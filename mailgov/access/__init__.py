"""Who may do what in which branch of the agency tree, and the fence that keeps them in it.

`roles` says what a role is for and how far it reaches, `fence` shows a session one branch alone,
`verbs` names the act that each command, page and call of the platform is.
"""

from mailgov.access.authority import LOCAL, Authority, authority_of, local_authority
from mailgov.access.fence import Fence, fence, fence_of, inside, sees, whole
from mailgov.access.roles import (
    ACTS,
    EVERYTHING,
    OPERATOR,
    Act,
    Role,
    Scope,
    branch,
    require,
    scope,
)
from mailgov.access.verbs import VERBS, act_of

__all__ = [
    "ACTS",
    "EVERYTHING",
    "LOCAL",
    "OPERATOR",
    "VERBS",
    "Act",
    "Authority",
    "Fence",
    "Role",
    "Scope",
    "act_of",
    "authority_of",
    "branch",
    "fence",
    "fence_of",
    "inside",
    "local_authority",
    "require",
    "scope",
    "sees",
    "whole",
]

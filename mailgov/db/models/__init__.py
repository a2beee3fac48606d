"""One file per noun. Importing this package registers every table with the metadata."""

from mailgov.db.models.absence import Absence, AbsenceAnswer
from mailgov.db.models.agency import Agency, AgencyPast
from mailgov.db.models.api import ApiRun, ApiToken
from mailgov.db.models.approval import Approval
from mailgov.db.models.document import TakenDocument
from mailgov.db.models.domain import DkimKey, Domain, DomainSuccession
from mailgov.db.models.event import EventRow
from mailgov.db.models.forward import Forward
from mailgov.db.models.greylist import Greylisted
from mailgov.db.models.group import GroupMember, GroupMode, GroupModerator
from mailgov.db.models.instance import Instance
from mailgov.db.models.job import Job, JobRow
from mailgov.db.models.mailbox import (
    Activation,
    Alias,
    Credential,
    Delegation,
    FormerAddress,
    Mailbox,
    OfficeKeepers,
    Told,
)
from mailgov.db.models.message import MessageRow, RecipientRow, VerdictRow
from mailgov.db.models.person import Person, Post
from mailgov.db.models.plan import PlannedAct
from mailgov.db.models.refusal import Refusal
from mailgov.db.models.reports import (
    DmarcResult,
    ReceivedReport,
    ReceivedRow,
    SentReport,
    TlsResult,
)
from mailgov.db.models.role import RoleGrant
from mailgov.db.models.sign_in import KnownPlace, RecoveryCode, SecondFactor, SignInFailure
from mailgov.db.models.sts_policy import StsPolicy
from mailgov.db.models.web import Draft, DraftFile, WebSession

__all__ = [
    "Absence",
    "AbsenceAnswer",
    "Activation",
    "Agency",
    "AgencyPast",
    "Alias",
    "ApiRun",
    "ApiToken",
    "Approval",
    "Credential",
    "Delegation",
    "DkimKey",
    "DmarcResult",
    "Domain",
    "DomainSuccession",
    "Draft",
    "DraftFile",
    "EventRow",
    "FormerAddress",
    "Forward",
    "Greylisted",
    "GroupMember",
    "GroupMode",
    "GroupModerator",
    "Instance",
    "Job",
    "JobRow",
    "KnownPlace",
    "Mailbox",
    "MessageRow",
    "OfficeKeepers",
    "Person",
    "PlannedAct",
    "Post",
    "ReceivedReport",
    "ReceivedRow",
    "RecipientRow",
    "RecoveryCode",
    "Refusal",
    "RoleGrant",
    "SecondFactor",
    "SentReport",
    "SignInFailure",
    "StsPolicy",
    "TakenDocument",
    "TlsResult",
    "Told",
    "VerdictRow",
    "WebSession",
]

"""What people and offices of an agency get unless their row says otherwise: as set nearest above."""

from sqlmodel import Session

from mailgov.db.models import Agency
from mailgov.directory.naming import DEFAULT_SCHEME, Scheme, require_scheme
from mailgov.directory.provisioning.agencies import ancestors

# Rule quota: 5 GiB for people, 20 GiB for offices.
QUOTA_MB = {
    "person": 5 * 1024,
    "office": 20 * 1024,
    "post": 5 * 1024,
    "shared": 20 * 1024,
    "group": 1,
}
_SET_BY = {
    "person": "person_quota_mb",
    "post": "person_quota_mb",
    "office": "office_quota_mb",
    "shared": "office_quota_mb",
}


def scheme_of(session: Session, agency: Agency) -> Scheme:
    """The address scheme of an agency: its own, else that of the nearest above that has one."""
    chosen = (one.address_scheme for one in ancestors(session, agency))
    return next((require_scheme(scheme) for scheme in chosen if scheme), DEFAULT_SCHEME)


def quota_of(session: Session, agency: Agency, kind: str) -> int:
    """MiB that a new mailbox of a kind gets in an agency."""
    column = _SET_BY.get(kind)
    if column is None:
        return QUOTA_MB[kind]
    chosen = (getattr(one, column) for one in ancestors(session, agency))
    return next((quota for quota in chosen if quota), QUOTA_MB[kind])

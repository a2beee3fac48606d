"""What SCIM shows of the directory: only what there is, so the schemas promise nothing else.

The staff number is externalId and employeeNumber, the agency's code is department.
"""

from typing import Annotated, Any

from pydantic import Field
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Extension,
    Filter,
    Mutability,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)
from scim2_models.resources.resource import AnyExtension

DEFAULT_PAGE, MOST_PAGE = 100, 500


class Name(ComplexAttribute):
    """A name as people write it, and its two parts: all but the last word, and the last."""

    formatted: str | None = None
    family_name: str | None = None
    given_name: str | None = None


class Email(ComplexAttribute):
    """The mailbox's own address."""

    value: Annotated[str | None, Mutability.read_only] = None
    type: Annotated[str | None, Mutability.read_only] = None
    primary: Annotated[bool | None, Mutability.read_only] = None


class PhoneNumber(ComplexAttribute):
    """The telephone on the staff list; there is one."""

    value: str | None = None
    type: str | None = Field(None, examples=["work"])


class User(Resource[AnyExtension]):
    """A person with a mailbox."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    external_id: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    name: Name | None = None
    display_name: str | None = None
    title: str | None = None
    active: bool | None = None
    emails: Annotated[list[Email] | None, Mutability.read_only] = None
    phone_numbers: list[PhoneNumber] | None = None


class Manager(ComplexAttribute):
    """Whoever leads somebody, by the id of their resource."""

    value: Annotated[str | None, CaseExact.true] = None
    ref: Annotated[Reference[User] | None, Mutability.read_only] = Field(  # type: ignore[type-arg]  # whatever its extensions
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    display_name: Annotated[str | None, Mutability.read_only] = None


class EnterpriseUser(Extension):
    """What the state knows of an official."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: Annotated[str | None, Mutability.immutable] = None
    department: Annotated[str | None, Required.true] = None
    manager: Manager | None = None


class GroupMember(ComplexAttribute):
    """A mailbox or group in a group. Branches of agencies in it are not shown, and stay."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[str | None, Mutability.read_only] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User", "Group"])
    display: Annotated[str | None, Mutability.read_only] = None


class Group(Resource[AnyExtension]):
    """One address for many mailboxes."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true] = None
    members: list[GroupMember] | None = None


class GroupAddress(Extension):
    """What a group has besides its name."""

    __schema__ = URN("urn:mailgov:scim:schemas:extension:1.0:Group")

    address: Annotated[str | None, Mutability.immutable, Required.true, Uniqueness.server] = None
    department: Annotated[str | None, Mutability.immutable, Required.true] = None


UserResource = User[Annotated[EnterpriseUser, Required.true]]
GroupResource = Group[Annotated[GroupAddress, Required.true]]

CONFIG = ServiceProviderConfig(
    documentation_uri=None,
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=MOST_PAGE),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=False),
    etag=ETag(supported=True),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Bearer",
            description="mailgov token add --command scim",
            spec_uri="https://www.rfc-editor.org/info/rfc6750",
            primary=True,
        )
    ],
)

# Personnel systems send more than we keep, and clear lists by value: neither is a reason to refuse.
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)

PROVIDER = ScimProvider(
    models=[User, EnterpriseUser, Group, GroupAddress],
    resource_types=[
        ResourceType.from_resource(UserResource),
        ResourceType.from_resource(GroupResource),
    ],
    config=CONFIG,
    policy=POLICY,
)

AnyResource = Resource[Any]

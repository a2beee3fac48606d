"""SCIM 2.0 as personnel systems use it, and as a conformance client finds it."""

import json
import random
from collections.abc import Iterator
from typing import Annotated, Any

import httpx2
import pytest
from pydantic import Field
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import (
    CaseExact,
    Extension,
    Mutability,
    Required,
    ResourceType,
    ScimProvider,
    Uniqueness,
)
from scim2_tester import Status, check_server
from sqlmodel import select

from mailgov.db.models import EventRow, Mailbox
from mailgov.scim.resources import CONFIG, POLICY, EnterpriseUser, Name, PhoneNumber, User

from .conftest import Site

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:mailgov:scim:schemas:extension:1.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture
def scim(site: Site) -> Iterator[httpx2.Client]:
    """A personnel system."""
    with site.client("scim", **{"Content-Type": "application/scim+json"}) as client:
        client.base_url = f"{site.url}/scim/v2"
        yield client


def person(local: str, number: str, name: str, **more: Any) -> dict[str, Any]:
    """A new official as a personnel system tells it."""
    own = {"employeeNumber": number, "department": "H99.02", **more.pop("official", {})}
    return {
        "schemas": [CORE, ENTERPRISE],
        "userName": f"{local}@sonoivu.tinhmau.test",
        "externalId": number,
        "name": {"formatted": name},
        ENTERPRISE: own,
        **more,
    }


def added(scim: httpx2.Client, *args: Any, **more: Any) -> dict[str, Any]:
    """Add somebody; the resource."""
    answer = scim.post("/Users", json=person(*args, **more))
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def patched(scim: httpx2.Client, where: str, *operations: dict[str, Any]) -> httpx2.Response:
    """Send operations."""
    return scim.patch(where, json={"schemas": [PATCH], "Operations": list(operations)})


def test_a_leaver_loses_access_at_once(site: Site, scim: httpx2.Client) -> None:
    one = added(scim, "giangdv", "VC-801", "Đỗ Văn Giang", title="Chuyên viên", nickName="G")
    assert one["name"] == {
        "formatted": "Đỗ Văn Giang", "familyName": "Đỗ Văn", "givenName": "Giang",
    }  # fmt: skip
    assert one["active"] is True
    where = f"/Users/{one['id']}"
    gone = patched(scim, where, {"op": "replace", "path": "active", "value": False})
    assert gone.json()["active"] is False
    with site.services.database.read() as session:
        box = session.exec(select(Mailbox).where(Mailbox.id == int(one["id"]))).one()
        assert (box.state, box.suspend_reason) == ("suspended", "SCIM")
        events = session.exec(select(EventRow).where(EventRow.mailbox == box.address)).all()
    verbs = [row.data["verb"] for row in events if row.kind == "directory.changed"]
    assert verbs == ["add", "suspend"]
    assert {row.actor.partition(" ")[2][:6] for row in events} == {"(token"}
    # As Microsoft Entra says it: no path, and a text where a truth is meant would be refused.
    back = patched(scim, where, {"op": "Replace", "value": {"active": True}})
    assert back.json()["active"] is True
    assert scim.delete(where).status_code == 204
    assert scim.get(where).status_code == 404
    with site.services.database.read() as session:
        assert session.get_one(Mailbox, int(one["id"])).state == "recalled"


def test_somebody_moves_marries_and_is_promoted(site: Site, scim: httpx2.Client) -> None:
    chief = added(scim, "hungnv", "VC-810", "Ngô Văn Hùng")
    one = added(
        scim, "hoapt", "VC-811", "Phạm Thị Hoa", official={"manager": {"value": chief["id"]}}
    )
    assert one[ENTERPRISE]["manager"]["displayName"] == "Ngô Văn Hùng"
    where = f"/Users/{one['id']}"
    moved = patched(
        scim,
        where,
        {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "H99.02.01"},
        {"op": "add", "path": "title", "value": "Phó Trưởng phòng"},
        {"op": "replace", "path": "name.familyName", "value": "Phạm Thị Thu"},
        {"op": "add", "path": 'phoneNumbers[type eq "work"].value', "value": "0912 345 678"},
        {"op": "remove", "path": f"{ENTERPRISE}:manager"},
    )
    told = moved.json()
    assert moved.status_code == 200, told
    assert told[ENTERPRISE] == {"employeeNumber": "VC-811", "department": "H99.02.01"}
    assert told["displayName"] == "Phạm Thị Thu Hoa"
    assert told["title"] == "Phó Trưởng phòng"
    assert told["phoneNumbers"][0]["value"] == "0912345678"
    replaced = scim.put(where, json=person("hoaptt", "VC-811", "Phạm Thị Thu Hoa"))
    assert replaced.json()["userName"] == "hoaptt@sonoivu.tinhmau.test"
    assert "title" not in replaced.json()
    with site.services.database.read() as session:
        changed = session.exec(select(EventRow).where(EventRow.kind == "directory.changed")).all()
    told_of = [row.data for row in changed if row.data["target"] == "VC-811"]
    assert ["VC-810", ""] in [row["changes"].get("manager") for row in told_of]


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"externalId": "VC-1", ENTERPRISE: {"employeeNumber": "VC-2"}}, 400, "invalidValue"),
        ({ENTERPRISE: {"department": "H99.77"}}, 400, "invalidValue"),
        ({ENTERPRISE: {}}, 400, "invalidValue"),
        ({"userName": "annv@sonoivu.tinhmau.test"}, 409, "uniqueness"),
        ({"userName": "ai.do@gmail.com"}, 400, "invalidValue"),
        ({"userName": None}, 400, "invalidValue"),
        ({"name": {"formatted": "X1"}}, 400, "invalidValue"),
        ({"schemas": ["urn:nothing"]}, 400, "invalidSyntax"),
    ],
)
def test_who_cannot_be_added_is_refused(
    scim: httpx2.Client, change: dict[str, Any], status: int, kind: str
) -> None:
    answer = scim.post("/Users", json={**person("ai", "VC-820", "Lê Văn Ai"), **change})
    told = answer.json()
    assert (answer.status_code, told["scimType"]) == (status, kind), told
    assert told["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert told["status"] == str(status)
    assert answer.headers["Content-Type"] == "application/scim+json"


def test_a_staff_number_stays(scim: httpx2.Client) -> None:
    one = added(scim, "khanhlt", "VC-830", "Lê Thị Khánh")
    answer = scim.put(f"/Users/{one['id']}", json=person("khanhlt", "VC-831", "Lê Thị Khánh"))
    assert (answer.status_code, answer.json()["scimType"]) == (400, "mutability")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ('userName eq "LOAN@sonoivu.tinhmau.test"', ["loan"]),
        ('externalId eq "VC-841"', ["long"]),
        (f'{ENTERPRISE}:employeeNumber eq "vc-840"', ["loan"]),
        ('externalId eq "vc-840"', []),
        ('displayName co "Văn L"', ["long", "luc"]),
        ('userName sw "l" and active eq true', ["loan", "long"]),
        ('userName sw "l" and not (active eq true)', ["luc"]),
        (f'userName sw "l" and {ENTERPRISE}:department eq "H99.02.01"', ["luc"]),
        ('userName eq "loan@sonoivu.tinhmau.test" or externalId eq "VC-842"', ["loan", "luc"]),
        ('emails[value eq "long@sonoivu.tinhmau.test"]', ["long"]),
        ('emails.value ew "%"', []),
        ('userName sw "l" and title pr', ["long"]),
    ],
)
def test_filters(scim: httpx2.Client, asked: str, found: list[str]) -> None:
    if not scim.get("/Users", params={"filter": 'externalId eq "VC-842"'}).json()["totalResults"]:
        added(scim, "loan", "VC-840", "Vũ Thị Loan")
        added(scim, "long", "VC-841", "Bùi Văn Long", title="Văn thư")
        added(
            scim, "luc", "VC-842", "Hà Văn Lực", active=False, official={"department": "H99.02.01"}
        )
    told = scim.get("/Users", params={"filter": asked}).json()
    assert [one["userName"].partition("@")[0] for one in told["Resources"]] == found
    searched = scim.post("/Users/.search", json={"filter": asked, "count": 1}).json()
    assert searched["totalResults"] == len(found)


@pytest.mark.parametrize(
    "asked",
    [
        "userName",
        'shoeSize eq "44"',
        "userName gt 5",
        'a eq "1" ' * 3,
        "(" * 3000,
        'active eq "x"',
        " or ".join(['userName eq "a"'] * 60),
    ],
    ids=range(7),
)
def test_filters_that_mean_nothing_are_refused(scim: httpx2.Client, asked: str) -> None:
    answer = scim.post("/Users/.search", json={"filter": asked})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


def test_pages_and_parts(scim: httpx2.Client) -> None:
    whole = scim.get("/Users").json()
    seen = []
    for start in range(1, whole["totalResults"] + 1):
        page = scim.get("/Users", params={"startIndex": start, "count": 1}).json()
        assert (page["itemsPerPage"], page["startIndex"]) == (1, start)
        seen += [one["id"] for one in page["Resources"]]
    assert seen == [one["id"] for one in whole["Resources"]]
    assert scim.get("/Users", params={"count": 0}).json().get("Resources") in (None, [])
    (part,) = scim.get("/Users", params={"count": 1, "attributes": "userName"}).json()["Resources"]
    assert set(part) == {"schemas", "id", "userName"}
    (rest,) = scim.get("/Users", params={"count": 1, "excludedAttributes": "name,emails"}).json()[
        "Resources"
    ]
    assert "name" not in rest
    assert "displayName" in rest


def test_who_changes_what_has_changed_is_told(scim: httpx2.Client) -> None:
    one = added(scim, "maitn", "VC-850", "Tô Ngọc Mai")
    where, version = f"/Users/{one['id']}", one["meta"]["version"]
    assert scim.get(where, headers={"If-None-Match": version}).status_code == 304
    title = {"op": "replace", "path": "title", "value": "Kế toán"}
    body = {"schemas": [PATCH], "Operations": [title]}
    first = scim.patch(where, json=body, headers={"If-Match": version})
    assert first.status_code == 200
    assert first.headers["ETag"] != version
    late = scim.patch(where, json=body, headers={"If-Match": version})
    assert late.status_code == 412
    assert scim.get(where, headers={"If-None-Match": version}).status_code == 200


def test_groups(scim: httpx2.Client) -> None:
    one, two = (
        added(scim, "nga", "VC-860", "Ma Thị Nga"),
        added(scim, "nam", "VC-861", "Ma Văn Nam"),
    )
    made = scim.post(
        "/Groups",
        json={
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", GROUP],
            "displayName": "Tổ công tác",
            "members": [{"value": one["id"]}],
            GROUP: {"address": "to-cong-tac@sonoivu.tinhmau.test", "department": "H99.02"},
        },
    )
    assert made.status_code == 201, made.text
    where = f"/Groups/{made.json()['id']}"
    more = patched(scim, where, {"op": "add", "path": "members", "value": [{"value": two["id"]}]})
    assert [member["display"] for member in more.json()["members"]] == ["Ma Thị Nga", "Ma Văn Nam"]
    asked = {"filter": f'members.value eq "{two["id"]}"'}
    assert scim.get("/Groups", params=asked).json()["totalResults"] == 1
    fewer = patched(scim, where, {"op": "remove", "path": f'members[value eq "{one["id"]}"]'})
    assert [member["value"] for member in fewer.json()["members"]] == [two["id"]]
    named = patched(scim, where, {"op": "replace", "path": "displayName", "value": "Tổ mới"})
    assert named.json()["displayName"] == "Tổ mới"
    nobody = patched(scim, where, {"op": "add", "path": "members", "value": [{"value": "99999"}]})
    assert (nobody.status_code, nobody.json()["scimType"]) == (400, "invalidValue")
    assert scim.delete(where).status_code == 204
    assert scim.get(where).status_code == 404


def test_tokens_and_branches(site: Site) -> None:
    headers = {"Content-Type": "application/scim+json"}
    statuses = {}
    for token in ("", "reader", "groups", "auditor", "chief", "narrow"):
        with site.client(token, **headers) as client:
            seen = client.get("/scim/v2/Users")
            new = client.post("/scim/v2/Users", json=person("la", "VC-870", "Kẻ Lạ"))
            statuses[token] = (seen.status_code, new.status_code)
            if token in ("chief", "narrow"):
                names = [one["userName"] for one in seen.json()["Resources"]]
                assert names == ["binhtv@xahoabinh.tinhmau.test"]
                assert client.get("/scim/v2/Users/1").status_code == 404
                assert client.delete("/scim/v2/Users/1").status_code == 404
    assert statuses == {
        "": (401, 401),
        "reader": (200, 403),
        "groups": (403, 403),
        "auditor": (200, 403),
        "chief": (200, 400),  # the agency is not there for them
        "narrow": (200, 400),
    }


def test_a_failed_change_changes_nothing(scim: httpx2.Client) -> None:
    one = added(scim, "oanhlt", "VC-880", "Lý Thị Oanh")
    where = f"/Users/{one['id']}"
    answer = patched(
        scim,
        where,
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "H99.77"},
    )
    assert answer.status_code == 400
    assert scim.get(where).json() == one


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"Operations": 5}', b"5"])
def test_bodies_that_mean_nothing_are_refused(scim: httpx2.Client, body: bytes) -> None:
    one = scim.get("/Users", params={"count": 1}).json()["Resources"][0]["id"]
    for answer in (
        scim.post("/Users", content=body),
        scim.put(f"/Users/{one}", content=body),
        scim.patch(f"/Users/{one}", content=body),
    ):
        assert answer.status_code == 400, answer.text
        assert json.loads(answer.content)["schemas"] == [
            "urn:ietf:params:scim:api:messages:2.0:Error"
        ]


# Conformance -----------------------------------------------------------------------------------

# The client makes up values; these are such as there can be. Seeded, no address comes twice.
PEOPLE = [
    f"{family} {middle} {given}"
    for family in ("Trần", "Lê", "Vũ", "Bùi")
    for middle in ("Văn", "Thị", "Ngọc")
    for given in ("An", "Bích", "Cường", "Dung", "Giang")
]
SAMPLES = 50_000


class SampledOfficial(Extension):
    """What a personnel system that knows little else would send."""

    __schema__ = EnterpriseUser.__schema__

    department: Annotated[str | None, Required.true] = Field(
        None, examples=["H99", "H99.02", "H99.02.01"]
    )


class SampledPhone(PhoneNumber):
    """A telephone number that there can be."""

    value: str | None = Field(None, examples=[f"0912{number:06}" for number in range(SAMPLES)])
    type: str | None = Field(None, examples=["work"])


class SampledUser(User[Any]):
    """An official that there can be; names are told in one form."""

    __schema__ = User.__schema__

    external_id: Annotated[str | None, Mutability.immutable, CaseExact.true, Required.true] = Field(
        None, examples=[f"HR-{number}" for number in range(SAMPLES)]
    )
    user_name: Annotated[str | None, Uniqueness.server, Required.true] = Field(
        None, examples=[f"hr{number}@tinhmau.test" for number in range(SAMPLES)]
    )
    name: Annotated[Name | None, Mutability.read_only] = None
    display_name: Annotated[str | None, Required.true] = Field(None, examples=PEOPLE)
    active: Annotated[bool | None, Required.true] = None
    title: str | None = Field(None, examples=["Chuyên viên", "Kế toán", "Văn thư"])
    phone_numbers: list[SampledPhone] | None = None


def test_a_conformance_client_finds_no_fault(site: Site) -> None:
    random.seed(7643)
    with site.client("scim") as http:
        http.base_url = f"{site.url}/scim/v2"
        client = SyncSCIMClient(http)
        client.provider = ScimProvider(
            models=[SampledUser, SampledOfficial],
            resource_types=[
                ResourceType.from_resource(SampledUser[Annotated[SampledOfficial, Required.true]])
            ],
            config=CONFIG,
            policy=POLICY,
        )
        results = check_server(client)
    wrong = [
        f"{one.title}: {one.reason}"
        for one in results
        if one.status in (Status.ERROR, Status.CRITICAL)
    ]
    assert wrong == []
    assert len(results) > 40

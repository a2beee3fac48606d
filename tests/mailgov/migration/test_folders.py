"""Names of folders elsewhere, and what they become here."""

import pytest

from mailgov.migration.folders import Listed, Namespaces, plan, readable


def listed(wire: str, *attributes: bytes, separator: str = "/") -> Listed:
    return Listed(frozenset(attributes), separator, wire)


def targets(*found: Listed, spaces: Namespaces | None = None) -> dict[str, str]:
    folders, _ = plan(found, (), spaces)
    return {folder.name: folder.target for folder in folders}


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        ("C&APQ-ng v&AQM-n", "Công văn"),
        ("Công văn", "Công văn"),  # UTF-8 as it stands
        ("R&AND-D", "R&AND-D"),  # not modified UTF-7 either
        ("A &- B", "A & B"),
        ("not &valid", "not &valid"),
    ],
)
def test_names_are_read_as_modified_utf_7_or_as_they_stand(wire: str, name: str) -> None:
    assert readable(wire) == name


def test_the_use_that_the_server_tells_decides() -> None:
    assert targets(
        listed("INBOX"),
        listed("Gesendet", b"\\sent"),
        listed("Sent Items"),
        listed("Papierkorb", b"\\trash", b"\\hasnochildren"),
    ) == {"INBOX": "INBOX", "Gesendet": "Sent", "Sent Items": "Sent Items", "Papierkorb": "Trash"}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("Sent Items", "Sent"),
        ("Deleted Items", "Trash"),
        ("Junk E-mail", "Junk"),
        ("Thư đã gửi", "Sent"),
        ("Các mục đã xóa", "Trash"),
        ("Thùng rác", "Trash"),
        ("Thư rác", "Junk"),
        ("Thư nháp", "Drafts"),
        ("LƯU TRỮ", "Archive"),
    ],
)
def test_known_names_have_a_use_where_the_server_tells_none(name: str, target: str) -> None:
    assert targets(listed(name)) == {name: target}


def test_prefix_and_separator_of_a_personal_space_go() -> None:
    spaces = Namespaces(("INBOX.",), ("user.", "shared."))
    found, left_out = plan(
        [
            listed("INBOX", separator="."),
            listed("INBOX.Sent", separator="."),
            listed("INBOX.C&APQ-ng v&AQM-n.2025", separator="."),
            listed("user.binh.INBOX", separator="."),
        ],
        ["INBOX.Sent"],
        spaces,
    )
    assert [(one.target, one.subscribed) for one in found] == [
        ("INBOX", False),
        ("Công văn/2025", False),
        ("Sent", True),
    ]
    assert left_out == ["user.binh.INBOX"]


def test_a_space_of_others_within_ones_own_is_left_out() -> None:
    _, left_out = plan(
        [listed("Other Users/binh"), listed("Mine")], (), Namespaces(("",), ("Other Users/",))
    )
    assert left_out == ["Other Users/binh"]


def test_signs_that_no_folder_may_have_become_hyphens_and_names_stay_apart() -> None:
    assert targets(
        listed("Báo cáo 11.2025", separator="|"),
        listed("Báo cáo 11-2025", separator="|"),
        listed("A/B|C*", separator="|"),
        listed("báo cáo 11-2025", separator="|"),
    ) == {
        "A/B|C*": "A-B/C-",
        "Báo cáo 11-2025": "Báo cáo 11-2025",
        "Báo cáo 11.2025": "Báo cáo 11-2025 (2)",
        "báo cáo 11-2025": "báo cáo 11-2025 (3)",
    }


def test_long_names_are_cut_at_a_letter() -> None:
    [target] = targets(listed("ộ" * 120)).values()
    assert len(target.encode()) <= 240
    assert set(target) == {"ộ"}


def test_views_and_folders_that_only_lead_to_others_are_not_copied() -> None:
    found, left_out = plan(
        [listed("[Gmail]", b"\\noselect"), listed("[Gmail]/All Mail", b"\\all"), listed("X")]
    )
    assert [one.name for one in found] == ["X"]
    assert left_out == ["[Gmail]/All Mail"]

"""Words that suggest that a mail is no work."""

import pytest

from mailgov.config import Limits
from mailgov.content import read_message
from mailgov.content.uses import improper_uses

from . import making


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Hãy chuyển tiếp thư này cho ít nhất 10 người để được may mắn.", ("chain-letter",)),
        ("Ai không gửi tiếp trong ba ngày sẽ gặp xui xẻo cả năm.", ("chain-letter",)),
        ("Forward this message to everyone you know", ("chain-letter",)),
        ("Hàng xách tay Nhật, inbox em báo giá ạ", ("trade",)),
        ("Shop nhận order bánh trung thu, miễn phí ship", ("trade",)),
        ("Soi cầu lô miền Bắc hôm nay", ("gambling",)),
        # Work that speaks of the same things.
        ("Đề nghị chuyển tiếp thư này cho phòng Kế toán để xử lý.", ()),
        ("Báo cáo thanh lý tài sản công năm 2026 và giải ngân vốn đầu tư công.", ()),
        ("Báo cáo tình hình tội phạm đánh bạc, lô đề, cá độ trên địa bàn.", ()),
        ("Kế hoạch kiểm tra hàng xách tay không rõ nguồn gốc tại sân bay.", ()),
        ("Cảnh báo thủ đoạn vay nhanh qua ứng dụng để lừa đảo.", ()),
        ("Đề nghị gửi thư này cho tất cả các đơn vị trực thuộc.", ()),
        ("", ()),
    ],
)
def test_uses(text: str, kinds: tuple[str, ...]) -> None:
    assert improper_uses([text]) == kinds


def test_what_is_quoted_is_not_the_writers() -> None:
    quoted = "Đề nghị xem xét, xử lý.\n> Hàng xách tay Nhật, inbox em báo giá ạ\n"
    assert read_message(making.message(quoted), Limits()).improper == ()
    own = read_message(making.message("Hàng xách tay Nhật, inbox em báo giá ạ"), Limits())
    assert own.improper == ("trade",)

"""Ranked bars as SVG: drawn on the server, readable without script and in print.

Names are long and units many, so bars lie down, are sorted, start at zero and carry their value.
"""

from decimal import Decimal
from html import escape

from mailgov.reports.engine import Line, Result
from mailgov.reports.render import column_title, line_name, value_text
from mailgov.texts import Language, words

MOST_BARS = 20
_ROW, _NAME, _BAR, _VALUE = 28, 300, 380, 120
_NAME_LETTERS = 40


def ranked_bars(result: Result, language: Language, *, target: int | None = None) -> str:
    """The headline column by line, greatest first. `target` is drawn as a line, for rates only.

    Empty when there is nothing to show. Colours come from the page's style sheet by class.
    """
    headline = next(c for c in result.definition.columns if c.key == result.definition.headline)
    shown = [line for line in result.lines if not line.hidden and _number(result, line) is not None]
    shown.sort(key=lambda line: (-(_number(result, line) or 0), line.key))
    left_out, shown = len(shown) - MOST_BARS, shown[:MOST_BARS]
    if not shown:
        return ""
    most = Decimal(100) if headline.kind == "rate" else max(_number(result, s) or 0 for s in shown)
    title = column_title(result, headline, language)
    rows = "".join(_bar(result, line, number, most, language) for number, line in enumerate(shown))
    height = _ROW * len(shown) + 8
    line = ""
    if target is not None and headline.kind == "rate":
        x = _NAME + _BAR * target / 100
        label = escape(f"{words(language, 'report.words.target')} {target} %")
        line = (
            f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}">'
            f"<title>{label}</title></line>"
        )
    note = ""
    if left_out > 0:
        more = words(language, "report.words.left_out", count=left_out)
        note = f'<text class="name" x="0" y="{height + 16}">{escape(more)}</text>'
        height += 24
    return (
        f'<svg class="bars" role="img" viewBox="0 0 {_NAME + _BAR + _VALUE} {height}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>{rows}{line}{note}</svg>'
    )


def _number(result: Result, line: Line) -> Decimal | None:
    value = line.values[result.definition.headline]
    return None if value is None else Decimal(value)


def _bar(result: Result, line: Line, number: int, most: Decimal | int, language: Language) -> str:
    value = _number(result, line) or Decimal(0)
    width = float(_BAR * value / most) if most else 0.0
    y = number * _ROW
    name = line_name(result, line, language)
    short = name if len(name) <= _NAME_LETTERS else name[: _NAME_LETTERS - 1] + "…"
    text = value_text(line.values[result.definition.headline], language)
    return (
        f"<g><title>{escape(name)}: {escape(text)}</title>"
        f'<text class="name" x="{_NAME - 8}" y="{y + 19}" text-anchor="end">{escape(short)}</text>'
        f'<rect class="bar" x="{_NAME}" y="{y + 5}" width="{width:.1f}" height="{_ROW - 10}"/>'
        f'<text class="value" x="{_NAME + width + 6:.1f}" y="{y + 19}">{escape(text)}</text></g>'
    )

"""Ranked bars, drawn on the server, readable without script, on a phone and in print.

Names are long and units many, so bars lie down, are sorted and start at zero. Name, bar and value
are text and drawing side by side, each in a place of its own: nothing can cross or cut a label.
"""

from decimal import Decimal
from html import escape

from mailgov.reports.engine import Line, Result
from mailgov.reports.render import column_title, line_name, value_text
from mailgov.texts import Language, words

MOST_BARS = 20
_HEIGHT, _GAP = 28, 5  # of a row and around its bar, in CSS pixels


def ranked_bars(result: Result, language: Language, *, target: int | None = None) -> str:
    """The headline column by line, greatest first. `target` is drawn as a line, for rates only.

    Empty when there is nothing to show. Colours and columns come from the page's style sheet.
    """
    headline = next(c for c in result.definition.columns if c.key == result.definition.headline)
    shown = [line for line in result.lines if not line.hidden and _number(result, line) is not None]
    shown.sort(key=lambda line: (-(_number(result, line) or 0), line.key))
    left_out, shown = len(shown) - MOST_BARS, shown[:MOST_BARS]
    if not shown:
        return ""
    is_rate = headline.kind == "rate"
    most = Decimal(100) if is_rate else max(_number(result, line) or 0 for line in shown)
    mark, notes = "", []
    if target is not None and is_rate:
        mark = _target(target)
        label = escape(f"{words(language, 'report.words.target')} {target} %")
        notes.append(f'<svg aria-hidden="true" width="12" height="16">{_target(50)}</svg> {label}')
    if left_out > 0:
        notes.append(escape(words(language, "report.words.left_out", count=left_out)))
    title = escape(column_title(result, headline, language))
    bars = "".join(_bar(result, line, most, mark, language) for line in shown)
    below = f'<p class="chart-notes">{" · ".join(notes)}</p>' if notes else ""
    return f'<ol class="bars" aria-label="{title}">{bars}</ol>{below}'


def _number(result: Result, line: Line) -> Decimal | None:
    value = line.values[result.definition.headline]
    return None if value is None else Decimal(value)


def _target(percent: int) -> str:
    place = f'x1="{percent}%" x2="{percent}%" y1="0" y2="100%"'
    return f'<line class="target-edge" {place}/><line class="target" {place}/>'


def _bar(result: Result, line: Line, most: Decimal | int, mark: str, language: Language) -> str:
    value = _number(result, line) or Decimal(0)
    width = float(100 * value / most) if most else 0.0
    text = value_text(line.values[result.definition.headline], language)
    return (
        f'<li><span class="name">{escape(line_name(result, line, language))}</span>'
        f'<svg aria-hidden="true" width="100%" height="{_HEIGHT}">'
        f'<rect class="bar" y="{_GAP}" width="{width:.1f}%" height="{_HEIGHT - 2 * _GAP}"/>'
        f'{mark}</svg><span class="value">{escape(text)}</span></li>'
    )

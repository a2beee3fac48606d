"""HTML mail made safe to show: allow-list, no remote content, no script, in a frame of its own.

nh3 parses as browsers do and writes out what it understood; styles are filtered here, because its
own filter looks at property names and lets `url()` in values through.
"""

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import nh3
import tinycss2
from tinycss2.ast import Declaration, Node

MAX_INPUT = 4 << 20  # letters; a longer body is shown as text
MAX_STYLE = 4096  # letters of one style attribute

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "center",
        "div",
        "dd",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tr",
        "ul",
    ]
)
_TAGS = _BLOCKS | frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "big",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "ins",
        "kbd",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
# What these hold is no text for people: it goes with them.
_DROPPED_WITH_CONTENT = frozenset(
    [
        "script",
        "style",
        "title",
        "noscript",
        "iframe",
        "frame",
        "frameset",
        "object",
        "embed",
        "applet",
        "svg",
        "math",
        "template",
        "textarea",
        "select",
        "option",
        "audio",
        "video",
        "canvas",
        "xml",
    ]
)
_SIZES = frozenset({"width", "height", "align", "valign", "bgcolor"})
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"style", "dir", "lang", "align", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height", "border"},
    "font": {"color", "face", "size"},
    "table": {*_SIZES, "border", "cellpadding", "cellspacing", "summary"},
    "tr": {*_SIZES},
    "td": {*_SIZES, "colspan", "rowspan", "nowrap"},
    "th": {*_SIZES, "colspan", "rowspan", "nowrap", "scope"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "li": {"value"},
}
_STYLES = frozenset(
    [
        "background-color",
        "border",
        "border-bottom",
        "border-collapse",
        "border-color",
        "border-left",
        "border-radius",
        "border-right",
        "border-spacing",
        "border-style",
        "border-top",
        "border-width",
        "color",
        "direction",
        "display",
        "font",
        "font-family",
        "font-size",
        "font-style",
        "font-variant",
        "font-weight",
        "height",
        "letter-spacing",
        "line-height",
        "list-style-type",
        "margin",
        "margin-bottom",
        "margin-left",
        "margin-right",
        "margin-top",
        "max-width",
        "min-width",
        "padding",
        "padding-bottom",
        "padding-left",
        "padding-right",
        "padding-top",
        "table-layout",
        "text-align",
        "text-decoration",
        "text-indent",
        "text-transform",
        "vertical-align",
        "white-space",
        "width",
        "word-break",
        "word-spacing",
        "word-wrap",
        "overflow-wrap",
    ]
)
_DISPLAYS = frozenset({"block", "inline", "inline-block", "list-item", "none", "table", "table-cell", "table-row"})  # fmt: skip
_FUNCTIONS = frozenset({"rgb", "rgba", "hsl", "hsla"})
_IMAGE_KINDS = ("image/png", "image/jpeg", "image/gif", "image/webp")
_LINK_SCHEMES = {"http", "https", "mailto", "tel"}
_LINK = re.compile(r"<a ([^<>]*)>(.*?)</a>", re.DOTALL)
_HREF = re.compile(r'href="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Sanitised:
    """A body that may be framed. `blocked` counts remote images that were left out."""

    html: str
    blocked: int = 0


@dataclass(slots=True)
class _Filter:
    """Decides each attribute of one mail. `images` are `data:` addresses by Content-ID."""

    images: Mapping[str, str]
    blocked: int = field(default=0)

    def __call__(self, _tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return _safe_style(value) or None
        if name == "src":
            return self._image(value)
        if name == "href":
            return _safe_link(value)
        # The serialiser leaves < and > in values as they are; tags must be findable in what it wrote.
        return value.replace("<", "‹").replace(">", "›")

    def _image(self, value: str) -> str | None:
        address = value.strip()
        if address.lower().startswith("cid:"):
            return self.images.get(address[4:].strip().strip("<>"))
        if address.lower().startswith(tuple(f"data:{kind};base64," for kind in _IMAGE_KINDS)):
            return re.sub(r"[^A-Za-z0-9+/=:;,-]", "", address)
        self.blocked += 1
        return None


def sanitise(source: str, images: Mapping[str, str] | None = None) -> Sanitised:
    """The body with nothing in it that runs, calls home or leaves its frame.

    Takes about 0.15 ms per KiB: long bodies belong in a thread. Raises ValueError when the body
    is too long to be treated; then its text is shown.
    """
    if len(source) > MAX_INPUT:
        raise ValueError("body too long")
    decide = _Filter(images or {})
    clean = nh3.clean(
        source,
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED_WITH_CONTENT),
        attributes=_ATTRIBUTES,
        attribute_filter=decide,
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=_LINK_SCHEMES | {"cid", "data"},
    )
    return Sanitised(_LINK.sub(_with_host, clean), decide.blocked)


def _safe_link(value: str) -> str | None:
    address = value.strip()
    try:
        scheme = urlsplit(address).scheme.lower()
    except ValueError:
        return None
    # `data:` is for images only; without a scheme it would lead to our own pages, or nowhere.
    return re.sub(r"[<>\s]", "", address) if scheme in _LINK_SCHEMES else None


def _with_host(found: re.Match[str]) -> str:
    """Name the host that a link really leads to, unless its words do."""
    href = _HREF.search(found[1])
    host = _host(html.unescape(href[1])) if href else ""
    if not host or _names(re.sub(r"<[^<>]*>", "", found[2]).lower(), host):
        return found[0]
    return f'<a data-host="{host}" {found[1]}>{found[2]}</a>'


def _names(words: str, host: str) -> bool:
    """Whether the words show the whole host, not as part of another one."""
    return re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", words) is not None


def _host(address: str) -> str:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return ""
    try:
        shown = host.encode("idna").decode("ascii")  # look-alike letters show as xn--
    except UnicodeError:
        return ""
    return shown if re.fullmatch(r"[a-z0-9.:-]+", shown) else ""


def _safe_style(value: str) -> str:
    """The declarations that only dress the text: no address, no function, no leaving the flow."""
    if len(value) > MAX_STYLE:
        return ""
    nodes = tinycss2.parse_blocks_contents(value, skip_comments=True, skip_whitespace=True)
    text = ";".join(
        f"{node.lower_name}:{tinycss2.serialize(node.value).strip()}"
        for node in nodes
        if isinstance(node, Declaration) and _is_safe(node)
    )
    return "" if "<" in text or ">" in text else text


def _is_safe(declaration: Declaration) -> bool:
    if declaration.lower_name not in _STYLES or not _are_plain(declaration.value):
        return False
    text = tinycss2.serialize(declaration.value).strip().lower()
    if declaration.lower_name == "display":
        return text in _DISPLAYS
    # Negative margins would draw one part of a mail over another; backslashes hide words.
    return "\\" not in text and not (declaration.lower_name.startswith("margin") and "-" in text)


def _are_plain(nodes: Iterable[Node]) -> bool:
    for node in nodes:
        if node.type == "function":
            if node.lower_name not in _FUNCTIONS or not _are_plain(node.arguments):
                return False
        elif node.type not in _PLAIN_TOKENS:
            return False
    return True


_PLAIN_TOKENS = frozenset(
    {"whitespace", "ident", "number", "percentage", "dimension", "hash", "literal", "string"}
)


def to_text(source: str) -> str:
    """The words of an HTML body for the plain view: blocks on lines of their own."""
    cut = source[:MAX_INPUT]
    marked = re.sub(rf"(?i)<(?:br|/?(?:{'|'.join(sorted(_BLOCKS))}))\b[^<>]*>", "\n", cut)
    plain = html.unescape(
        nh3.clean(marked, tags=set(), clean_content_tags=set(_DROPPED_WITH_CONTENT))
    )
    lines = (" ".join(line.split()) for line in plain.splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def framed(body: Sanitised, language: str) -> str:
    """The whole document of the frame, always a light sheet: senders count on it."""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="color-scheme" content="light"><title></title><style>'
        "html{background:#fff;color:#1b2430;font:16px/1.5 system-ui,'Segoe UI',Roboto,'Noto Sans',"
        "'Be Vietnam Pro',Arial,sans-serif;overflow-wrap:anywhere}body{margin:12px}"
        "img{max-width:100%;height:auto}table{max-width:100%}pre{white-space:pre-wrap}"
        "blockquote{margin:0 0 0 8px;padding-left:12px;border-left:3px solid #c3ccd6}"
        "a{color:#0b4f8a}a[data-host]::after{content:' [' attr(data-host) ']';color:#4a5666;"
        "font-size:.85em}"
        f"</style></head><body>{body.html}</body></html>"
    )

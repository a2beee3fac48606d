"""PowerPoint presentations since 2007: pptx (ECMA-376, part 1, 19)."""

from mailgov.content.extract.collector import Collector
from mailgov.content.extract.drawing import DrawingText
from mailgov.content.extract.package import ContentTypes, Package, Relationships
from mailgov.content.extract.xml_stream import Handler
from mailgov.content.runs import Extracted, Unreadable

_MAIN = ("presentationml.presentation.main+xml", "presentationml.slideshow.main+xml",
         "presentationml.template.main+xml", "presentation.macroEnabled.main+xml",
         "slideshow.macroEnabled.main+xml", "template.macroEnabled.main+xml")  # fmt: skip


def read_pptx(data: bytes) -> Extracted:
    """Runs of slides in order, with their diagrams, charts and notes. Places: `slide 2`, `notes 2`."""
    package = Package(data)
    main = ContentTypes(package).ending(*_MAIN)
    if not main:
        raise Unreadable("no presentation in the package")
    links = Relationships(package, main[0])
    order = _Order()
    package.walk(main[0], order)
    collector = Collector()
    slides = [links.targets[link] for link in order.slides if link in links.targets]
    for number, part in enumerate(dict.fromkeys(slides), start=1):
        package.walk(part, DrawingText(collector, f"slide {number}"))
        of_slide = Relationships(package, part).by_type
        for kind, label in (("diagramData", "slide"), ("chart", "slide"), ("notesSlide", "notes")):
            for extra in of_slide.get(kind, ()):
                package.walk(extra, DrawingText(collector, f"{label} {number}"))
    return collector.result()


class _Order(Handler):
    """The order of slides, as relationship ids."""

    def __init__(self) -> None:
        self.slides: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sldId":
            self.slides += [value for key, value in attributes.items() if key.endswith(":id")]

"""What is written about the platform is true of it."""

import ast
import re
from pathlib import Path

import pytest

from mailgov.reports import REPORTS

pytestmark = pytest.mark.source

ROOT = Path(__file__).parents[1]


def documents() -> list[Path]:
    hidden = {".venv", "node_modules", ".git"}
    return [p for p in ROOT.rglob("*.md") if not hidden & set(p.relative_to(ROOT).parts)]


def test_every_link_to_a_file_leads_somewhere() -> None:
    broken = []
    for document in documents():
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            if "://" not in target and not (document.parent / target).exists():
                broken.append(f"{document.relative_to(ROOT)}: {target}")
    assert broken == []


def test_the_readme_names_every_report_and_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [key for key in REPORTS if key not in readme] == []
    assert "make run" in readme
    assert "make test" in readme


def test_every_room_of_the_house_is_on_the_floor_plan() -> None:
    plan = (ROOT / "docs" / "flow.md").read_text("utf-8")
    rooms = [
        p.stem
        for p in (ROOT / "mailgov").iterdir()
        if p.suffix == ".py" or (p / "__init__.py").is_file()
    ]
    assert [room for room in rooms if room != "__init__" and room not in plan] == []


def test_public_functions_and_classes_say_what_they_mean() -> None:
    silent = []
    for package in ("mailgov", "policies", "cli", "webmail"):
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" in path.parts:
                continue
            tree = ast.parse(path.read_text("utf-8"))
            if ast.get_docstring(tree) is None and tree.body:
                silent.append(str(path.relative_to(ROOT)))
            for node in tree.body:
                if (
                    isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                    and not node.name.startswith("_")
                    and ast.get_docstring(node) is None
                ):
                    silent.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert silent == []

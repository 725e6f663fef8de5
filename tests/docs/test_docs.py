"""What the documentation shows works: Python blocks, cheap commands and doctests are executed."""

import ast
import doctest
import importlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "metamimo"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CHEAP_COMMANDS = {"list", "doctor", "cite"}


def python_blocks(text: str) -> list[Token]:
    """Fenced blocks with the info string `python`; `python no-run` marks one that is only to be read."""
    return [token for token in _fences(text) if token.info.split() == ["python"]]


def page_script(text: str) -> str:
    """All Python blocks of a page as one program, each on its own lines of the page, so tracebacks point into it."""
    lines = [""] * (text.count("\n") + 1)
    for block in python_blocks(text):
        assert block.map is not None
        first = block.map[0] + 1
        code = block.content.splitlines()
        lines[first : first + len(code)] = code
    return "\n".join(lines) + "\n"


def cheap_commands(text: str) -> list[str]:
    """`$ metamimo` lines of console blocks that answer at once and write nothing."""
    lines = [
        line.removeprefix("$ ").strip()
        for token in _fences(text)
        if token.info.split() == ["console"]
        for line in token.content.splitlines()
        if line.startswith("$ metamimo")
    ]
    return [line for line in lines if _is_cheap(shlex.split(line)[1:])]


def docstring_examples(path: Path) -> Iterator[tuple[str, int, str]]:
    """Name, line and text of every docstring with examples; read from the source, because decorators hide functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=True)
            if text is not None and ">>>" in text:
                yield getattr(node, "name", "module"), node.body[0].lineno - 1, text


def _fences(text: str) -> list[Token]:
    return [token for token in MarkdownIt("commonmark").parse(text) if token.type == "fence"]


def _is_cheap(arguments: list[str]) -> bool:
    return "--help" in arguments or (bool(arguments) and arguments[0] in CHEAP_COMMANDS)


def _module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _pages_with_python() -> list[Path]:
    return [page for page in PAGES if python_blocks(page.read_text(encoding="utf-8"))]


def _commands() -> list[str]:
    return sorted({command for page in PAGES for command in cheap_commands(page.read_text(encoding="utf-8"))})


def _doctests() -> list[pytest.ParameterSet]:
    return [
        pytest.param(path, line, text, id=f"{_module_name(path)}:{name}")
        for path in sorted(PACKAGE.rglob("*.py"))
        for name, line, text in docstring_examples(path)
    ]


def _reader_environment() -> dict[str, str]:
    """The tests' environment without the switch for 64 bits: a page must name it, or its reader meets the error."""
    return {name: value for name, value in os.environ.items() if name != "JAX_ENABLE_X64"}


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=_reader_environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", _pages_with_python(), ids=_page_id)
def test_page_runs_as_it_is_pasted(page: Path, tmp_path: Path) -> None:
    script = tmp_path / f"{page.stem}.md.py"
    script.write_text(page_script(page.read_text(encoding="utf-8")), encoding="utf-8")
    _run([sys.executable, str(script)], tmp_path)


@pytest.mark.parametrize("command", _commands())
def test_command_of_a_page_succeeds(command: str, tmp_path: Path) -> None:
    _, *arguments = shlex.split(command)
    _run([str(Path(sys.executable).with_name("metamimo")), *arguments], tmp_path)


@pytest.mark.parametrize(("path", "line", "text"), _doctests())
def test_docstring_example(path: Path, line: int, text: str) -> None:
    name = _module_name(path)
    namespace = dict(vars(importlib.import_module(name)))
    example = doctest.DocTestParser().get_doctest(text, namespace, name, str(path), line)
    report: list[str] = []
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, _ = doctest.DocTestRunner(optionflags=options).run(example, out=report.append)
    assert failed == 0, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_no_python_block_escapes_by_its_info_string(page: Path) -> None:
    allowed = {"python", "python no-run"}
    infos = [" ".join(token.info.split()) for token in _fences(page.read_text(encoding="utf-8"))]
    escaped = [info for info in infos if info.lower().startswith(("py", "{code", "ipython")) and info not in allowed]
    assert not escaped, f"only {sorted(allowed)} are known to the tests"


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_relative_links_lead_to_files(page: Path) -> None:
    blocks = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    inline = [child for block in blocks for child in block.children or []]
    links = [urlsplit(str(token.attrs.get("href") or token.attrs.get("src") or "")) for token in inline]
    local = [link.path for link in links if link.path and not link.scheme]
    assert not [path for path in local if not (page.parent / path).exists()]


def test_blocks_keep_their_line_numbers() -> None:
    text = (
        "# Page\n\n```python\nx = 1\n```\n\n```python no-run\nraise SystemExit\n```\n\n"
        "- in a list\n  ```python\n  y = x\n  ```\n"
    )
    script = page_script(text).splitlines()
    assert script[3] == "x = 1"
    assert script[12] == "y = x"
    assert "raise SystemExit" not in script


def test_only_cheap_commands_are_run() -> None:
    text = (
        "```console\n$ metamimo list\nsome output\n$ metamimo reproduce a/b\n$ metamimo reproduce --help\n```\n"
        "```text\n$ metamimo doctor\n```\n"
    )
    assert cheap_commands(text) == ["metamimo list", "metamimo reproduce --help"]


def test_the_front_page_has_a_runnable_example() -> None:
    assert ROOT / "README.md" in _pages_with_python()


def test_the_example_is_the_page_that_explains_it() -> None:
    page = (ROOT / "docs" / "own-surface.md").read_text(encoding="utf-8")
    blocks = "\n\n".join(token.content for token in python_blocks(page))
    assert (ROOT / "examples" / "own_surface.py").read_text(encoding="utf-8").split() == blocks.split()

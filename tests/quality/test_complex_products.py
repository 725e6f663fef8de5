"""Hot rooms send complex matrix products through `metamimo.linalg`: XLA's own are 3 to 5 times slower on a CPU."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "metamimo"
HOT_ROOMS = ("surfaces", "metrics", "precoders", "tuners", "schemes", "optimise")
PRODUCT_CALLS = {"einsum", "matmul", "tensordot", "dot"}
# Written behind a product that is real, or that NumPy does once on the host.
MARKS = ("# real product", "# host, once")


def unmarked_products(source: str) -> list[int]:
    """Line numbers of matrix products that no mark excuses."""
    lines = source.splitlines()

    def excused(node: ast.expr | ast.stmt) -> bool:
        return any(mark in line for line in lines[node.lineno - 1 : node.end_lineno] for mark in MARKS)

    return sorted(
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.BinOp | ast.AugAssign | ast.Call) and _is_product(node) and not excused(node)
    )


def _is_product(node: ast.BinOp | ast.AugAssign | ast.Call) -> bool:
    if isinstance(node, ast.Call):
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        return name in PRODUCT_CALLS
    return isinstance(node.op, ast.MatMult)


def _hot_files() -> list[Path]:
    return sorted(
        path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).with_suffix("").parts[0] in HOT_ROOMS
    )


@pytest.mark.parametrize("path", _hot_files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_products_go_through_linalg(path: Path) -> None:
    found = unmarked_products(path.read_text(encoding="utf-8"))
    assert not found, f"lines {found}: use metamimo.linalg.cmatmul, or mark the line with one of {MARKS}"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("c = a @ b", [1]),
        ("c = a @ b  # real product", []),
        ("c = np.einsum('ij,jk', a, b)", [1]),
        ("c = np.einsum(\n    'ij,jk',\n    a,  # host, once\n    b,\n)", []),
        ("a @= b", [1]),
        ("c = cmatmul(a, b)\nd = matmul(a, b)", [2]),
    ],
)
def test_checker_finds_products_and_respects_marks(source: str, lines: list[int]) -> None:
    assert unmarked_products(source) == lines

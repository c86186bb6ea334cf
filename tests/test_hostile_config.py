"""Files nobody should hand to a program: each is refused with its name and a reason, quickly, and never as a bug."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import UserError
from core.yaml_positions import parse_yaml, read_yaml
from jobs.wiring import open_hub

CONFIG = """\
organisation: {name: X, timezone: Europe/Berlin, currency: EUR}
accounts:
  hs: {vendor: hubspot, settings: {token: "${HS}"}}
lake: LAKE
ledger: state/ledger.db
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: b\x00", "not valid YAML"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deep"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: !!python/object/apply:os.system [id]\n", None),
    ],
)
def test_yaml_that_is_none_is_refused(text: str, reason: str | None) -> None:
    if reason is None:
        assert any("is not allowed" in line for line in parse_yaml(text, "config.yaml").lines())
        return
    with pytest.raises(UserError, match=reason) as refused:
        parse_yaml(text, "config.yaml")
    assert str(refused.value).startswith("config.yaml")


def test_a_file_of_megabytes_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("# " + "x" * 4_000_000)
    with pytest.raises(UserError, match="larger than"):
        read_yaml(path)


def test_a_lake_where_none_can_be_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.replace("LAKE", "ftp://host/lake"))
    with pytest.raises(UserError, match="the lake cannot be at ftp://") as refused, open_hub(path):
        pass
    assert "s3://" in refused.value.next_step

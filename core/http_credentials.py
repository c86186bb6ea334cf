"""The plainest credential: one key that goes into one header with every request and is never renewed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.http import Response


@dataclass(frozen=True)
class FixedKey:
    """`scheme` is what stands before the key in the header, such as "Bearer "."""

    header: str
    key: str
    scheme: str = ""

    def headers(self) -> Mapping[str, str]:
        return {self.header: f"{self.scheme}{self.key}"}

    def renew(self, send: Callable[..., Response]) -> bool:
        return False

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.key,)

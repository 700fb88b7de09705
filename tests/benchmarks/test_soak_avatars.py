"""The soak of avatars' outputs counts what arrives and ends with a verdict."""

from __future__ import annotations

import pytest
import soak_avatars
from soak import verdict

from rtrecon.outputs import ifacialmocap
from rtrecon.outputs.registry import make_output


def test_what_is_sent_arrives_while_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ifacialmocap, "_LISTEN_PORT", 0)  # any that is free
    with soak_avatars.Receivers(5) as receivers:
        outputs = [
            make_output(f"{name}://127.0.0.1:{port}")
            for name, port in zip(soak_avatars.FIVE, receivers.ports, strict=True)
        ]
        rows = soak_avatars.soak(outputs, receivers, 300, 3)
    assert [row.frames for row in rows] == [100, 200, 300]
    assert all(count > 0 for count in rows[0].received)
    assert len({row.descriptors for row in rows}) == 1
    assert len({row.threads for row in rows}) == 1
    assert verdict(rows) == []

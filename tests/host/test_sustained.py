"""Contenders that run alone: the order, what counts, and what is said (benchmarks/sustained.py)."""

import itertools
import sys

import pytest
import sustained
import torch
from bench_on_cpu import Peer, pretend

from barrow.bench.timing import Call


def test_every_contender_runs_forth_and_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, {})
    peers = [Peer("slow"), Peer("fast"), Peer("fast ahead")]
    found = iter([(200.0, 1500.0, 700.0), (100.0, 1400.0, 690.0), (110.0, 1400.0, 700.0), (210.0, 1500.0, 700.0)])

    def alone(calls: list[Call], seconds: float) -> sustained.Sustained:
        assert seconds == 0.5
        for call in calls:
            call()
        return sustained.Sustained(*next(found))

    monkeypatch.setattr(sustained, "alone", alone)
    monkeypatch.setattr(
        sustained, "contenders", lambda parts, folder, ahead: [p for p in peers if p.name.endswith("ahead") in ahead]
    )
    monkeypatch.setattr(sys, "argv", ["sustained.py", "--shape", "8x40x256", "--kernel", "any", "--seconds", "0.5"])
    sustained.main()
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["M", "=", "8,", "N", "=", "40,", "K", "=", "256"],
        ["us", "MHz", "W", "Mcycles", "mJ"],
        ["slow", "200.00", "1500", "700", "0.300", "140.0"],
        ["fast", "100.00", "1400", "690", "0.140", "69.0"],
        ["fast", "110.00", "1400", "700", "0.154", "77.0"],
        ["slow", "210.00", "1500", "700", "0.315", "147.0"],
    ]
    assert [peer.prepared for peer in peers] == [2, 2, 0]


def test_the_second_half_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, took = itertools.count(0.0, 0.25), itertools.count(1.0)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(sustained, "capture", lambda calls, launches: ("graph", launches))
    monkeypatch.setattr(sustained, "replay_us", lambda graph, launches: next(took))
    monkeypatch.setattr(torch.cuda, "clock_rate", lambda: 1500)
    monkeypatch.setattr(torch.cuda, "power_draw", lambda: 650_000)
    at = sustained.alone([lambda: None], 2.0)
    # Replays begin after 0.25, 0.5 ... 1.75 seconds; the fourth is the first in the second half.
    assert at == sustained.Sustained(5.5, 1500.0, 650.0)

"""The first call of a process: under 50 ms once torch has a context, no process spawned, nothing written."""

import json
from pathlib import Path

from fresh import run_fresh

LIMIT_MS = 50.0

# Python's own events come through the audit hook; what C++ does shows in the files the process holds open, in its
# children, and in the only folders it could write a cache to.
WATCHED = """
import json, os, resource, sys, time
import torch
import barrow
from barrow import launcher

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SPAWNING = ("subprocess.", "os.posix_spawn", "os.fork", "os.exec", "os.system", "os.spawn", "pty.spawn", "os.mkdir")
events = []

def hook(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & WRITING:
        events.append(f"open {args[0]} for writing")
    if event.startswith(SPAWNING):
        events.append(f"{event} {args}")

def written_fds():
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
            with open(f"/proc/self/fdinfo/{fd}") as info:
                flags = next(int(line.split()[1], 8) for line in info if line.startswith("flags"))
        except OSError:
            continue
        # Devices and anonymous memory are no files.
        is_file = target.startswith("/") and not target.startswith(("/dev/", "/memfd:"))
        if is_file and flags & os.O_ACCMODE != os.O_RDONLY:
            found.add(target)
    return found

def children():
    mine, found = os.getpid(), set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if int(stat.read().rpartition(")")[2].split()[1]) == mine:
                    found.add(pid)
        except OSError:
            continue
    # The largest child that has ended: zero as long as there was none.
    return found, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

def files_under(folder):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)

home = sys.argv[1]
shapes = [tuple(map(int, s.split("x"))) for s in sys.argv[2].split(",")]
calls = []
for m, n, k in shapes:
    a, b = (torch.zeros(rows, k, device="cuda").to(torch.float8_e4m3fn) for rows in (m, n))
    sa, sb = (torch.ones(-(-rows // size), -(-k // 128), device="cuda") for rows, size in ((m, 1), (n, 128)))
    calls.append((a, sa, b, sb, torch.empty(m, n, device="cuda", dtype=torch.bfloat16)))
x = torch.randn(64, 1024, device="cuda", dtype=torch.bfloat16)
torch.cuda.synchronize()

before = written_fds(), children(), files_under(home)
sys.addaudithook(hook)
ms = {}
for (m, n, k), (a, sa, b, sb, out) in zip(shapes, calls):
    start = time.perf_counter()
    barrow.fp8_gemm_nt(a, sa, b, sb, out=out)
    torch.cuda.synchronize()
    ms[f"gemm {m}x{n}x{k}"] = (time.perf_counter() - start) * 1e3
for quantize in (barrow.per_token_group_quant_fp8, barrow.per_block_quant_fp8):
    start = time.perf_counter()
    quantize(x)
    torch.cuda.synchronize()
    ms[quantize.__name__] = (time.perf_counter() - start) * 1e3
after = written_fds(), children(), files_under(home)

events_seen = list(events)
open(os.path.join(home, "planted"), "w").close()
print(json.dumps({
    "ms": ms,
    "events": events_seen,
    "fds": sorted(after[0] - before[0]),
    "children": [sorted(after[1][0] - before[1][0]), after[1][1] - before[1][1]],
    "files": sorted(set(after[2]) - set(before[2])),
    "hook_sees_a_planted_write": len(events) > len(events_seen),
    "walk_sees_a_planted_file": len(files_under(home)) > len(after[2]),
}))
"""

# Every N x K of DeepSeek-V3, from one row to thousands, and what needs padding.
SHAPES = "1x2112x7168,64x576x7168,128x24576x1536,300x4096x7168,512x7168x2048,4096x4096x7168,16x32768x512,33x77x1001"


def test_first_calls(tmp_path: Path) -> None:
    folders = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    seen = json.loads(run_fresh(WATCHED, str(tmp_path), SHAPES, env=folders).splitlines()[-1])
    assert seen["hook_sees_a_planted_write"]
    assert seen["walk_sees_a_planted_file"]
    assert seen["events"] == []
    assert seen["fds"] == []
    assert seen["children"] == [[], 0]
    assert seen["files"] == []
    slow = {name: round(ms, 1) for name, ms in seen["ms"].items() if ms >= LIMIT_MS}
    assert not slow, f"milliseconds of first calls, at most {LIMIT_MS}: {slow}"

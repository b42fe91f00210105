"""`barrow bench` and `barrow tune` on a command line: wrong arguments, no GPU, what they write."""

import builtins
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_on_cpu import H100, Peer, pretend

import barrow.deep_gemm
from barrow import cli
from barrow.bench import expert_layers, experts, grouped, providers, shapes
from barrow.bench import measure as bench_measure
from barrow.bench.grouped_problems import GroupedProblem
from barrow.bench.measure import Row
from barrow.cli import bench, bench_mixture, bench_report


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["bench", "--m", "0"], "argument --m: 0 is no whole number from 1 to 2^31 - 1"),
        (["bench", "--m", "x"], "argument --m: x is no whole number from 1 to 2^31 - 1"),
        (["bench", "--nk", "12"], "argument --nk: '12' is no N x K such as 2112x7168"),
        (["bench", "--shapes", "none"], "argument --shapes: invalid choice"),
        (["bench", "--against", "nobody"], "argument --against: invalid choice"),
        (["bench", "--l2", "hot"], "argument --l2: invalid choice"),
        (["bench", "--tp", "2"], "--tp needs --config"),
        (["bench", "--seed", "1"], "--seed needs --shapes unseen"),
        (["bench", "--seed", "1", "--serve-like"], "--seed needs --shapes unseen"),
        (["bench", "--shapes", "unseen", "--m", "4"], "--shapes unseen draws M too; leave --m out"),
        (["bench", "--shapes", "other", "--nk", "1x1"], "not allowed with argument --shapes"),
        (["bench", "--serve-like", "--nk", "1x1"], "not allowed with argument --serve-like"),
        (["bench", "--serve-like", "--l2", "warm"], "leave --l2 warm out"),
        (["bench", "--grouped", "--m", "4"], "--grouped has the M of DeepGEMM's tests; leave --m out"),
        (["bench", "--grouped", "--quant"], "--grouped has weights cold and says itself what it quantises"),
        (["bench", "--experts", "--l2", "warm"], "--experts has weights cold"),
        (["bench", "--experts", "--serve-like"], "not allowed with argument --experts"),
        (["bench", "--seed", "1", "--experts"], "--seed needs --shapes unseen"),
        (
            ["bench", "--config", "none.json"],
            "--config none.json: barrow.checkpoint: none.json cannot be read: [Errno 2] No such file",
        ),
        (["bench", "--out", "none/x.json"], "argument --out: there is no folder none"),
        (["bench", "--out", "."], "argument --out: . is a folder; name a file"),
        (["tune"], "the following arguments are required: --out"),
        (["tune", "--out", "none/x.json"], "argument --out: there is no folder none"),
        (["tune", "--out", "."], "argument --out: . is a folder; name a file"),
        (["tune", "--out", "x.json", "--tp", "2"], "--tp needs --config"),
        (["tune", "--out", "x.json", "--nk", "1y1"], "argument --nk: '1y1' is no N x K"),
        (["tune", "--out", "x.json", "--dtype", "f16"], "argument --dtype: invalid choice"),
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("command", ["bench", "tune"])
@pytest.mark.parametrize("locked", ["folder", "folder/x.json"])
def test_a_file_that_cannot_be_written_is_refused_at_once(
    command: str,
    locked: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "folder" / "x.json"
    out.parent.mkdir()
    out.touch()
    # Where tests run as root, no mode would lock it.
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path / locked)
    with pytest.raises(SystemExit, match="2"):
        cli.main([command, "--out", str(out)])
    assert f"argument --out: {tmp_path / locked} cannot be written; name a file elsewhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "barrow.checkpoint: {path} cannot be read: Expecting property name"),
        ("[]", "barrow.checkpoint: {path} is not a JSON object"),
        ("{}", "barrow.checkpoint: config has no hidden_size"),
        ('{"text_config": null, "hidden_size": 1024}', "barrow.checkpoint: config has no num_hidden_layers"),
        ('{"text_config": [1]}', "barrow.checkpoint: config: text_config is [1], not an object"),
        ("[" * 100_000, "barrow.checkpoint: {path} cannot be read: maximum recursion depth exceeded"),
    ],
)
def test_a_config_that_is_none(text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(SystemExit, match="2"):
        cli.main(["bench", "--config", str(path)])
    assert f"--config {path}: {told.replace('{path}', str(path))}" in capsys.readouterr().err


def test_json_is_utf_8_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, encoding="ascii": read(path, encoding))
    path = tmp_path / "config.json"
    path.write_text('{"_name_or_path": "Modèle"}', encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        cli.main(["bench", "--config", str(path)])
    assert "config has no hidden_size" in capsys.readouterr().err
    assert cli.main(["bench", "--plot", str(path)]) == 1
    assert "is no file of barrow bench" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["bench"], ["bench", "--serve-like"], ["bench", "--grouped"], ["bench", "--experts"], ["tune", "--out", "x.json"]],
    ids=" ".join,
)
def test_without_a_gpu_they_say_what_is_missing(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"barrow {arguments[0]}: it needs a Hopper GPU (H100, H200), but ")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> Peer:
    """Lets `barrow bench` run without a GPU, against one peer that takes half as long again."""
    peer = Peer("deep_gemm")
    pretend(monkeypatch, {"barrow": 2.0, "deep_gemm": 3.0})
    monkeypatch.setattr(bench, "this_machine", lambda: H100)
    found = [providers.Barrow(), peer]
    monkeypatch.setattr(bench, "providers", lambda peers, folder: (found, {"triton": "ImportError: none"}))
    return peer


def test_a_run_prints_a_table_and_writes_json_and_plots(
    on_cpu: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run.json"
    arguments = ["--nk", "40x256", "24x128", "--m", "1", "8", "--quant", "--rounds", "5", "--out", str(out)]
    assert cli.main(["bench", *arguments]) == 0
    text = capsys.readouterr().out
    assert "triton is left out: ImportError: none" in text
    assert text.count(" 1.50  ") == 4
    assert "M 1..8: " in text
    data = json.loads(out.read_text())
    assert data["machine"]["gpu"] == H100.gpu
    assert data["complete"]
    assert data["settings"] == {"cold": True, "quantise": True, "rounds": 5}
    assert {len(row["samples"]["barrow"]) for row in data["rows"]} == {5}
    assert [(r["m"], r["n"], r["k"]) for r in data["rows"]] == shapes.grid([(40, 256), (24, 128)], [1, 8])
    assert data["summary"][0]["fp8_best"]["geomean"] == pytest.approx(1.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-ratio.svg", "run-time.svg", "run.json"]
    # Drawn anew from the JSON, a plot is the same.
    before = (tmp_path / "run-time.svg").read_text()
    (tmp_path / "run-time.svg").unlink()
    assert cli.main(["bench", "--plot", str(out)]) == 0
    assert (tmp_path / "run-time.svg").read_text() == before


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_reports_what_it_has(
    stop: signal.Signals,
    on_cpu: Peer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure(*arguments: Any) -> Iterator[Row]:
        for count, row in enumerate(bench_measure.measure(*arguments)):
            if count == interrupted_at:
                signal.raise_signal(stop)
            yield row

    monkeypatch.setattr(bench, "measure", measure)
    out = tmp_path / "run.json"
    arguments = ["bench", "--nk", "40x256", "24x128", "--m", "1", "8", "--out", str(out)]
    interrupted_at = 3
    assert cli.main(arguments) == 130
    text = capsys.readouterr().out
    assert "interrupted after 3 rows" in text
    assert "M 1..8: " in text
    data = json.loads(out.read_text())
    assert (data["complete"], len(data["rows"])) == (False, 3)
    assert (tmp_path / "run-time.svg").is_file()
    out.unlink()
    interrupted_at = 0
    assert cli.main(arguments) == 130
    assert capsys.readouterr().err == "\nbarrow bench: interrupted before anything was measured\n"
    assert not out.exists()


def test_plots_that_are_interrupted_can_be_drawn_later(
    on_cpu: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run.json"
    with monkeypatch.context() as patch:
        patch.setattr("barrow.bench.plot.draw", lambda data, path: signal.raise_signal(signal.SIGTERM))
        assert cli.main(["bench", "--nk", "40x256", "--m", "1", "--out", str(out)]) == 130
    told = f"barrow bench --plot {out}"
    assert capsys.readouterr().err == f"\nbarrow bench: interrupted; {told} draws the plots\n"
    assert json.loads(out.read_text())["complete"]
    assert cli.main(told.split()[1:]) == 0
    assert (tmp_path / "run-time.svg").is_file()


def test_a_run_that_ends_without_a_word_has_kept_its_rows(
    on_cpu: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[bool, int]] = []
    out = tmp_path / "run.json"

    def measure(*arguments: Any) -> Iterator[Row]:
        for row in bench_measure.measure(*arguments):
            if out.exists():
                data = json.loads(out.read_text())
                kept.append((data["complete"], len(data["rows"])))
            yield row

    monkeypatch.setattr(bench, "measure", measure)
    arguments = ["bench", "--nk", "40x256", "--m", "1", "8", "16"]
    assert cli.main([*arguments, "--out", str(out)]) == 0
    assert kept == []  # it was over sooner
    out.unlink()
    monkeypatch.setattr(bench_report, "SAVE_SECONDS", -1.0)
    assert cli.main([*arguments, "--out", str(out)]) == 0
    assert kept == [(False, 1), (False, 2)]
    assert json.loads(out.read_text())["complete"]


def test_the_layers_of_a_config_are_listed_and_measured(
    on_cpu: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "num_hidden_layers": 1,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 4,
        "head_dim": 16,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert cli.main(["bench", "--config", str(tmp_path / "config.json"), "--tp", "2", "--m", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "model.layers.*.self_attn.qkv_proj: N = 96, K = 64",
        "model.layers.*.self_attn.o_proj: N = 64, K = 32",
        "model.layers.*.mlp.gate_up_proj: N = 96, K = 64",
        "model.layers.*.mlp.down_proj: N = 64, K = 48",
    ]
    measured = [line.split()[:3] for line in lines if line.startswith("    2 ")]
    assert measured == [["2", "96", "64"], ["2", "64", "32"], ["2", "64", "48"]]


def test_unseen_shapes_are_the_seeds(on_cpu: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    def measure(machine: object, contenders: object, problems: list[shapes.Problem], *rest: object) -> list[Row]:
        asked.extend(problems)
        return []

    monkeypatch.setattr(bench, "measure", measure)
    assert cli.main(["bench", "--shapes", "unseen", "--seed", "7"]) == 0
    assert asked == shapes.unseen(7)


def test_deep_gemms_cache_is_filled_first_if_asked(on_cpu: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(bench, "warm_deep_gemm", lambda *arguments: asked.append(arguments))
    assert cli.main(["bench", "--nk", "40x256", "--m", "1", "--warm", "3", "--deep-gemm", "dir"]) == 0
    assert asked == [(Path("dir"), [(1, 40, 256)], 3)]


def test_groups_are_measured(
    on_cpu: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_mixture, "PROBLEMS", [GroupedProblem("masked", 3, 10, 40, 256)])
    monkeypatch.setattr(grouped, "import_deep_gemm", lambda folder: barrow.deep_gemm)
    asked: list[Any] = []
    monkeypatch.setattr(grouped, "warm_grouped", lambda *arguments: asked.append(arguments))
    out = tmp_path / "run.json"
    assert cli.main(["bench", "--grouped", "--warm", "3", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "masked 3 x 10: " in text
    assert " 1.50\n" in text
    assert asked == [(None, 3)]
    data = json.loads(out.read_text())
    assert [part["of"] for part in data["summary"]] == ["masked 3 x 10", "masked", "all"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-ratio.svg", "run.json"]
    assert cli.main(["bench", "--plot", str(out)]) == 0


def test_a_layer_of_experts_is_measured(
    on_cpu: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(experts, "SIZES", (10, 256, 128))
    asked: list[Any] = []
    monkeypatch.setattr(expert_layers, "can_take_part", lambda peers, folder: True)
    monkeypatch.setattr(expert_layers, "warm_layers", lambda *arguments: asked.append(arguments))
    out = tmp_path / "run.json"
    arguments = ["bench", "--experts", "--m", "1", "6", "--against", "bf16", "--warm", "3", "--out", str(out)]
    assert cli.main(arguments) == 0
    assert asked == [(None, (10, 256, 128), [1, 6], experts.TOP_K, 3)]
    assert "all: " in capsys.readouterr().out
    data = json.loads(out.read_text())
    assert data["settings"] == {"cold": True, "quantise": True, "rounds": 7}
    assert [(row["m"], row["us"]) for row in data["rows"]] == [(1, {"barrow": 2.0}), (6, {"barrow": 2.0})]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-time.svg", "run.json"]


@pytest.mark.parametrize("what", ["run.json", "run-time.svg"])
def test_what_cannot_be_written_after_all_is_told_below_the_table(
    what: str, on_cpu: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The numbers are no less measured; plots are an extra, and their lack no failure."""
    report = bench_report.report

    def meanwhile(*arguments: Any) -> Row:
        (tmp_path / what).mkdir()
        return report(*arguments)

    monkeypatch.setattr(bench, "report", meanwhile)
    out = tmp_path / "run.json"
    assert cli.main(["bench", "--nk", "40x256", "--m", "1", "--out", str(out)]) == (what == "run.json")
    captured = capsys.readouterr()
    assert "M 1..1: " in captured.out
    said = f"{out} cannot be written" if what == "run.json" else "no plots"
    assert captured.err.startswith(f"barrow bench: {said}: [Errno 21] Is a directory: ")


def test_without_matplotlib_the_numbers_are_still_written(
    on_cpu: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = builtins.__import__

    def no_matplotlib(name: str, *rest: Any) -> Any:
        if name == "barrow.bench.plot":
            raise ImportError("No module named 'matplotlib'")
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    out = tmp_path / "run.json"
    assert cli.main(["bench", "--nk", "40x256", "--m", "1", "--out", str(out)]) == 0
    assert out.is_file()
    assert capsys.readouterr().err == (
        "barrow bench: no plots: No module named 'matplotlib'; pip install 'barrow[bench]'\n"
    )
    assert cli.main(["bench", "--plot", str(out)]) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is no JSON: Expecting property name"),
        ("[" * 100_000, "is no JSON: "),
        *(
            (text, "is no file of barrow bench; pass one that barrow bench --out wrote")
            for text in ("{}", '{"rows": []}', "[]", "null", '{"rows": [1]}', '{"rows": [{"load": 1}]}')
        ),
        (
            '{"machine": {}, "kernels": [], "rows": [{"kernel": "x", "m": 1, "n": 1, "k": 1, "us": 1.0}]}',
            "is a file of barrow tune; pass one that barrow bench --out wrote",
        ),
    ],
    ids=lambda text: str(text)[:20],
)
def test_a_file_that_cannot_be_drawn_is_told(
    text: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    assert cli.main(["bench", "--plot", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"barrow bench: {path} {told}")

"""The launcher against a fake libcuda (fake_gpu/): every error of the driver, contexts and threads, without a GPU."""

import os
import shutil
from pathlib import Path

import fake_driver
from fake_driver import Run

import barrow
from barrow.launcher import choose, driver

# What the call of QUERY runs.
CHOSEN = choose(1, 1, 1, "bf16", fake_driver.SMS, fake_driver.GB_S)[0]["kernel"]
QUERY = "from barrow import launcher\nresult = [launcher.driver(), caught(lambda: gemm(*problem(1, 1, 1)))]"


def test_asking_for_the_driver_never_raises() -> None:
    info = driver()
    assert info["available"] == (info["error"] is None)
    assert info["available"] or info["devices"] == []


def test_the_driver_and_its_devices_are_described(on_fake_gpu: Run) -> None:
    (info, _), _ = on_fake_gpu(QUERY, FAKE_CUDA_VERSION=12020)
    devices = [
        {
            "index": i,
            "name": "Fake GPU",
            "capability": [9, 0],
            "num_sms": fake_driver.SMS,
            "memory_gb_s": fake_driver.GB_S,
        }
        for i in (0, 1)
    ]
    assert info == {"available": True, "version": 12020, "error": None, "devices": devices}


def test_no_driver(on_fake_gpu: Run, tmp_path: Path) -> None:
    # A file that the dynamic linker refuses, so that a machine with a driver gives the same error.
    (tmp_path / "libcuda.so.1").write_bytes(b"no library")
    (info, error), _ = on_fake_gpu(QUERY, LD_LIBRARY_PATH=tmp_path)
    assert (info["available"], info["version"], info["devices"]) == (False, None, [])
    assert "no NVIDIA driver" in info["error"]
    assert "525 or newer" in info["error"]
    assert error == f"RuntimeError: {info['error']}"


def test_a_driver_too_old(on_fake_gpu: Run) -> None:
    (info, error), _ = on_fake_gpu(QUERY, FAKE_CUDA_VERSION=11080)
    assert (info["available"], info["version"], info["devices"]) == (False, 11080, [])
    assert "supports CUDA up to 11.8 but the kernels need 12.0; update the driver to version 525" in info["error"]
    assert error == f"RuntimeError: {info['error']}"


def test_a_driver_without_a_gpu(on_fake_gpu: Run) -> None:
    (info, error), _ = on_fake_gpu(QUERY, FAKE_CUDA_INIT=100)
    assert (info["available"], info["version"], info["devices"]) == (False, 12020, [])
    assert "cuInit failed" in info["error"]
    assert "CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)" in info["error"]
    assert error == f"RuntimeError: {info['error']}"


def test_a_gpu_that_is_not_hopper(on_fake_gpu: Run) -> None:
    (info, error), log = on_fake_gpu(QUERY, FAKE_CUDA_CAPABILITY=80)
    assert info["devices"][0]["capability"] == [8, 0]
    assert "GPU 0 (Fake GPU) has compute capability 8.0 but the kernels need 9.0 (Hopper" in error
    assert log == []


def test_a_driver_that_refuses_a_cubin(on_fake_gpu: Run) -> None:
    (_, error), log = on_fake_gpu(QUERY, FAKE_CUDA_LOAD=209)
    assert f"cuLibraryLoadData failed for {CHOSEN}: CUDA_ERROR_NO_BINARY_FOR_GPU" in error
    assert not any("kernel" in line for line in log)


def test_a_damaged_pack_never_reaches_the_driver(on_fake_gpu: Run, tmp_path: Path) -> None:
    package = tmp_path / "barrow"
    shutil.copytree(Path(barrow.__file__).parent, package)
    pack = package / "launcher" / "kernels.pack"
    pack.write_bytes(pack.read_bytes()[:64] + bytes(pack.stat().st_size - 64))
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    (_, error), log = on_fake_gpu(QUERY, PYTHONPATH=path)
    assert f"RuntimeError: barrow: {pack} is damaged: kernel {CHOSEN}" in error
    assert log == []
    pack.unlink()
    (_, error), log = on_fake_gpu(QUERY, PYTHONPATH=path)
    assert f"cannot open the kernels in {pack}: No such file or directory" in error
    assert log == []


def test_fresh_threads_load_a_kernel_once(on_fake_gpu: Run) -> None:
    code = """
args, answers, start = problem(8, 64, 128), [], threading.Barrier(8)
def work():
    start.wait()
    for _ in range(20):
        answers.append(wrong(gemm(*args), args))
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
result = [len(answers), any(answers)]
"""
    result, log = on_fake_gpu(code)
    assert result == [160, False]
    assert len([line for line in log if "load" in line]) == 1
    assert len([line for line in log if "kernel" in line]) == 160


def test_each_gpu_runs_in_its_own_context_and_the_callers_comes_back(on_fake_gpu: Run) -> None:
    code = """
import ctypes, os
cuda, args, result = ctypes.CDLL("libcuda.so.1"), problem(8, 64, 128), []
def current():
    device = ctypes.c_int(-1)
    return None if cuda.cuCtxGetDevice(ctypes.byref(device)) else device.value
def call(index):
    os.environ["FAKE_TORCH_INDEX"] = str(index)
    failed = wrong(gemm(*args), args)
    result.append([index, failed, current()])
for index in (1, 0, 1):  # a thread without a context
    call(index)
cuda.cuCtxPushCurrent(ctypes.c_void_p(1))  # the context of device 0, as after torch.cuda.set_device(0)
for index in (0, 1, 0):
    call(index)
result.append(caught(lambda: call(2)))
result.append(caught(lambda: call(64)))
"""
    result, log = on_fake_gpu(code)
    no_context, context_0 = result[:3], result[3:6]
    assert no_context == [[1, False, None], [0, False, None], [1, False, None]]
    assert context_0 == [[0, False, 0], [1, False, 0], [0, False, 0]]
    launches = [(line["device"], line["stream"]) for line in log if "kernel" in line]
    assert launches == [(index, 77 + index) for index in (1, 0, 1, 0, 1, 0)]
    # One image serves all GPUs.
    assert len([line for line in log if "load" in line]) == 1
    assert "cuDeviceGet failed for GPU 2" in result[6]
    assert "GPU index is 64 but needs to be from 0 to 63" in result[7]


def test_the_same_rules_hold_on_the_gpu(on_fake_gpu: Run) -> None:
    code = """
a, a_scale, b, b_scale = problem(4, 8, 128)
result = [
    caught(lambda: gemm(a, a_scale, b[:, :64], b_scale)),
    caught(lambda: on_gpu(ops.fp8_gemm_nt.out, a, a_scale, b, b_scale, out=torch.empty(4, 8).half())),
    caught(lambda: on_gpu(ops.fp8_gemm_nt.out, a, a_scale, b, b_scale, out=torch.empty(8, 4))),
    caught(lambda: on_gpu(ops.per_block_quant_fp8.default, torch.ones(3, 3).int(), False)),
    caught(lambda: gemm(a, a_scale, b, b_scale.repeat(7, 1))),
]
"""
    result, log = on_fake_gpu(code)
    assert all(text.startswith("RuntimeError: barrow") for text in result)
    parts = ("b has K = 64", "out has dtype float16", "out has shape [8, 4]", "int32", "b_scale has shape [7, 1] but")
    for text, part in zip(result, parts, strict=True):
        assert part in text
    assert log == []

"""The launcher's table of kernels, as the C++ definitions that launcher/catalogue.h declares."""

from collections.abc import Sequence
from dataclasses import fields

from barrow_build.aot.pack import Packed
from barrow_build.config import AuxSpec, GemmSpec
from barrow_build.config.tuning import M_EDGES, TunedGpu

# Members of GemmKernel between its output type and its cost, in the order of launcher/catalogue.h.
GEMM_NUMBERS = (
    "block_m",
    "block_n",
    "stages",
    "row_scales_b",
    "grouped",
    "k_groups",
    "cluster_k",
    "cluster_n",
    "blocks_ahead",
    "alternates",
    "part_rows",
    "warpgroups",
    "threads",
    "smem_bytes",
    "ctas_per_sm",
    "store_rows",
    "store_columns",
)


def table(placed: Sequence[Packed], pack_size: int, tuned: Sequence[TunedGpu]) -> str:
    """`catalogue.cpp`: the kernels in the order of the catalogue, the tuned choices; `pack_size` in bytes."""
    gemms = [_gemm(packed.kernel.spec, packed) for packed in placed if isinstance(packed.kernel.spec, GemmSpec)]
    others = [_aux(packed.kernel.spec, packed) for packed in placed if isinstance(packed.kernel.spec, AuxSpec)]
    return "\n".join(
        [
            "// Generated from the catalogue of kernel specs.",
            '#include "catalogue.h"',
            "",
            "namespace barrow {",
            *_array("GemmKernel", gemms),
            *_array("AuxKernel", others),
            *_tuned(tuned, [packed.kernel.spec for packed in placed if isinstance(packed.kernel.spec, GemmSpec)]),
            f"const uint64_t kPackSize = {pack_size};",
            "}  // namespace barrow",
            "",
        ]
    )


def _array(struct: str, rows: Sequence[str]) -> list[str]:
    # C++ has no empty arrays, so an empty table is one zeroed row that the count leaves out.
    return [
        f"const {struct} k{struct}s[] = {{",
        *(f"    {row}," for row in rows or ["{}"]),
        "};",
        f"const size_t k{struct}Count = {len(rows)};",
    ]


def _tuned(gpus: Sequence[TunedGpu], specs: Sequence[GemmSpec]) -> list[str]:
    """The choices of all GPUs in one array, those of a GPU together and in the order that the launcher searches."""
    index = {spec.name: i for i, spec in enumerate(specs)}
    # As launcher/catalogue.h numbers enum class Dtype.
    dtypes = {"bf16": 0, "f32": 2}
    heads: list[str] = []
    rows: list[str] = []
    for gpu in gpus:
        heads.append(f'{{"{gpu.name}", {gpu.num_sms}, {gpu.memory_gb_s}, {len(rows)}, {len(gpu.choices)}}}')
        keyed = sorted(
            (dtypes[specs[index[c.kernel]].out], c.groups, c.n, c.k, c.m, index[c.kernel]) for c in gpu.choices
        )
        rows += [f"{{static_cast<Dtype>({out}), {', '.join(map(str, rest))}}}" for out, *rest in keyed]
    return [
        f"const int kTunedMs[] = {{{', '.join(map(str, M_EDGES))}}};",
        f"const size_t kTunedMCount = {len(M_EDGES)};",
        *_array("TunedGpu", heads),
        *_array("TunedChoice", rows),
    ]


def _gemm(spec: GemmSpec, packed: Packed) -> str:
    capability = int(spec.arch.rstrip("af"))
    numbers = ", ".join(str(int(getattr(spec, name))) for name in GEMM_NUMBERS)
    cost = ", ".join(f"{float(getattr(spec.cost, field.name))!r}f" for field in fields(spec.cost))
    return f'{{"{spec.name}", {capability}, Dtype::{spec.out}, {numbers}, {{{cost}}}, {_image(packed)}}}'


def _aux(spec: AuxSpec, packed: Packed) -> str:
    return f'{{"{spec.name}", "{spec.symbol}", {_image(packed)}}}'


def _image(packed: Packed) -> str:
    return f"{{{packed.offset}, {packed.size}, {packed.crc32}u}}"

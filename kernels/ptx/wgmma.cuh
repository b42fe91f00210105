// wgmma m64nNk32, e4m3 x e4m3 into float32, operands in shared memory, the first one also in registers (PTX
// ISA, "wgmma.mma_async").
//
// Accumulators of a thread: 8 columns j hold d[4j], d[4j+1] in row 16*warp + lane/4 and d[4j+2], d[4j+3]
// eight rows below, at columns 8j + 2*(lane%4) and the one after.
#pragma once

#include "ptx/mbarrier.cuh"

namespace barrow {

constexpr uint32_t kWgmmaM = 64;
constexpr uint32_t kWgmmaK = 32;

// Lower half of the matrix descriptor of a K-major tile whose rows are 128 bytes, swizzled over 128 bytes:
// eight rows make an atom, atoms follow each other every 1024 bytes (PTX ISA, "Matrix Descriptor Format").
// The upper half is the same for all, so that only 32 bits are left to calculate between two multiplications.
__device__ __forceinline__ uint32_t wgmma_descriptor(uint32_t smem) { return 1u << 16 | smem >> 4; }

// What one step of kWgmmaK bytes along K adds to a descriptor.
constexpr uint32_t kWgmmaDescriptorStep = kWgmmaK >> 4;

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Waits until at most kPending of this thread's committed groups are in flight.
template <uint32_t kPending>
__device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// d = a x b^T, added to d where `accumulate`. One specialisation a width, because inline assembly wants its
// registers spelled out.
template <uint32_t kN>
struct Wgmma;
// clang-format off
#define BARROW_NAMES_8 "%0, %1, %2, %3"
#define BARROW_NAMES_16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define BARROW_NAMES_24 BARROW_NAMES_16 ", %8, %9, %10, %11"
#define BARROW_NAMES_32 BARROW_NAMES_16 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define BARROW_NAMES_48 BARROW_NAMES_32 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define BARROW_NAMES_64 BARROW_NAMES_48 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define BARROW_NAMES_80 BARROW_NAMES_64 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define BARROW_NAMES_96 BARROW_NAMES_80 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define BARROW_NAMES_112 BARROW_NAMES_96 ", %48, %49, %50, %51, %52, %53, %54, %55"
#define BARROW_NAMES_128 BARROW_NAMES_112 ", %56, %57, %58, %59, %60, %61, %62, %63"
#define BARROW_NAMES_144 BARROW_NAMES_128 ", %64, %65, %66, %67, %68, %69, %70, %71"
#define BARROW_NAMES_160 BARROW_NAMES_144 ", %72, %73, %74, %75, %76, %77, %78, %79"
#define BARROW_NAMES_176 BARROW_NAMES_160 ", %80, %81, %82, %83, %84, %85, %86, %87"
#define BARROW_NAMES_192 BARROW_NAMES_176 ", %88, %89, %90, %91, %92, %93, %94, %95"
#define BARROW_NAMES_208 BARROW_NAMES_192 ", %96, %97, %98, %99, %100, %101, %102, %103"
#define BARROW_NAMES_224 BARROW_NAMES_208 ", %104, %105, %106, %107, %108, %109, %110, %111"
#define BARROW_NAMES_240 BARROW_NAMES_224 ", %112, %113, %114, %115, %116, %117, %118, %119"
#define BARROW_NAMES_256 BARROW_NAMES_240 ", %120, %121, %122, %123, %124, %125, %126, %127"
#define BARROW_EIGHT(i) "+f"(d[8 * i]), "+f"(d[8 * i + 1]), "+f"(d[8 * i + 2]), "+f"(d[8 * i + 3]), \
                        "+f"(d[8 * i + 4]), "+f"(d[8 * i + 5]), "+f"(d[8 * i + 6]), "+f"(d[8 * i + 7])
#define BARROW_OPERANDS_8 "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
#define BARROW_OPERANDS_16 BARROW_EIGHT(0)
#define BARROW_OPERANDS_24 BARROW_OPERANDS_16, "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11])
#define BARROW_OPERANDS_32 BARROW_OPERANDS_16, BARROW_EIGHT(1)
#define BARROW_OPERANDS_48 BARROW_OPERANDS_32, BARROW_EIGHT(2)
#define BARROW_OPERANDS_64 BARROW_OPERANDS_48, BARROW_EIGHT(3)
#define BARROW_OPERANDS_80 BARROW_OPERANDS_64, BARROW_EIGHT(4)
#define BARROW_OPERANDS_96 BARROW_OPERANDS_80, BARROW_EIGHT(5)
#define BARROW_OPERANDS_112 BARROW_OPERANDS_96, BARROW_EIGHT(6)
#define BARROW_OPERANDS_128 BARROW_OPERANDS_112, BARROW_EIGHT(7)
#define BARROW_OPERANDS_144 BARROW_OPERANDS_128, BARROW_EIGHT(8)
#define BARROW_OPERANDS_160 BARROW_OPERANDS_144, BARROW_EIGHT(9)
#define BARROW_OPERANDS_176 BARROW_OPERANDS_160, BARROW_EIGHT(10)
#define BARROW_OPERANDS_192 BARROW_OPERANDS_176, BARROW_EIGHT(11)
#define BARROW_OPERANDS_208 BARROW_OPERANDS_192, BARROW_EIGHT(12)
#define BARROW_OPERANDS_224 BARROW_OPERANDS_208, BARROW_EIGHT(13)
#define BARROW_OPERANDS_240 BARROW_OPERANDS_224, BARROW_EIGHT(14)
#define BARROW_OPERANDS_256 BARROW_OPERANDS_240, BARROW_EIGHT(15)
// A, B and ACCUMULATE are the operand numbers that follow the N / 2 accumulators.
#define BARROW_WGMMA(N, A, B, ACCUMULATE)                                                                \
    template <>                                                                                          \
    struct Wgmma<N> {                                                                                    \
        static __device__ __forceinline__ void issue(float (&d)[N / 2], uint32_t a, uint32_t b,          \
                                                     bool accumulate) {                                  \
            asm volatile("{\n.reg .pred p;\n.reg .b32 upper;\n.reg .b64 a, b;\n"                         \
                         "setp.ne.b32 p, %" #ACCUMULATE ", 0;\nmov.b32 upper, 0x40000040;\n"             \
                         "mov.b64 a, {%" #A ", upper};\nmov.b64 b, {%" #B ", upper};\n"                   \
                         "wgmma.mma_async.sync.aligned.m64n" #N "k32.f32.e4m3.e4m3 "                     \
                         "{" BARROW_NAMES_##N "}, a, b, p, 1, 1;\n}"                                     \
                         : BARROW_OPERANDS_##N                                                           \
                         : "r"(a), "r"(b), "r"(static_cast<uint32_t>(accumulate)));                      \
        }                                                                                                \
    }

BARROW_WGMMA(8, 4, 5, 6);
BARROW_WGMMA(16, 8, 9, 10);
BARROW_WGMMA(24, 12, 13, 14);
BARROW_WGMMA(32, 16, 17, 18);
BARROW_WGMMA(48, 24, 25, 26);
BARROW_WGMMA(64, 32, 33, 34);
BARROW_WGMMA(80, 40, 41, 42);
BARROW_WGMMA(96, 48, 49, 50);
BARROW_WGMMA(112, 56, 57, 58);
BARROW_WGMMA(128, 64, 65, 66);
BARROW_WGMMA(144, 72, 73, 74);
BARROW_WGMMA(160, 80, 81, 82);
BARROW_WGMMA(176, 88, 89, 90);
BARROW_WGMMA(192, 96, 97, 98);
BARROW_WGMMA(208, 104, 105, 106);
BARROW_WGMMA(224, 112, 113, 114);
BARROW_WGMMA(240, 120, 121, 122);
BARROW_WGMMA(256, 128, 129, 130);

// The same with a in registers, of which a thread has four bytes in row lane/4 of each of the four 8 x 16-byte
// matrices of its warp's 16 rows: upper and lower of the left half, then of the right one.
template <uint32_t kN>
struct WgmmaFromRegisters;
#define BARROW_WGMMA_FROM_REGISTERS(N, A0, A1, A2, A3, B, ACCUMULATE)                                     \
    template <>                                                                                          \
    struct WgmmaFromRegisters<N> {                                                                       \
        static __device__ __forceinline__ void issue(float (&d)[N / 2], const uint32_t (&a)[4],          \
                                                     uint32_t b, bool accumulate) {                      \
            asm volatile("{\n.reg .pred p;\n.reg .b32 upper;\n.reg .b64 b;\n"                            \
                         "setp.ne.b32 p, %" #ACCUMULATE ", 0;\nmov.b32 upper, 0x40000040;\n"             \
                         "mov.b64 b, {%" #B ", upper};\n"                                               \
                         "wgmma.mma_async.sync.aligned.m64n" #N "k32.f32.e4m3.e4m3 "                     \
                         "{" BARROW_NAMES_##N "}, {%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, b, p, 1, 1;\n}" \
                         : BARROW_OPERANDS_##N                                                           \
                         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b),                           \
                           "r"(static_cast<uint32_t>(accumulate)));                                      \
        }                                                                                                \
    }

BARROW_WGMMA_FROM_REGISTERS(8, 4, 5, 6, 7, 8, 9);
BARROW_WGMMA_FROM_REGISTERS(16, 8, 9, 10, 11, 12, 13);
BARROW_WGMMA_FROM_REGISTERS(24, 12, 13, 14, 15, 16, 17);
BARROW_WGMMA_FROM_REGISTERS(32, 16, 17, 18, 19, 20, 21);
BARROW_WGMMA_FROM_REGISTERS(48, 24, 25, 26, 27, 28, 29);
// clang-format on

}  // namespace barrow

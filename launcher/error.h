#pragma once

namespace barrow {

// Throws std::runtime_error with a printf-formatted text. torch and the module hand it to Python as
// RuntimeError unchanged, so the text is what the user reads. (String streams would need a newer libstdc++
// than manylinux_2_28.)
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace barrow

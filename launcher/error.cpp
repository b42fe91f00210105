#include "error.h"

#include <cstdarg>
#include <cstdio>
#include <stdexcept>

namespace barrow {

void fail(const char* format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    throw std::runtime_error(text);
}

}  // namespace barrow

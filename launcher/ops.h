#pragma once

namespace barrow {

// Registers the operators of library `barrow` in torch. Once per process.
void register_operators();

}  // namespace barrow

// kernels.pack, the file of cubins beside the extension. Little endian: 8 bytes of magic, a 32-bit version, a
// 32-bit count, then the cubins, each at the offset that its Image names.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "catalogue.h"

namespace barrow {

// Where the pack of this build lies, whether or not it is there.
std::string pack_path();

// Reads one cubin and verifies it. Throws when the file is missing, is not this build's pack, was truncated,
// or holds other bytes than were built; nothing damaged ever reaches the driver.
std::unique_ptr<unsigned char[]> read_image(const std::string& path, const char* kernel, const Image& image);

// Verifies every cubin of the catalogue in the pack at `path`; throws at the first that fails.
void verify_pack(const std::string& path);

}  // namespace barrow

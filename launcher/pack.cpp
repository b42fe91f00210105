#include "pack.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstring>

#include "error.h"
#include "glibc_compat.h"

namespace barrow {
namespace {

constexpr char kMagic[8] = {'B', 'A', 'R', 'R', 'O', 'W', 'P', 'K'};
constexpr uint32_t kVersion = 1;
constexpr const char* kAdvice = "reinstall barrow";

struct Header {
    char magic[8];
    uint32_t version;
    uint32_t count;
};
static_assert(sizeof(Header) == 16);

// CRC-32 of ISO 3309 (zlib's), a byte at a time; a cubin takes a fraction of a millisecond, once per process.
constexpr std::array<uint32_t, 256> make_crc_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = value & 1 ? 0xEDB88320u ^ (value >> 1) : value >> 1;
        table[i] = value;
    }
    return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

uint32_t crc32(const unsigned char* data, size_t size) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; ++i) crc = kCrcTable[(crc ^ data[i]) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

class PackFile {
public:
    explicit PackFile(const std::string& path) : path_(path.c_str()) {
        if (kPackSize == 0) {
            fail(
                "barrow: this build carries no kernels (BARROW_TARGET_DEVICE=cpu); install a build with "
                "kernels");
        }
        fd_ = open(path_, O_RDONLY | O_CLOEXEC);
        if (fd_ < 0) fail("barrow: cannot open the kernels in %s: %s; %s", path_, strerror(errno), kAdvice);
        try {
            check_file();
        } catch (...) {
            close(fd_);
            throw;
        }
    }
    ~PackFile() { close(fd_); }
    PackFile(const PackFile&) = delete;
    PackFile& operator=(const PackFile&) = delete;

    void read(void* data, size_t size, uint64_t offset) const {
        auto* bytes = static_cast<unsigned char*>(data);
        while (size > 0) {
            const ssize_t got = pread(fd_, bytes, size, static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) fail("barrow: cannot read %s: %s; %s", path_, strerror(errno), kAdvice);
            if (got == 0)
                fail("barrow: %s ends at byte %" PRIu64 "; it is truncated: %s", path_, offset, kAdvice);
            bytes += got;
            size -= got;
            offset += got;
        }
    }

    std::unique_ptr<unsigned char[]> read_image(const char* kernel, const Image& image) const {
        std::unique_ptr<unsigned char[]> bytes(new unsigned char[image.size]);
        read(bytes.get(), image.size, image.offset);
        if (const uint32_t crc = crc32(bytes.get(), image.size); crc != image.crc32) {
            fail("barrow: %s is damaged: kernel %s has CRC-32 %08" PRIx32 " but %08" PRIx32 " was built; %s",
                 path_, kernel, crc, image.crc32, kAdvice);
        }
        return bytes;
    }

private:
    void check_file() const {
        // lseek, not fstat: glibc 2.33 gave fstat a new symbol version, which manylinux_2_28 lacks.
        const off_t size = lseek(fd_, 0, SEEK_END);
        if (size < 0) fail("barrow: cannot read %s: %s; %s", path_, strerror(errno), kAdvice);
        if (static_cast<uint64_t>(size) != kPackSize) {
            fail("barrow: %s has %" PRId64 " bytes but %" PRIu64 " were built; it is %s: %s", path_,
                 int64_t{size}, kPackSize,
                 static_cast<uint64_t>(size) < kPackSize ? "truncated" : "not of this build", kAdvice);
        }
        Header header;
        read(&header, sizeof(header), 0);
        if (memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
            fail("barrow: %s does not start with BARROWPK; it is not a pack of kernels: %s", path_, kAdvice);
        }
        if (header.version != kVersion) {
            fail("barrow: %s has format %" PRIu32 " but this build reads %" PRIu32 "; %s", path_,
                 header.version, kVersion, kAdvice);
        }
        if (header.count != kGemmKernelCount + kAuxKernelCount) {
            fail("barrow: %s holds %" PRIu32 " kernels but this build has %zu; %s", path_, header.count,
                 kGemmKernelCount + kAuxKernelCount, kAdvice);
        }
    }

    const char* path_;
    int fd_ = -1;
};

}  // namespace

std::string pack_path() {
    Dl_info info;
    if (dladdr(reinterpret_cast<const void*>(&pack_path), &info) == 0 || info.dli_fname == nullptr) {
        fail("barrow: the dynamic linker does not know where the extension was loaded from");
    }
    const std::string extension = info.dli_fname;
    const size_t slash = extension.rfind('/');
    return (slash == std::string::npos ? std::string() : extension.substr(0, slash + 1)) + "kernels.pack";
}

std::unique_ptr<unsigned char[]> read_image(const std::string& path, const char* kernel, const Image& image) {
    return PackFile(path).read_image(kernel, image);
}

void verify_pack(const std::string& path) {
    const PackFile file(path);
    for (size_t i = 0; i < kGemmKernelCount; ++i)
        file.read_image(kGemmKernels[i].name, kGemmKernels[i].image);
    for (size_t i = 0; i < kAuxKernelCount; ++i) file.read_image(kAuxKernels[i].name, kAuxKernels[i].image);
}

}  // namespace barrow

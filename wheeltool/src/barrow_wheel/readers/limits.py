"""What a reader spends at most. Real wheels stay far below; a hostile one is refused instead of served."""

from __future__ import annotations

MIB = 1 << 20

# Archive. The largest directories on PyPI are near 2 MiB; one entry costs about 0.5 KiB of memory while parsed.
ARCHIVE_DIRECTORY_BYTES = 16 * MIB
ARCHIVE_MEMBERS = 200_000
# Device code packs well, sparse tables better: 40 is twice the worst wheel seen, a zip bomb has 1000 and more.
ARCHIVE_RATIO = 40
ARCHIVE_ALWAYS_ALLOWED_BYTES = 256 * MIB
MEMBER_BYTES = 8 << 30

# Files up to this size are analysed in memory, larger ones in an unlinked temporary file.
IN_MEMORY_BYTES = 64 * MIB
CHUNK_BYTES = 1 * MIB

# Text that is kept: METADATA carries a README, RECORD one line a file, sources are searched for a few words.
METADATA_BYTES = 4 * MIB
RECORD_BYTES = 32 * MIB
RECORD_ENTRIES = 2 * ARCHIVE_MEMBERS
# Requirements, classifiers and Tag lines each; the longest real lists have a few hundred.
METADATA_LINES = 2_000
SPECIFIER_CHARACTERS = 1_000
# A compressed tag set stands for the product of its parts.
TAGS_OF_ONE_LINE = 1_000
SOURCE_BYTES = 4 * MIB

# ELF.
ELF_SECTIONS = 70_000
ELF_SEGMENTS = 4_096
ELF_DYNAMIC_ENTRIES = 65_536
# LLVM and torch have 200,000 to 400,000 in their largest library.
ELF_SYMBOLS = 2_000_000
ELF_STRING_TABLE_BYTES = 256 * MIB
ELF_VERSION_ENTRIES = 65_536
ELF_NAMES_BYTES = 64 * MIB
# Enough to tell a namespace; CUTLASS mangles to 20 KB and more.
SYMBOL_NAME_BYTES = 400

# Device code.
FATBIN_ENTRIES = 1_000_000
CUBINS = 200_000

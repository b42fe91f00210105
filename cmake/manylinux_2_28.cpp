// Symbols that a newer compiler takes from a newer C or C++ library than manylinux_2_28 has (glibc 2.28,
// libstdc++ of GCC 8), defined here and kept inside the extension. Nothing else may need them: auditwheel
// refuses the wheel then.
#include <new>
#include <sstream>

#define HIDDEN __attribute__((visibility("hidden")))

extern "C" {

// glibc 2.32. libstdc++ reads it to count references of a shared_ptr without atomics; 0 means: use atomics.
HIDDEN char __libc_single_threaded = 0;

// libstdc++ of GCC 9 has default constructors of string streams; before, these took the mode, as they do
// here.
HIDDEN void make_ostringstream(void* self) __asm__(
    "_ZNSt7__cxx1119basic_ostringstreamIcSt11char_traitsIcESaIcEEC1Ev");
HIDDEN void make_stringstream(void* self) __asm__(
    "_ZNSt7__cxx1118basic_stringstreamIcSt11char_traitsIcESaIcEEC1Ev");

// libstdc++ of GCC 11.
HIDDEN void throw_bad_array_new_length() __asm__("_ZSt28__throw_bad_array_new_lengthv");

void make_ostringstream(void* self) { new (self) std::ostringstream(std::ios_base::out); }
void make_stringstream(void* self) { new (self) std::stringstream(std::ios_base::out | std::ios_base::in); }
void throw_bad_array_new_length() { throw std::bad_array_new_length(); }

}  // extern "C"

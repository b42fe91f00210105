// glibc 2.34 moved libdl into libc and gave its functions a new symbol version. Asking for the old version,
// which every glibc still exports, lets a build on a newer system run on manylinux_2_28 (glibc 2.28). Include
// this wherever one of these functions is called.
#pragma once

#include <dlfcn.h>

#if defined(__x86_64__) && defined(__GLIBC__)
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
__asm__(".symver dlerror, dlerror@GLIBC_2.2.5");
__asm__(".symver dladdr, dladdr@GLIBC_2.2.5");
#endif

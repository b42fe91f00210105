# The kernels, and the one extension module that launches them.

# A compiler cache, when there is one and the user has not chosen another.
if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # The first on the PATH, whichever it is.
    find_program(BARROW_CXX_CACHE NAMES ccache sccache NAMES_PER_DIR)
    if(BARROW_CXX_CACHE)
        set(CMAKE_CXX_COMPILER_LAUNCHER ${BARROW_CXX_CACHE})
    endif()
endif()

enable_language(CXX)
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.SABIModule)

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set_property(GLOBAL PROPERTY JOB_POOLS compile=${BARROW_JOBS})
set(CMAKE_JOB_POOL_COMPILE compile)

set(kernels ${PROJECT_BINARY_DIR}/kernels)
file(MAKE_DIRECTORY ${kernels})
string(REPLACE ";" "," archs "${BARROW_ARCHS}")
# Kernels are kept beside the build folders and by content, so a new build folder compiles none of them again.
# The command has the terminal, for its progress; the objects below wait for its table, so both never run at once.
add_custom_command(
    OUTPUT ${kernels}/kernels.pack ${kernels}/manifest.json ${kernels}/catalogue.cpp
    COMMAND ${BARROW_AOT} build --archs "${archs}" --sources ${PROJECT_SOURCE_DIR}/kernels
            --cache ${PROJECT_SOURCE_DIR}/build/cubins --jobs ${BARROW_JOBS} --out ${kernels}
    DEPFILE ${kernels}/kernels.d
    WORKING_DIRECTORY ${kernels}
    COMMENT "Kernels of the catalogue"
    USES_TERMINAL VERBATIM)

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/launcher/*.cpp)
python_add_library(_C MODULE USE_SABI 3.10 WITH_SOABI ${sources} ${kernels}/catalogue.cpp)
target_include_directories(_C PRIVATE ${PROJECT_SOURCE_DIR}/launcher ${PROJECT_SOURCE_DIR}/kernels)
target_include_directories(_C SYSTEM PRIVATE ${BARROW_TORCH}/include)
target_compile_definitions(_C PRIVATE
    TORCH_TARGET_VERSION=0x020a000000000000 # torch 2.10, the minimum that pyproject.toml declares
    USE_CUDA)                               # declares the shim of the current stream
target_compile_options(_C PRIVATE -Wall -Wextra -Werror
    # No folder of this machine in the binary: two builds of one commit are the same bytes.
    -ffile-prefix-map=${PROJECT_BINARY_DIR}=build
    -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.
    -ffile-prefix-map=${BARROW_TORCH}=torch)
# torch loads its libraries locally, so only a linked libtorch resolves the shim; as it is imported first, no rpath.
set(exports ${PROJECT_SOURCE_DIR}/cmake/exports.map)
target_link_options(_C PRIVATE -s -Wl,--version-script=${exports} -Wl,--no-as-needed -L${BARROW_TORCH}/lib -ltorch -Wl,--as-needed)
set_target_properties(_C PROPERTIES SKIP_BUILD_RPATH ON LINK_DEPENDS ${exports})

set(installed ${kernels}/manifest.json)
if(BARROW_ARCHS)
    list(APPEND installed ${kernels}/kernels.pack)
endif()
install(TARGETS _C DESTINATION barrow/launcher)
install(FILES ${installed} DESTINATION barrow/launcher)

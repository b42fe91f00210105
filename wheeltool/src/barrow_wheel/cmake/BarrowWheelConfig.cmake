# find_package(BarrowWheel) gives one function:
#
#   barrow_wheel_add_extension(TARGET
#       NAME <last part of the module's name>       # _C
#       SOURCES <file>...
#       [PYTHONS <interpreter or X.Y>... | REQUIRES <pyproject.toml or specifier>]
#       [TORCH] [PYBIND11]
#       [INCLUDE_DIRECTORIES <dir>...] [DEFINITIONS <NAME[=VALUE]>...]
#       [COMPILE_OPTIONS <flag>...] [LINK_LIBRARIES <library or target>...]
#       [DESTINATION <install folder>] [COMPONENT <component>])
#
# One MODULE library for each CPython, built by the project's own compiler, flags, launcher (ccache, sccache) and
# generator, which also tracks headers. Of a CPython only its headers and its EXT_SUFFIX are used; torch and pybind11
# stay in the environment of Python_EXECUTABLE. TARGET becomes a custom target that stands for all of them; the target
# property BARROW_WHEEL_TARGETS lists them.
#
# Which CPythons: the environment variable BARROW_WHEEL_PYTHONS (versions or paths, separated by ';' or ',') where it is
# set to something, else PYTHONS, else REQUIRES, else the interpreter of this build. An empty variable means unset.

cmake_minimum_required(VERSION 3.19)

if(NOT Python_EXECUTABLE)
  find_package(Python COMPONENTS Interpreter REQUIRED)
endif()

# Runs barrow-wheel as a module, so that it is the one of the interpreter that has torch.
function(_barrow_wheel_ask out)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -m barrow_wheel.cmake ${ARGN}
    OUTPUT_VARIABLE answer
    ERROR_VARIABLE complaint
    RESULT_VARIABLE code
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "barrow-wheel: ${complaint}")
  endif()
  set(${out} "${answer}" PARENT_SCOPE)
endfunction()

function(_barrow_wheel_list out json)
  string(JSON count LENGTH "${json}" ${ARGN})
  set(values "")
  if(count GREATER 0)
    math(EXPR last "${count} - 1")
    foreach(index RANGE ${last})
      string(JSON value GET "${json}" ${ARGN} ${index})
      list(APPEND values "${value}")
    endforeach()
  endif()
  set(${out} "${values}" PARENT_SCOPE)
endfunction()

function(barrow_wheel_add_extension target)
  cmake_parse_arguments(
    PARSE_ARGV 1 arg "TORCH;PYBIND11" "NAME;REQUIRES;DESTINATION;COMPONENT"
    "SOURCES;PYTHONS;INCLUDE_DIRECTORIES;DEFINITIONS;COMPILE_OPTIONS;LINK_LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "barrow_wheel_add_extension: unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_NAME OR NOT arg_SOURCES)
    message(FATAL_ERROR "barrow_wheel_add_extension(${target}): needs NAME and SOURCES")
  endif()

  set(question "")
  # Compared as text: if(DEFINED ENV{...}) is true for an empty variable.
  if(NOT "$ENV{BARROW_WHEEL_PYTHONS}" STREQUAL "")
    string(REPLACE "," ";" pythons "$ENV{BARROW_WHEEL_PYTHONS}")
    foreach(python IN LISTS pythons)
      list(APPEND question --python "${python}")
    endforeach()
  elseif(arg_PYTHONS)
    foreach(python IN LISTS arg_PYTHONS)
      list(APPEND question --python "${python}")
    endforeach()
  elseif(arg_REQUIRES)
    list(APPEND question --requires "${arg_REQUIRES}")
  else()
    list(APPEND question --python "${Python_EXECUTABLE}")
  endif()
  if(arg_TORCH)
    list(APPEND question --torch)
  endif()
  if(arg_PYBIND11)
    list(APPEND question --pybind11)
  endif()
  _barrow_wheel_ask(answer ${question})
  _barrow_wheel_list(system_includes "${answer}" includes)
  _barrow_wheel_list(system_flags "${answer}" flags)
  _barrow_wheel_list(system_libraries "${answer}" libraries)
  string(JSON standard GET "${answer}" standard)

  set(targets "")
  string(JSON count LENGTH "${answer}" pythons)
  math(EXPR last "${count} - 1")
  foreach(index RANGE ${last})
    string(JSON suffix GET "${answer}" pythons ${index} ext_suffix)
    string(JSON include GET "${answer}" pythons ${index} include)
    string(JSON python GET "${answer}" pythons ${index} python)
    set(one "${target}-${python}")
    add_library(${one} MODULE ${arg_SOURCES})
    set_target_properties(
      ${one} PROPERTIES
      PREFIX "" OUTPUT_NAME "${arg_NAME}" SUFFIX "${suffix}" DEBUG_POSTFIX ""
      CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON)
    target_include_directories(${one} PRIVATE ${arg_INCLUDE_DIRECTORIES})
    target_include_directories(${one} SYSTEM PRIVATE "${include}" ${system_includes})
    target_compile_definitions(${one} PRIVATE "TORCH_EXTENSION_NAME=${arg_NAME}" ${arg_DEFINITIONS})
    target_compile_options(${one} PRIVATE ${system_flags} ${arg_COMPILE_OPTIONS})
    target_compile_features(${one} PRIVATE cxx_std_${standard})
    target_link_libraries(${one} PRIVATE ${system_libraries} ${arg_LINK_LIBRARIES})
    # The wheel runs where this build environment does not exist.
    set_target_properties(${one} PROPERTIES SKIP_BUILD_RPATH ON INSTALL_RPATH "")
    list(APPEND targets ${one})
  endforeach()

  add_custom_target(${target} ALL DEPENDS ${targets})
  set_target_properties(${target} PROPERTIES BARROW_WHEEL_TARGETS "${targets}")
  if(arg_DESTINATION)
    set(component "")
    if(arg_COMPONENT)
      set(component COMPONENT "${arg_COMPONENT}")
    endif()
    install(TARGETS ${targets} LIBRARY DESTINATION "${arg_DESTINATION}" ${component})
  endif()
endfunction()

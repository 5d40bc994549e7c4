# Language level, warnings, sanitizers, and the two ways in which this project adds a target.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

# Paths relative to the source: what one clone has compiled, the next one need not.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}"
      CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros "${CCACHE}")
endif()

find_program(LLD ld.lld)
if(LLD AND CMAKE_CXX_COMPILER_ID MATCHES "Clang|GNU")
  add_link_options(-fuse-ld=lld)
endif()

# Warnings are errors in our own code; generated code and packages' headers are SYSTEM.
add_library(plugind_warnings INTERFACE)
target_compile_options(plugind_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-qual -Werror
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)

if(PLUGIND_SANITIZE)
  add_compile_options(-fsanitize=${PLUGIND_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PLUGIND_SANITIZE})
else()
  add_compile_options(-fstack-protector-strong -D_FORTIFY_SOURCE=$<IF:$<CONFIG:Debug>,0,2>)
  add_link_options(-Wl,-z,relro,-z,now)
endif()

option(PLUGIND_TIDY "Run clang-tidy on every file that is compiled" OFF)
if(PLUGIND_TIDY)
  find_program(CLANG_TIDY clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY "${CLANG_TIDY};--quiet;--warnings-as-errors=*")
endif()

if(PLUGIND_FAILPOINTS)
  add_compile_definitions(PLUGIND_FAILPOINTS=1)
endif()

# plugind_library(NAME SOURCES ... LIBS ...): a static library, included as "daemon/FOLDER/FILE.h".
function(plugind_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PUBLIC ${arg_LIBS} PRIVATE $<BUILD_INTERFACE:plugind_warnings>)
endfunction()

# plugind_test(NAME SOURCES ... LIBS ...): a GoogleTest program, run by ctest as one test.
function(plugind_test name)
  if(NOT PLUGIND_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_LIBS} GTest::gmock GTest::gtest_main
                        $<BUILD_INTERFACE:plugind_warnings>)
  # What is tested is compiled as it is shipped; the tests themselves need not take the optimizer's
  # time, nor clang-tidy's.
  set_target_properties(${name} PROPERTIES CXX_CLANG_TIDY "")
  target_compile_options(${name} PRIVATE -O0 -g1 -U_FORTIFY_SOURCE)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120)
endfunction()

# plugind_fuzzer(NAME SOURCES ... LIBS ...): a libFuzzer program; its corpus is tests/fuzz/corpus/NAME.
function(plugind_fuzzer name)
  if(NOT PLUGIND_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_LIBS} $<BUILD_INTERFACE:plugind_warnings>)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()

# With fuzzing on, every library carries the coverage instrumentation that libFuzzer steers by.
if(PLUGIND_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

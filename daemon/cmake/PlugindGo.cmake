# The Go that is on the PATH, for what is written in Go: sets GO_EXECUTABLE and go_version ("none" where there is none).

find_program(GO_EXECUTABLE go)
set(go_version "none")
if(GO_EXECUTABLE)
  # GOTOOLCHAIN=local: the Go that is there, not one that it would fetch.
  execute_process(COMMAND ${CMAKE_COMMAND} -E env GOTOOLCHAIN=local "${GO_EXECUTABLE}" env GOVERSION
    OUTPUT_VARIABLE go_version OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  string(REGEX REPLACE "^go([0-9.]+).*" "\\1" go_version "${go_version}")
endif()

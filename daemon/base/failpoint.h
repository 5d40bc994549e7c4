// Places where a test may have the process killed, as if by `kill -9`, at exactly that line.
//
// A test arms one by creating the file $PLUGIND_FAILPOINT_DIR/NAME; reaching the failpoint removes
// the file and kills the process, so that its successor passes. Compiled to nothing unless
// PLUGIND_FAILPOINTS is on (never in a release).
#pragma once

namespace plugind {

#if defined(PLUGIND_FAILPOINTS)
void Failpoint(const char* name);
#else
inline void Failpoint(const char*) {}
#endif

}  // namespace plugind

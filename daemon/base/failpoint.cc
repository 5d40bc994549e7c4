#include "daemon/base/failpoint.h"

#if defined(PLUGIND_FAILPOINTS)
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace plugind {

void Failpoint(const char* name) {
  static const char* const kDirectory = std::getenv("PLUGIND_FAILPOINT_DIR");
  if (kDirectory == nullptr) return;
  const std::string path = std::string(kDirectory) + "/" + name;
  if (::unlink(path.c_str()) == 0) ::kill(::getpid(), SIGKILL);
}

}  // namespace plugind
#endif

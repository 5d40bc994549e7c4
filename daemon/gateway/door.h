// The three kinds of socket that callers connect to, which decide who a caller is and where its
// calls may go.
#pragma once

#include <string>

namespace plugind::gateway {

struct Door {
  enum class Kind {
    kFront,   // plugind.sock: the control server and, by service or by plugind-plugin, any plugin
    kPlugin,  // plugins/NAME.sock: that plugin, whatever the method
    kHost,    // i/ID/host.sock: for the processes of `plugin` alone
  };
  Kind kind = Kind::kFront;
  std::string plugin;
};

}  // namespace plugind::gateway

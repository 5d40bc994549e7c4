// Failure is what ends serve() before it served: a sentence for whoever reads stderr. Thrown inside
// the SDK only and caught in Plugin::serve, so that authors need not handle it and a plugin can be
// built without Abseil.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>

namespace plugind::sdk {

class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "WHAT: No such file or directory"
inline Failure ErrnoFailure(int error, const std::string& what) {
  return Failure(what + ": " + std::strerror(error));
}

}  // namespace plugind::sdk

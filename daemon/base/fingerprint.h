// A fingerprint of bytes, to tell whether something is still what it was: in memory, and in records
// that outlive plugind, so it stays as it is. Not for what a stranger chooses: collisions are easy
// to make.
#pragma once

#include <cstdint>
#include <string_view>

namespace plugind {

// FNV-1a, 64 bits (www.isthe.com/chongo/tech/comp/fnv).
constexpr uint64_t Fingerprint(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325U;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
  return hash;
}
// The algorithm's published values.
static_assert(Fingerprint("") == 0xcbf29ce484222325U);
static_assert(Fingerprint("foobar") == 0x85944171f73967e8U);

}  // namespace plugind

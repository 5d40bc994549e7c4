// "Did you mean …?": the known word that is nearest to a mistyped one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace plugind::config {

// Insertions, deletions, replacements and swaps of neighbours (each neighbour swapped once at most)
// between two words.
size_t EditDistance(std::string_view a, std::string_view b);

// The nearest of `known`, the first among equals; empty when none is near enough to be what was
// meant.
std::string Nearest(std::string_view word, const std::vector<std::string>& known);

// `; did you mean "NEAREST"?`, or empty.
std::string DidYouMean(std::string_view word, const std::vector<std::string>& known);

}  // namespace plugind::config

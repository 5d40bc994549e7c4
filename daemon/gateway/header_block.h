// The headers of one message in one piece of memory that is used again and again, and the list of
// them that nghttp2 takes.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plugind::gateway {

class HeaderBlock {
 public:
  void Add(std::string_view name, std::string_view value) {
    entries_.push_back({bytes_.size(), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    bytes_.append(name).append(value);
  }
  // Not for HPACK's dynamic table: it will not come again and would push out what does.
  void AddUnique(std::string_view name, std::string_view value) {
    Add(name, value);
    entries_.back().flags = NGHTTP2_NV_FLAG_NO_INDEX;
  }
  void AddAll(const HeaderBlock& other) {
    for (Entry entry : other.entries_) {
      entry.at += bytes_.size();
      entries_.push_back(entry);
    }
    bytes_.append(other.bytes_);
  }
  void Clear() {
    bytes_.clear();
    entries_.clear();
  }
  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }

  // The first value of `name`; "" if there is none. Valid until the block changes.
  std::string_view Find(std::string_view name) const {
    for (const Entry& entry : entries_) {
      if (Name(entry) == name) return Value(entry);
    }
    return {};
  }

  // Valid until the block changes. nghttp2 copies what it is given.
  const std::vector<nghttp2_nv>& List() {
    list_.clear();
    for (const Entry& entry : entries_) {
      list_.push_back(
          {Bytes(entry.at), Bytes(entry.at + entry.name), entry.name, entry.value, entry.flags});
    }
    return list_;
  }

 private:
  struct Entry {
    size_t at;
    size_t name;
    size_t value;
    uint8_t flags;
  };
  std::string_view Name(const Entry& entry) const {
    return std::string_view(bytes_).substr(entry.at, entry.name);
  }
  std::string_view Value(const Entry& entry) const {
    return std::string_view(bytes_).substr(entry.at + entry.name, entry.value);
  }
  uint8_t* Bytes(size_t at) { return reinterpret_cast<uint8_t*>(bytes_.data()) + at; }

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<nghttp2_nv> list_;
};

}  // namespace plugind::gateway

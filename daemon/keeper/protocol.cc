#include "daemon/keeper/protocol.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "daemon/base/codec.h"

namespace plugind::keeper {
namespace {

constexpr uint8_t kFirstCommand = 1;
constexpr uint8_t kFirstReport = 65;

// Both directions of the codec behind one call, so that each message lists its fields once.
class Out {
 public:
  template <typename... T>
  void operator()(const T&... fields) {
    (One(fields), ...);
  }
  std::string Take() { return writer_.Take(); }

 private:
  template <typename T>
  void One(const T& value) {
    writer_.Put(value);
  }
  void One(const std::optional<Identity>& identity) {
    writer_.Put(identity.has_value());
    if (identity) writer_.Put(identity->uid).Put(identity->gid).Put(identity->groups);
  }
  void One(const ExitStatus& s) { (*this)(s.code, s.signal, s.core, s.oom); }

  Writer writer_;
};

class In {
 public:
  explicit In(std::string_view bytes) : reader_(bytes) {}
  template <typename... T>
  void operator()(T&... fields) {
    (One(fields), ...);
  }
  bool Done() const { return valid_ && reader_.Done(); }

 private:
  template <typename T>
  requires std::is_integral_v<T>
  void One(T& value) { value = reader_.Get<T>(); }
  void One(bool& value) {
    const auto byte = reader_.Get<uint8_t>();
    valid_ = valid_ && byte <= 1;
    value = byte == 1;
  }
  void One(SpawnStep& value) {
    const auto byte = reader_.Get<uint8_t>();
    valid_ = valid_ && byte <= static_cast<uint8_t>(SpawnStep::kExec);
    value = valid_ ? static_cast<SpawnStep>(byte) : SpawnStep::kExec;
  }
  void One(std::string& value) { value = reader_.GetString(); }
  void One(std::vector<std::string>& value) { value = reader_.GetStrings(); }
  void One(std::vector<int32_t>& value) { value = reader_.GetIntegers<int32_t>(); }
  void One(std::optional<Identity>& identity) {
    bool present = false;
    One(present);
    if (!present) return;
    identity.emplace();
    (*this)(identity->uid, identity->gid);
    identity->groups = reader_.GetIntegers<uint32_t>();
  }
  void One(ExitStatus& s) { (*this)(s.code, s.signal, s.core, s.oom); }

  Reader reader_;
  bool valid_ = true;
};

// The fields of each message, in order. `M` is const when writing.
template <typename T, typename M>
concept Is = std::is_same_v<std::remove_const_t<M>, T>;

template <typename Codec, typename M>
void Fields(Codec& codec, M& m) {
  if constexpr (Is<SpawnCommand, M>) {
    auto& s = m.spec;
    codec(s.id, s.plugin, s.path, s.argv, s.env, s.working_directory, s.identity, s.nofile_limit,
          s.core_limit, m.has_executable);
  } else if constexpr (Is<SignalCommand, M>) {
    codec(m.id, m.signal);
  } else if constexpr (Is<PutRecordCommand, M> || Is<RecordReport, M>) {
    codec(m.name, m.bytes);
  } else if constexpr (Is<Welcome, M>) {
    codec(m.version, m.stopping, m.generation, m.cgroup);
  } else if constexpr (Is<AdoptedReport, M>) {
    codec(m.id, m.plugin, m.pid, m.exited, m.status, m.exited_at_ns, m.gone);
  } else if constexpr (Is<SpawnedReport, M>) {
    codec(m.id, m.pid);
  } else if constexpr (Is<SpawnFailedReport, M>) {
    codec(m.id, m.step, m.error);
  } else if constexpr (Is<ExitedReport, M>) {
    codec(m.id, m.status, m.at_ns);
  } else if constexpr (Is<StuckReport, M>) {
    codec(m.id, m.remaining);
  } else if constexpr (requires { m.id; }) {
    codec(m.id);
  } else if constexpr (requires { m.name; }) {
    codec(m.name);
  } else {
    static_assert(std::is_empty_v<std::remove_const_t<M>>, "a message whose fields nobody lists");
  }
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name.find('\0') == name.npos;
}

bool HasNul(const std::string& text) { return text.find('\0') != text.npos; }

bool IsValid(const SpawnSpec& spec) {
  return IsName(spec.plugin) && spec.path.starts_with('/') && !HasNul(spec.path) &&
         !spec.argv.empty() && !HasNul(spec.working_directory) &&
         std::none_of(spec.argv.begin(), spec.argv.end(), HasNul) &&
         std::none_of(spec.env.begin(), spec.env.end(), HasNul);
}

template <typename M>
bool IsValid(const M& m) {
  if constexpr (requires { m.spec; }) {
    return IsInstanceId(m.spec.id) && IsValid(m.spec);
  } else if constexpr (requires { m.id; }) {
    if constexpr (requires { m.plugin; }) {
      if (!IsName(m.plugin)) return false;
    }
    if constexpr (requires { m.remaining; }) {
      if (m.remaining.size() > kMaxStuckPids) return false;
    }
    return IsInstanceId(m.id);
  } else if constexpr (requires { m.name; }) {
    if constexpr (requires { m.bytes; }) {
      if (m.bytes.size() > kMaxRecordBytes) return false;
    }
    return IsName(m.name);
  } else {
    return true;
  }
}

template <typename Variant>
std::string EncodeAs(uint8_t first, const Variant& message) {
  Out out;
  out(static_cast<uint8_t>(first + message.index()));
  std::visit([&](const auto& m) { Fields(out, m); }, message);
  return out.Take();
}

template <typename Variant, size_t kIndex = 0>
std::optional<Variant> DecodeAs(uint8_t first, std::string_view bytes) {
  if constexpr (kIndex == std::variant_size_v<Variant>) {
    return std::nullopt;
  } else {
    if (bytes.empty() || bytes.size() > kMaxMessageBytes) return std::nullopt;
    if (static_cast<uint8_t>(bytes.front()) != first + kIndex) {
      return DecodeAs<Variant, kIndex + 1>(first, bytes);
    }
    In in(bytes.substr(1));
    std::variant_alternative_t<kIndex, Variant> m;
    Fields(in, m);
    if (!in.Done() || !IsValid(m)) return std::nullopt;
    return m;
  }
}

}  // namespace

std::string Encode(const Command& command) { return EncodeAs(kFirstCommand, command); }
std::string Encode(const Report& report) { return EncodeAs(kFirstReport, report); }

std::optional<Command> DecodeCommand(std::string_view bytes) {
  return DecodeAs<Command>(kFirstCommand, bytes);
}
std::optional<Report> DecodeReport(std::string_view bytes) {
  return DecodeAs<Report>(kFirstReport, bytes);
}

bool IsInstanceId(std::string_view id) {
  return !id.empty() && id.size() <= 32 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

}  // namespace plugind::keeper

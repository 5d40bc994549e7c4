#include "daemon/keeper/keeper_harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "daemon/keeper/channel.h"
#include "daemon/keeper/proc.h"

namespace plugind::keeper {
namespace {

constexpr int kLimitMs = 10'000;

bool Readable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, kLimitMs) == 1;
}

}  // namespace

KeeperHarness::KeeperHarness(std::vector<std::string> environment) {
  std::string name = (std::filesystem::temp_directory_path() / "keeper.XXXXXX").string();
  directory_ = ::mkdtemp(name.data());
  const std::string path = directory_ + "/test.sock";
  listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(listener_.get(), 8), 0);

  environment.push_back("KEEPER_TEST_SOCKET=" + path);
  environment.push_back("PLUGIND_FAILPOINT_DIR=" + directory_);
  for (const char* inherited : {"PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS"}) {
    const char* value = std::getenv(inherited);
    if (value != nullptr) environment.push_back(std::string(inherited) + "=" + value);
  }
  std::vector<char*> env;
  for (std::string& entry : environment) env.push_back(entry.data());
  env.push_back(nullptr);
  const std::string log = directory_ + "/stderr";
  keeper_ = ::fork();
  if (keeper_ == 0) {
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(file, STDERR_FILENO);
    ::signal(SIGPIPE, SIG_IGN);  // as a careless parent would: it must not reach plugins
    ::execle(KEEPER_PROGRAM, KEEPER_PROGRAM, "--", KEEPER_TEST_PROGRAM, "brain", nullptr,
             env.data());
    ::_exit(127);
  }
}

KeeperHarness::~KeeperHarness() {
  // In an orderly way: in its end the keeper kills the orphans too, which its own death would
  // leave.
  if (keeper_ > 0 && client_ != nullptr && !lost_) {
    client_->BeginStop();
    EndBrain(0);
    EXPECT_EQ(AwaitKeeperExit(), 0);
  }
  if (keeper_ > 0) {
    ::kill(keeper_, SIGKILL);
    ::waitpid(keeper_, nullptr, 0);
  }
  std::filesystem::remove_all(directory_);
}

Inheritance& KeeperHarness::AwaitBrain(bool serve) {
  client_.reset();
  control_.reset();
  inheritance_ = Inheritance();
  EXPECT_TRUE(Readable(listener_.get())) << "plugind was not started: " << StandardError();
  control_ = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const auto packets = std::make_unique<PacketReader>();
  EXPECT_TRUE(Readable(control_.get()));
  EXPECT_EQ(packets->Next(control_.get(), true), PacketReader::Got::kPacket);
  brain_ = std::atoi(std::string(packets->bytes()).c_str());
  std::string error;
  UniqueFd socket = packets->TakeFd();
  socket_ = socket.get();
  client_ = Client::Connect(std::move(socket), loop_, &inheritance_, &error);
  EXPECT_NE(client_, nullptr) << error;
  for (const InheritedProcess& process : inheritance_.processes) {
    if (process.exited) seen_[process.id].exited = process.exited;
  }
  if (serve && client_ != nullptr) {
    client_->Observe(*this);
    client_->Ready();
  }
  return inheritance_;
}

bool KeeperHarness::AwaitUnreadReport() { return Readable(socket_); }

void KeeperHarness::KillBrain(int signal) { ::kill(brain_, signal); }

void KeeperHarness::EndBrain(int code) {
  const std::string text = std::to_string(code);
  EXPECT_GT(::send(control_.get(), text.data(), text.size(), MSG_NOSIGNAL), 0);
}

int KeeperHarness::AwaitBrainSignal() {
  char text[16] = {};
  if (!Readable(control_.get())) return 0;
  return ::recv(control_.get(), text, sizeof text - 1, 0) > 0 ? std::atoi(text) : 0;
}

int KeeperHarness::AwaitKeeperExit() {
  int status = -1;
  const bool ended = Until([&] { return ::waitpid(keeper_, &status, WNOHANG) == keeper_; });
  EXPECT_TRUE(ended) << StandardError();
  if (ended) keeper_ = 0;
  return status;
}

bool KeeperHarness::Until(const std::function<bool()>& done, Duration limit) {
  const Instant give_up = clock_.Now() + limit;
  while (!done()) {
    if (clock_.Now() >= give_up) return false;
    loop_.RunOnce(std::chrono::milliseconds(2));
  }
  return true;
}

std::string KeeperHarness::StandardError() const {
  std::ifstream file(directory_ + "/stderr");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

SpawnSpec KeeperHarness::Spec(const std::string& id, const std::string& mode) {
  return SpecFor(id, {KEEPER_TEST_PROGRAM, mode});
}

SpawnSpec KeeperHarness::SpecFor(const std::string& id, const std::vector<std::string>& command) {
  SpawnSpec spec;
  spec.id = id;
  spec.plugin = "fixture";
  spec.path = command[0];
  spec.argv = command;
  spec.env = {"PATH=/usr/bin:/bin", "PLUGIND_INSTANCE=" + id};
  return spec;
}

Seen& KeeperHarness::Spawn(const SpawnSpec& spec, const UniqueFd& executable) {
  client_->Spawn(spec, executable);
  Seen& seen = seen_[spec.id];
  EXPECT_TRUE(Until([&] { return seen.pid != 0 || seen.failed; })) << StandardError();
  return seen;
}

std::string KeeperHarness::Read(const UniqueFd& fd, const std::string& until) {
  std::string text;
  std::array<char, 4096> part{};
  while (until.empty() || text.find(until) == std::string::npos) {
    if (!Readable(fd.get())) {
      ADD_FAILURE() << "no more to read after: " << text;
      break;
    }
    const ssize_t size = ::read(fd.get(), part.data(), part.size());
    if (size <= 0) break;
    text.append(part.data(), static_cast<size_t>(size));
  }
  return text;
}

void KeeperHarness::OnSpawned(std::string_view id, int pid, UniqueFd out, UniqueFd err) {
  Seen& seen = seen_[std::string(id)];
  seen.pid = pid;
  seen.stdout_pipe = std::move(out);
  seen.stderr_pipe = std::move(err);
}
void KeeperHarness::OnSpawnFailed(std::string_view id, SpawnStep step, int error) {
  seen_[std::string(id)].failed = {step, error};
}
void KeeperHarness::OnExited(std::string_view id, const ExitStatus& status, Instant at) {
  Seen& seen = seen_[std::string(id)];
  EXPECT_FALSE(seen.exited) << "told twice";
  seen.exited = status;
  seen.exited_at = at;
}
void KeeperHarness::OnGone(std::string_view id) {
  Seen& seen = seen_[std::string(id)];
  EXPECT_TRUE(seen.exited) << "gone before it exited";
  EXPECT_FALSE(seen.gone) << "told twice";
  seen.gone = true;
}
void KeeperHarness::OnStuck(std::string_view id, const std::vector<int>& remaining) {
  seen_[std::string(id)].stuck = remaining;
}

bool IsAlive(int pid) {
  const char state = StatOf(pid).state;
  return state != 0 && state != 'Z' && state != 'X';
}

std::vector<int> LiveDescendants(int pid) {
  std::vector<int> all = ChildrenOf(pid);
  for (size_t i = 0; i < all.size(); ++i) {
    for (const int child : ChildrenOf(all[i])) all.push_back(child);
  }
  return all;
}

}  // namespace plugind::keeper

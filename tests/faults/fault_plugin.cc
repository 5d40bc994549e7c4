// One plugin with every misbehaviour that plugind must survive: `fault_plugin MODE [KEY=VALUE
// ...]`. The numbers at the modes are those of the list of faults in README.md. Free of gRPC, so
// that hundreds can be spawned in a second.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/faults/tiny_server.h"

extern char** environ;

namespace plugind::faults {
namespace {

// ---- The command line ----

class Options {
 public:
  Options(int argc, char** argv) {
    for (int i = 2; i < argc; ++i) {
      const std::string_view word = argv[i];
      const size_t equals = word.find('=');
      values_[std::string(word.substr(0, equals))] = word.substr(equals + 1);
    }
  }
  std::string Text(const std::string& key, const std::string& otherwise) const {
    const auto found = values_.find(key);
    return found == values_.end() ? otherwise : found->second;
  }
  long Number(const std::string& key, long otherwise) const {
    const auto found = values_.find(key);
    return found == values_.end() ? otherwise : std::stol(found->second);
  }

 private:
  std::map<std::string, std::string> values_;
};

// ---- What every plugin does, by hand ----

[[noreturn]] void Fail(const char* what) {
  std::fprintf(stderr, "fault_plugin: %s: %s\n", what, std::strerror(errno));
  std::_Exit(1);
}

[[noreturn]] void WaitForever() {
  while (true) ::pause();
}

void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) std::_Exit(2);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void Pause(long milliseconds) {
  timespec left{milliseconds / 1000, (milliseconds % 1000) * 1'000'000};
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

std::string OwnDirectory() {
  const char* directory = std::getenv("PLUGIN_UNIX_SOCKET_DIR");
  if (directory == nullptr) {
    std::fputs(
        "fault_plugin: this is a plugin for plugind's tests; it is not meant to be run by hand\n",
        stderr);
    std::_Exit(1);
  }
  return directory;
}

std::string OwnSocket() { return OwnDirectory() + "/p.sock"; }

int Listen(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    Fail(path.c_str());
  }
  path.copy(address.sun_path, path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(fd, 64) != 0) {
    Fail(path.c_str());
  }
  return fd;
}

struct Handshake {
  std::string core = "1";
  std::string app = "1";
  std::string network = "unix";
  std::string address = {};
  std::string rest = "|grpc";

  std::string Line() const {
    return core + '|' + app + '|' + network + '|' + address + rest + '\n';
  }
};

void Announce(const std::string& address) {
  WriteAll(STDOUT_FILENO, Handshake{.address = address}.Line());
}

int TimerFd(long first_ms, long every_ms) {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  const auto spec = [](long ms) { return timespec{ms / 1000, (ms % 1000) * 1'000'000}; };
  const itimerspec when{spec(every_ms), spec(first_ms)};
  if (fd < 0 || ::timerfd_settime(fd, 0, &when, nullptr) != 0) Fail("timerfd");
  return fd;
}

void Drain(int timer) {
  uint64_t expirations = 0;
  if (::read(timer, &expirations, sizeof(expirations)) < 0 && errno != EINTR) Fail("timerfd");
}

// ---- Serving, with what can be asked for in every mode that serves ----
//
// lines=MS          "line N" on stdout every MS milliseconds, N from 1
// stream=stderr     … on stderr instead
// crash_after_ms=MS exits, by itself with exit=CODE (default 1) or by signal=N
// watch=no          serves health by Check only
// SIGUSR1, SIGUSR2  health turns NOT_SERVING, SERVING; SIGTERM: exit 0

struct Serving {
  Behaviour behaviour = {};
  bool ignores_sigterm = false;
  std::function<void()> at_start = {};  // when everything is there that it serves with
};

[[noreturn]] void End(const Options& options) {
  const int signal = static_cast<int>(options.Number("signal", 0));
  if (signal != 0) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  }
  std::_Exit(static_cast<int>(options.Number("exit", 1)));
}

[[noreturn]] void Serve(int listener, const Options& options, Serving serving) {
  serving.behaviour.watch = options.Text("watch", "yes") == "yes";
  TinyServer server(listener, serving.behaviour);

  sigset_t handled;
  sigemptyset(&handled);
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM}) sigaddset(&handled, signal);
  ::sigprocmask(SIG_BLOCK, &handled, nullptr);
  const int signals = ::signalfd(-1, &handled, SFD_CLOEXEC);
  server.OnReadable(signals, [&] {
    signalfd_siginfo info{};
    if (::read(signals, &info, sizeof(info)) != sizeof(info)) Fail("signalfd");
    if (info.ssi_signo == SIGUSR1) server.SetServing(false);
    if (info.ssi_signo == SIGUSR2) server.SetServing(true);
    if (info.ssi_signo == SIGTERM && !serving.ignores_sigterm) std::_Exit(0);
  });

  if (const long crash_after = options.Number("crash_after_ms", -1); crash_after >= 0) {
    // 0 would disarm the timer.
    const int timer = TimerFd(std::max(crash_after, 1L), 0);
    server.OnReadable(timer, [&] { End(options); });
  }
  long line = 0;
  if (const long every = options.Number("lines", 0); every > 0) {
    const int timer = TimerFd(every, every);
    const int stream = options.Text("stream", "stdout") == "stderr" ? STDERR_FILENO : STDOUT_FILENO;
    server.OnReadable(timer, [&line, timer, stream] {
      Drain(timer);
      WriteAll(stream, "line " + std::to_string(++line) + '\n');
    });
  }
  if (serving.at_start) serving.at_start();
  server.Run();
}

[[noreturn]] void ListenAndServe(const Options& options, Serving serving = {}) {
  const int listener = Listen(OwnSocket());
  Announce(OwnSocket());
  Serve(listener, options, serving);
}

// A handshake that must be refused, over a listener that is in perfect order.
[[noreturn]] void Refused(Handshake handshake) {
  Listen(OwnSocket());
  if (handshake.address.empty()) handshake.address = OwnSocket();
  WriteAll(STDOUT_FILENO, handshake.Line());
  WaitForever();
}

// ---- The modes ----

void Good(const Options& options) { ListenAndServe(options); }

// Ends before any handshake.
void Exits(const Options& options) {
  Pause(options.Number("after_ms", 0));
  std::cerr << options.Text("says", "cannot go on") << std::endl;
  End(options);
}

void NeverPrints(const Options&) { WaitForever(); }  // 1

void Garbage(const Options& options) {  // 2
  const long lines = options.Number("count", 100);
  for (long i = 0; i < lines; ++i) {
    std::string line = "\x1b[31m" + std::to_string(i) + "\xff\xfe";
    line.push_back('\0');
    WriteAll(STDOUT_FILENO,
             line + "|" + std::string(20, static_cast<char>(128 + i % 128)) + "\r\n");
  }
  WaitForever();
}

void NoNewline1Gib(const Options&) {  // 3
  const std::string chunk(1 << 20, 'x');
  for (int i = 0; i < 1024; ++i) WriteAll(STDOUT_FILENO, chunk);
  WaitForever();
}

void ClosesStdout(const Options& options) {  // 4
  if (options.Text("when", "before") == "before") {
    ::close(STDOUT_FILENO);
    WaitForever();
  }
  const int listener = Listen(OwnSocket());
  Announce(OwnSocket());
  ::close(STDOUT_FILENO);
  Serve(listener, options, {});
}

void WrongCore(const Options&) { Refused({.core = "2"}); }        // 5
void WrongAppVersion(const Options&) { Refused({.app = "99"}); }  // 6
void NetRpc(const Options& options) {                             // 7
  Refused({.rest = options.Text("field", "present") == "absent" ? "" : "|netrpc"});
}
void BadCertificate(const Options&) {  // 8; longer than the 50 characters that go-plugin lets pass
  Refused({.rest = "|grpc|" + std::string(64, '!')});
}

void AddressOutside(const Options& options) {  // 9; beside=SUFFIX: of its directory's name
  const std::string beside = options.Text("beside", "");
  const std::string elsewhere = options.Text("path", OwnDirectory() + "/../../../outside.sock");
  const std::string path = beside.empty() ? elsewhere : OwnDirectory() + beside;
  Listen(path);
  Announce(path);
  WaitForever();
}

void AddressSymlink(const Options& options) {  // 10
  const std::string target = options.Text("path", OwnDirectory() + "/real.sock");
  if (options.Text("path", "").empty()) Listen(target);
  if (::symlink(target.c_str(), OwnSocket().c_str()) != 0) Fail("symlink");
  Announce(OwnSocket());
  WaitForever();
}
void AddressFifo(const Options&) {
  if (::mkfifo(OwnSocket().c_str(), 0600) != 0) Fail("mkfifo");
  Announce(OwnSocket());
  WaitForever();
}
void AddressFile(const Options&) {
  std::ofstream(OwnSocket()) << "not a socket\n";
  Announce(OwnSocket());
  WaitForever();
}
// A hard link to the socket of another process: inside the directory, a socket, and not its own.
void AddressSibling(const Options& options) {
  if (::link(options.Text("path", "").c_str(), OwnSocket().c_str()) != 0) Fail("link");
  Announce(OwnSocket());
  WaitForever();
}

void TcpOtherHost(const Options& options) {  // 11; an address set aside for documentation
  Refused({.network = "tcp", .address = options.Text("address", "192.0.2.1:50051")});
}
// What 11 must not be confused with: TCP on loopback, where the configuration allows it.
void TcpLoopback(const Options& options) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 64) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    Fail("tcp");
  }
  const std::string port = std::to_string(ntohs(address.sin_port));
  WriteAll(STDOUT_FILENO, Handshake{.network = "tcp", .address = "127.0.0.1:" + port}.Line());
  Serve(listener, options, {});
}

void TwoHandshakes(const Options& options) {  // 12
  const int listener = Listen(OwnSocket());
  const std::string other = OwnDirectory() + "/other.sock";
  Listen(other);
  WriteAll(STDOUT_FILENO,
           Handshake{.address = OwnSocket()}.Line() + Handshake{.address = other}.Line());
  Serve(listener, options, {});
}

void SlowHandshake(const Options& options) {  // 13
  const int listener = Listen(OwnSocket());
  for (const char byte : Handshake{.address = OwnSocket()}.Line()) {
    WriteAll(STDOUT_FILENO, {&byte, 1});
    Pause(options.Number("byte_ms", 1000));
  }
  Serve(listener, options, {});
}

void ListensThenDies(const Options& options) {  // 14
  Listen(OwnSocket());
  Announce(OwnSocket());
  End(options);
}

void PrintsBeforeListening(const Options& options) {  // 15
  Announce(OwnSocket());
  Pause(options.Number("after_ms", 300));
  Serve(Listen(OwnSocket()), options, {});
}
void NeverListens(const Options&) {
  Announce(OwnSocket());
  WaitForever();
}

void HealthHangs(const Options& options) {
  ListenAndServe(options, {{.health_hangs = true}});
}  // 16

void HealthFlaps(const Options& options) {  // 17; the signals decide
  ListenAndServe(options, {{.serving = options.Text("at_start", "serving") == "serving"}});
}

void StopsItself(const Options& options) {  // 18
  if (options.Text("when", "before") == "before") ::raise(SIGSTOP);
  ListenAndServe(options);  // and the test sends the SIGSTOP afterwards
}

void IgnoresSigterm(const Options& options) {
  ListenAndServe(options, {.ignores_sigterm = true});
}  // 19

// A daemon of its own making: another session, another group, no parent that knows it, deaf to
// SIGTERM.
// Returns in both; in the plugin itself only when the other is there.
void Detach() {
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) Fail("pipe");
  char byte = 0;
  if (::fork() != 0) {
    ::close(ready[1]);
    if (::read(ready[0], &byte, 1) != 1) Fail("detached process");
    ::close(ready[0]);
    return;
  }
  ::setsid();
  if (::fork() != 0) std::_Exit(0);
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  ::prctl(PR_SET_PDEATHSIG, 0);
  WriteAll(ready[1], {&byte, 1});
  ::close(ready[0]);
  ::close(ready[1]);
}

void DoubleForks(const Options& options) {  // 20; its descendant keeps no pipe
  const pid_t self = ::getpid();
  Detach();
  if (::getpid() != self) {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(fd);
    WaitForever();
  }
  ListenAndServe(options);
}

void GrandchildKeepsPipes(const Options& options) {  // 21; crash_after_ms ends the main process
  const pid_t self = ::getpid();
  Detach();
  if (::getpid() != self) WaitForever();
  ListenAndServe(options);
}

void UseUpFds() {
  while (::dup(STDIN_FILENO) >= 0) {
  }
}

void LeaksFds(const Options& options) {  // 22; when=serving: one with each request that it takes
  const int listener = Listen(OwnSocket());
  if (options.Text("when", "before") == "serving") {
    Announce(OwnSocket());
    Serve(listener, options, {{.leaks = true}});
  }
  Serve(listener, options, {.at_start = [] {
          UseUpFds();
          Announce(OwnSocket());
        }});
}

void FloodsStderr(const Options& options) {  // 25
  const int listener = Listen(OwnSocket());
  Announce(OwnSocket());
  const std::string line(static_cast<size_t>(options.Number("width", 100)) - 1, 'e');
  std::string chunk;
  while (chunk.size() < (1 << 20)) chunk += line + '\n';
  for (long left = options.Number("mib", 256); left > 0; --left) WriteAll(STDERR_FILENO, chunk);
  std::cerr << "flooded with " << options.Number("mib", 256) * static_cast<long>(chunk.size())
            << " bytes" << std::endl;
  Serve(listener, options, {});
}

void RewritesBinary(
    const Options& options) {  // 26; crash_after_ms shows what its successor is made of
  const std::string self = "/proc/self/exe";
  std::string path(4096, '\0');
  const ssize_t size = ::readlink(self.c_str(), path.data(), path.size());
  if (size <= 0) Fail("readlink");
  path.resize(static_cast<size_t>(size));
  const std::string fresh = path + ".new";
  std::ofstream(fresh) << options.Text("with",
                                       "\x7f"
                                       "ELF, or so it says\n");
  if (::chmod(fresh.c_str(), 0755) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0)
    Fail("rename");
  ListenAndServe(options);
}

// 31; asks for more connections at its own door than anyone may have, and talks nonsense on them.
void FloodsHost(const Options& options) {
  const std::string door = std::getenv("PLUGIND_HOST_ADDRESS");
  const std::string path = options.Text("path", door.substr(std::strlen("unix:")));
  const int listener = Listen(OwnSocket());
  Announce(OwnSocket());
  if (::fork() != 0) Serve(listener, options, {});
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const std::string nonsense(1000, '\xff');
  constexpr size_t kAtOnce = 200;
  for (std::vector<int> open;;) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      if (open.size() % 2 == 0) (void)!::send(fd, nonsense.data(), nonsense.size(), MSG_NOSIGNAL);
      open.push_back(fd);
    } else {
      ::close(fd);
    }
    if (open.size() < kAtOnce) continue;
    for (const int one : open) ::close(one);
    open.clear();
  }
}

// Not a fault: what a plugin process finds around it, as one "KEY VALUE" a line on stderr, for the
// test to compare.
void Reports(const Options& options) {
  for (char** variable = environ; *variable != nullptr; ++variable)
    std::cerr << "env " << *variable << '\n';
  for (int fd = 0; fd < 1024; ++fd) {
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    std::string target(4096, '\0');
    const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
    if (size > 0)
      std::cerr << "fd " << fd << ' ' << target.substr(0, static_cast<size_t>(size)) << '\n';
  }
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    for (const std::string_view key : {"SigBlk", "SigIgn", "NoNewPrivs", "Uid", "Gid", "Groups"}) {
      if (line.starts_with(key)) std::cerr << "status " << line << '\n';
    }
  }
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  struct stat directory {};
  ::stat(OwnDirectory().c_str(), &directory);
  std::string here(4096, '\0');
  if (::getcwd(here.data(), here.size()) == nullptr) Fail("getcwd");
  std::cerr << "session " << (::getsid(0) == ::getpid() ? "own" : "shared") << '\n'
            << "nofile " << files.rlim_cur << '\n'
            << "directory-mode " << std::oct << (directory.st_mode & 07777) << std::dec << '\n'
            << "cwd " << here.c_str() << '\n'
            << "end of report" << std::endl;
  ListenAndServe(options);
}

const std::map<std::string_view, void (*)(const Options&)> kModes = {
    {"good", Good},
    {"exits", Exits},
    {"reports", Reports},
    {"never-prints", NeverPrints},
    {"garbage", Garbage},
    {"no-newline-1gib", NoNewline1Gib},
    {"closes-stdout", ClosesStdout},
    {"wrong-core", WrongCore},
    {"wrong-app-version", WrongAppVersion},
    {"netrpc", NetRpc},
    {"bad-certificate", BadCertificate},
    {"address-outside", AddressOutside},
    {"address-symlink", AddressSymlink},
    {"address-fifo", AddressFifo},
    {"address-file", AddressFile},
    {"address-sibling", AddressSibling},
    {"tcp-other-host", TcpOtherHost},
    {"tcp-loopback", TcpLoopback},
    {"two-handshakes", TwoHandshakes},
    {"slow-handshake", SlowHandshake},
    {"listens-then-dies", ListensThenDies},
    {"prints-before-listening", PrintsBeforeListening},
    {"never-listens", NeverListens},
    {"health-hangs", HealthHangs},
    {"health-flaps", HealthFlaps},
    {"stops-itself", StopsItself},
    {"ignores-sigterm", IgnoresSigterm},
    {"double-forks", DoubleForks},
    {"grandchild-keeps-pipes", GrandchildKeepsPipes},
    {"leaks-fds", LeaksFds},
    {"floods-stderr", FloodsStderr},
    {"rewrites-binary", RewritesBinary},
    {"floods-host", FloodsHost},
};

}  // namespace

int Main(int argc, char** argv) {
  const auto mode = argc < 2 ? kModes.end() : kModes.find(argv[1]);
  if (mode == kModes.end()) {
    std::fputs("usage: fault_plugin MODE [KEY=VALUE ...], with MODE one of", stderr);
    for (const auto& [name, run] : kModes) std::cerr << ' ' << name;
    std::cerr << std::endl;
    return 2;
  }
  mode->second(Options(argc, argv));
  return 0;
}

}  // namespace plugind::faults

int main(int argc, char** argv) { return plugind::faults::Main(argc, argv); }

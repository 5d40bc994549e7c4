#include "daemon/keeper/client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

#include <cerrno>
#include <utility>

namespace plugind::keeper {
namespace {

constexpr int kPacketsPerRound = 64;

Instant FromNanoseconds(int64_t count) { return Instant(Duration(count)); }

}  // namespace

Client::Client(UniqueFd socket, EventLoop& loop) : socket_(std::move(socket)), loop_(loop) {}

Client::~Client() { loop_.Unwatch(socket_.get()); }

std::unique_ptr<Client> Client::Connect(UniqueFd socket, EventLoop& loop, Inheritance* inheritance,
                                        std::string* error) {
  if (::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) < 0) {
    *error = "the keeper's socket is not open: plugind must be started by plugind-keeper";
    return nullptr;
  }
  std::unique_ptr<Client> client(new Client(std::move(socket), loop));
  if (!client->ReadGreeting(inheritance, error)) return nullptr;
  return client;
}

bool Client::ReadGreeting(Inheritance* inheritance, std::string* error) {
  const auto fail = [error](std::string why) {
    *error = "the keeper's greeting: " + std::move(why);
    return false;
  };
  for (bool first = true;; first = false) {
    if (packets_.Next(socket_.get(), /*wait=*/true) != PacketReader::Got::kPacket) {
      return fail("the keeper has closed its socket");
    }
    auto report = DecodeReport(packets_.bytes());
    if (!report) return fail("a message that this plugind does not understand");
    if (first != std::holds_alternative<Welcome>(*report)) return fail("messages out of order");
    if (const auto* m = std::get_if<Welcome>(&*report)) {
      if (m->version != kProtocolVersion) {
        return fail("it speaks protocol version " + std::to_string(m->version) +
                    ", this plugind speaks " + std::to_string(kProtocolVersion) +
                    "; stop both and start them anew");
      }
      *inheritance = Inheritance();
      inheritance->stopping = m->stopping;
      inheritance->generation = m->generation;
      inheritance->cgroup = m->cgroup;
    } else if (auto* process = std::get_if<AdoptedReport>(&*report)) {
      InheritedProcess adopted;
      adopted.stdout_pipe = packets_.TakeFd();
      adopted.stderr_pipe = packets_.TakeFd();
      if (!adopted.stderr_pipe.valid()) {
        return fail("no room for the pipes of " + process->plugin + ": too many open files");
      }
      adopted.id = std::move(process->id);
      adopted.plugin = std::move(process->plugin);
      adopted.pid = process->pid;
      if (process->exited) adopted.exited = process->status;
      adopted.exited_at = FromNanoseconds(process->exited_at_ns);
      adopted.gone = process->gone;
      inheritance->processes.push_back(std::move(adopted));
    } else if (auto* record = std::get_if<RecordReport>(&*report)) {
      inheritance->records[record->name] = std::move(record->bytes);
    } else if (auto* kept = std::get_if<KeptFdReport>(&*report)) {
      UniqueFd fd = packets_.TakeFd();
      if (!fd.valid())
        return fail("no room for the kept fd " + kept->name + ": too many open files");
      inheritance->fds[kept->name] = std::move(fd);
    } else if (std::holds_alternative<WelcomeEnd>(*report)) {
      return true;
    } else {
      return fail("messages out of order");
    }
  }
}

void Client::Observe(KeeperObserver& observer) {
  observer_ = &observer;
  loop_.Watch(socket_.get(), EPOLLIN, [this](uint32_t) { Receive(); });
}

void Client::Receive() {
  for (int i = 0; i < kPacketsPerRound; ++i) {
    switch (packets_.Next(socket_.get(), /*wait=*/false)) {
      case PacketReader::Got::kNothing:
        return;
      case PacketReader::Got::kEnd:
        return Lose();
      case PacketReader::Got::kPacket:
        break;
    }
    const auto report = DecodeReport(packets_.bytes());
    if (!report) return Lose();  // a keeper that cannot be understood is no keeper
    Deliver(*report);
  }
}

void Client::Deliver(const Report& report) {
  std::visit(
      Overloaded{
          [this](const SpawnedReport& m) {
            UniqueFd out = packets_.TakeFd();
            UniqueFd err = packets_.TakeFd();
            observer_->OnSpawned(m.id, m.pid, std::move(out), std::move(err));
          },
          [this](const SpawnFailedReport& m) { observer_->OnSpawnFailed(m.id, m.step, m.error); },
          [this](const ExitedReport& m) {
            observer_->OnExited(m.id, m.status, FromNanoseconds(m.at_ns));
          },
          [this](const GoneReport& m) { observer_->OnGone(m.id); },
          [this](const StuckReport& m) {
            observer_->OnStuck(m.id, {m.remaining.begin(), m.remaining.end()});
          },
          // The greeting's, which Connect has taken whole.
          [this](const Welcome&) { Lose(); },
          [this](const AdoptedReport&) { Lose(); },
          [this](const RecordReport&) { Lose(); },
          [this](const KeptFdReport&) { Lose(); },
          [this](const WelcomeEnd&) { Lose(); },
      },
      report);
}

void Client::Lose() {
  loop_.Unwatch(socket_.get());
  observer_->OnKeeperLost();
}

void Client::Send(const Command& command, const UniqueFd* fd) {
  const std::string bytes = Encode(command);
  for (;;) {
    const Sent sent = fd != nullptr ? SendPacket(socket_.get(), bytes, {fd->get()})
                                    : SendPacket(socket_.get(), bytes, {});
    pollfd writable{socket_.get(), POLLOUT, 0};
    switch (sent) {
      case Sent::kYes:
      case Sent::kBroken:
        return;  // Receive sees the end of the socket, and tells
      case Sent::kFull:
        ::poll(&writable, 1, -1);
        break;
      case Sent::kNoRoom:
        ::poll(nullptr, 0, 1);
        break;  // room appears without an event
    }
  }
}

void Client::Spawn(const SpawnSpec& spec, const UniqueFd& executable) {
  const SpawnCommand command{spec, executable.valid()};
  if (Encode(Command(command)).size() > kMaxMessageBytes) {
    loop_.Post([this, id = spec.id] {
      if (observer_ != nullptr) observer_->OnSpawnFailed(id, SpawnStep::kExec, E2BIG);
    });
    return;
  }
  Send(command, executable.valid() ? &executable : nullptr);
}

void Client::Ready() { Send(ReadyCommand{}); }
void Client::Signal(std::string_view id, int signal) {
  Send(SignalCommand{std::string(id), signal});
}
void Client::KillTree(std::string_view id) { Send(KillTreeCommand{std::string(id)}); }
void Client::Forget(std::string_view id) { Send(ForgetCommand{std::string(id)}); }
void Client::PutRecord(std::string_view name, std::string_view bytes) {
  Send(PutRecordCommand{std::string(name), std::string(bytes)});
}
void Client::DropRecord(std::string_view name) { Send(DropRecordCommand{std::string(name)}); }
void Client::KeepFd(std::string_view name, const UniqueFd& fd) {
  Send(KeepFdCommand{std::string(name)}, &fd);
}
void Client::DropFd(std::string_view name) { Send(DropFdCommand{std::string(name)}); }
void Client::BeginStop() { Send(BeginStopCommand{}); }

}  // namespace plugind::keeper

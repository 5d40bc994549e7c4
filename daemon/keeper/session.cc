#include "daemon/keeper/session.h"

#include <sys/epoll.h>

#include <utility>

#include "daemon/keeper/log.h"

namespace plugind::keeper {
namespace {

constexpr int kPacketsPerRound = 64;
constexpr Duration kNoRoomPause = std::chrono::milliseconds(5);

}  // namespace

Session::Session(UniqueFd socket, EventLoop& loop, ProcessTable& processes, Vault& vault,
                 Welcome welcome, Callbacks callbacks)
    : socket_(std::move(socket)),
      loop_(loop),
      processes_(processes),
      vault_(vault),
      welcome_(std::move(welcome)),
      callbacks_(std::move(callbacks)),
      retry_(loop.timers()) {
  Watch(/*for_room=*/false);
}

Session::~Session() { loop_.Unwatch(socket_.get()); }

void Session::Watch(bool for_room) {
  waits_for_room_ = for_room;
  loop_.Watch(socket_.get(), EPOLLIN | (for_room ? EPOLLOUT : 0U), [this](uint32_t events) {
    if ((events & EPOLLOUT) != 0) {
      Watch(/*for_room=*/false);
      Flush();
    }
    Receive();
  });
}

bool Session::Send(const Report& report, int first_fd, int second_fd) {
  const std::string bytes = Encode(report);
  Sent sent = Sent::kYes;
  if (second_fd >= 0) {
    sent = SendPacket(socket_.get(), bytes, {first_fd, second_fd});
  } else if (first_fd >= 0) {
    sent = SendPacket(socket_.get(), bytes, {first_fd});
  } else {
    sent = SendPacket(socket_.get(), bytes, {});
  }
  switch (sent) {
    case Sent::kYes:
      return true;
    case Sent::kFull:
      Watch(/*for_room=*/true);
      return false;
    case Sent::kNoRoom:
      retry_.Set(loop_.clock().Now() + kNoRoomPause, [this] { Flush(); });
      return false;
    case Sent::kBroken:
      return false;  // it is dying; its pidfd tells
  }
  return false;
}

void Session::Flush() {
  if (waits_for_room_ || retry_.armed()) return;
  if (greeting_ != Greeting::kDone && !SendGreeting()) return;
  while (const auto next = processes_.NextReport()) {
    if (!Send(next->report, next->first_fd, next->second_fd)) return;
    processes_.Told(next->report);
  }
}

bool Session::SendGreeting() {
  const auto begin = [this](Greeting part) {
    greeting_ = part;
    greeted_up_to_.clear();
  };
  if (greeting_ == Greeting::kWelcome) {
    if (!Send(welcome_)) return false;
    begin(Greeting::kProcesses);
  }
  if (greeting_ == Greeting::kProcesses) {
    std::string id;
    while (const auto next = processes_.NextAdoption(greeted_up_to_, &id)) {
      if (!Send(next->report, next->first_fd, next->second_fd)) return false;
      processes_.Adopted(id);
      greeted_up_to_ = id;
    }
    begin(Greeting::kRecords);
  }
  if (greeting_ == Greeting::kRecords) {
    for (auto it = vault_.records.upper_bound(greeted_up_to_); it != vault_.records.end(); ++it) {
      if (!Send(RecordReport{it->first, it->second})) return false;
      greeted_up_to_ = it->first;
    }
    begin(Greeting::kFds);
  }
  for (auto it = vault_.fds.upper_bound(greeted_up_to_); it != vault_.fds.end(); ++it) {
    if (!Send(KeptFdReport{it->first}, it->second.get())) return false;
    greeted_up_to_ = it->first;
  }
  if (!Send(WelcomeEnd{})) return false;
  greeting_ = Greeting::kDone;
  return true;
}

void Session::Receive() {
  for (int i = 0; i < kPacketsPerRound; ++i) {
    switch (packets_.Next(socket_.get(), /*wait=*/false)) {
      case PacketReader::Got::kNothing:
        return;
      case PacketReader::Got::kEnd:
        loop_.Unwatch(socket_.get());
        return callbacks_.closed();
      case PacketReader::Got::kPacket:
        break;
    }
    if (const auto command = DecodeCommand(packets_.bytes())) {
      Execute(*command);
    } else {
      Log("error", "plugind sent a message that is not understood; it is ignored");
    }
  }
}

void Session::Drain() {
  // Its socket is closed: what is queued is all that there will ever be.
  loop_.Unwatch(socket_.get());
  greeting_ = Greeting::kDone;
  waits_for_room_ = true;  // nobody is there to be told
  while (packets_.Next(socket_.get(), /*wait=*/false) == PacketReader::Got::kPacket) {
    if (const auto command = DecodeCommand(packets_.bytes())) Execute(*command);
  }
}

void Session::Execute(const Command& command) {
  const auto with = [this](const std::string& id, auto&& act) {
    if (Process* process = processes_.Find(id)) act(*process);
  };
  const auto has_room = [](const auto& kept, const std::string& name) {
    if (kept.size() < kMaxKept || kept.contains(name)) return true;
    Log("error", "no room to keep " + name + ": plugind keeps too much");
    return false;
  };
  std::visit(
      Overloaded{
          [&](const SpawnCommand& c) { processes_.Spawn(c, packets_.TakeFd()); },
          [&](const SignalCommand& c) { with(c.id, [&](Process& p) { p.Signal(c.signal); }); },
          [&](const KillTreeCommand& c) { with(c.id, [](Process& p) { p.KillTree(); }); },
          [&](const ForgetCommand& c) { with(c.id, [](Process& p) { p.Forget(); }); },
          [&](const PutRecordCommand& c) {
            if (has_room(vault_.records, c.name)) vault_.records[c.name] = c.bytes;
          },
          [&](const DropRecordCommand& c) { vault_.records.erase(c.name); },
          [&](const KeepFdCommand& c) {
            UniqueFd fd = packets_.TakeFd();
            if (!fd.valid())
              return Log("error", "cannot keep the fd " + c.name + ": too many open files");
            if (has_room(vault_.fds, c.name)) vault_.fds[c.name] = std::move(fd);
          },
          [&](const DropFdCommand& c) { vault_.fds.erase(c.name); },
          [&](const BeginStopCommand&) { callbacks_.begin_stop(); },
          [&](const ReadyCommand&) { callbacks_.ready(); },
      },
      command);
}

}  // namespace plugind::keeper

// Denied calls on their way to the audit log and plugind's own: the first of a kind at once, equal
// ones as a count. Owned by Daemon.
#pragma once

#include "daemon/base/event_loop.h"
#include "daemon/observe/audit_log.h"
#include "daemon/observe/daemon_log.h"
#include "daemon/observe/denial_tally.h"

namespace plugind {

class Denials {
 public:
  // `log` may be replaced meanwhile, hence the function. All outlive it, and `loop` runs nothing of
  // what is posted here once it is destroyed.
  Denials(EventLoop& loop, observe::AuditLog& audit, std::function<observe::Logger&()> log);

  // Any thread.
  void Tell(const observe::Denial& denial);
  // Writes what has been counted so far. On the loop.
  void Flush();

 private:
  void WriteFirsts();
  void Write(const observe::DenialTally::Line& line);

  EventLoop& loop_;
  observe::AuditLog& audit_;
  const std::function<observe::Logger&()> log_;
  observe::DenialTally tally_;
  Deadline summary_;
};

}  // namespace plugind

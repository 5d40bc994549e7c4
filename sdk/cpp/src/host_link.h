// HostLink is the plugin's way up: the status text that operators see, and channels to peers. It
// opens nothing before it is asked to. Thread safety: every method may be called on any thread;
// none waits for the host, but for the destructor, which waits for a call that it has cancelled.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace plugind::sdk {

class HostLink {
 public:
  HostLink();
  ~HostLink();
  HostLink(const HostLink&) = delete;
  HostLink& operator=(const HostLink&) = delete;

  // The newest text wins; one that is overtaken by the next may never be sent. Without plugind as
  // the host nothing happens.
  void SetStatus(std::string text);

  // Always the same channel for a name. Throws as plugind::Client does, and std::logic_error
  // without plugind as the host.
  std::shared_ptr<grpc::Channel> Peer(const std::string& name);

  // For a host within this process: what is called in the place of plugind. Before the others.
  struct Stand {
    std::function<void(const std::string& text)> set_status;
    std::function<std::shared_ptr<grpc::Channel>(const std::string& name)> peer;
  };
  void Use(Stand stand);

 private:
  struct StatusCall;

  void SendStatus();  // mutex_ held, and no call under way
  void OnStatusDone(const grpc::Status& status);

  std::mutex mutex_;
  std::condition_variable idle_;
  std::optional<Stand> stand_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> peers_;
  std::shared_ptr<grpc::Channel> host_;
  std::optional<std::string> next_;   // the text to send once `call_` is over
  std::unique_ptr<StatusCall> call_;  // the one under way
  bool over_ = false;
};

}  // namespace plugind::sdk

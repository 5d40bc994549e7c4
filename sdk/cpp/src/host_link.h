// HostLink is the plugin's way up: the status text that operators see, what the host says of the
// plugin and its peers, and channels to them. It opens nothing before it is asked to. Thread
// safety: every method may be called on any thread. Self and Peers wait for the host, the
// destructor for a status text that it has cancelled; nothing else waits.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugind/peers.h"

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

  // As the host says, within 2 s; else HostError, and std::logic_error without plugind as the host.
  Identity Self();
  std::vector<plugind::Peer> Peers();

  // For a host within this process: what is called in the place of plugind. Before the others.
  struct Stand {
    std::function<void(const std::string& text)> set_status;
    std::function<std::shared_ptr<grpc::Channel>(const std::string& name)> peer;
    std::function<Identity()> self;
    std::function<std::vector<plugind::Peer>()> peers;
  };
  void Use(Stand stand);

 private:
  struct StatusCall;

  // Throws as Peer does. mutex_ held.
  const std::shared_ptr<grpc::Channel>& Host();
  // The answer to an empty request of the method of plugind.host.v1.Host.
  std::string Ask(const std::string& method);
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

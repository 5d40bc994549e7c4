// Session against a plugin's end that OpenSSL speaks on another thread.
#include "daemon/tls/session.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/tls/testing/server.h"

namespace plugind::tls {
namespace {

constexpr size_t kMebibyte = size_t{1024} * 1024;
constexpr int kPatience = 30'000;  // ms

Identity Made() {
  std::string error;
  return MakeIdentity(SystemClock().WallNow(), &error).value();
}

std::array<UniqueFd, 2> Pair() {
  int pair[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
  return {UniqueFd(pair[0]), UniqueFd(pair[1])};
}

class SessionTest : public ::testing::Test {
 protected:
  // A server that is `own`, trusts `trusted`, and is expected to be `expected`.
  void Begin(const Identity& own, const Identity& trusted, const Identity& expected,
             bool only_tls_1_2 = false) {
    auto outside = Pair();
    auto inside = Pair();
    socket_ = std::move(outside[0]);
    plain_ = std::move(inside[0]);
    server_.emplace(testing::ServerTerms{own, trusted.certificate, only_tls_1_2},
                    std::move(outside[1]), std::move(inside[1]));
    Connect(expected);
  }
  void Begin() { Begin(plugin_, host_, plugin_); }

  void Connect(const Identity& expected) {
    std::string error;
    const ClientPtr client = Client::Make(host_, testing::DerOf(expected), &error);
    ASSERT_NE(client, nullptr) << error;
    session_.emplace(client, socket_.get());
  }

  // Until there is something to read, or room to write when that was missing.
  void Await() {
    pollfd fd{socket_.get(), static_cast<short>(POLLIN | (session_->blocked() ? POLLOUT : 0)), 0};
    ASSERT_EQ(::poll(&fd, 1, kPatience), 1);
  }

  // All of `bytes`; false when the session fails first.
  bool Send(std::string_view bytes) {
    while (!bytes.empty() || session_->blocked()) {
      const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
      const ssize_t sent = session_->Send({&piece, 1});
      if (sent < 0 && errno != EAGAIN) return false;
      if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
      if (sent < 0) {
        Await();
        TakeIn();
      }
    }
    return true;
  }

  // What is there; false at the end or at a failure.
  bool TakeIn() {
    std::array<char, 5000> room;
    while (true) {
      const ssize_t got = session_->Receive(room);
      if (got < 0 && errno == EAGAIN) return true;
      if (got <= 0) {
        end_ = got;
        return false;
      }
      received_.append(room.data(), static_cast<size_t>(got));
    }
  }
  void ReceiveUntil(size_t size) {
    while (received_.size() < size) {
      Await();
      ASSERT_TRUE(TakeIn()) << session_->trouble();
    }
  }
  void ReceiveUntilEnd() {
    do Await();
    while (TakeIn());
  }

  std::string PlainRead(size_t size) {
    std::string all;
    while (all.size() < size) {
      pollfd fd{plain_.get(), POLLIN, 0};
      if (::poll(&fd, 1, kPatience) != 1) break;
      std::array<char, 65536> room;
      const ssize_t got = ::recv(plain_.get(), room.data(), room.size(), 0);
      if (got <= 0) break;
      all.append(room.data(), static_cast<size_t>(got));
      if (session_->blocked()) session_->Flush();
    }
    return all;
  }

  const Identity host_ = Made();
  const Identity plugin_ = Made();
  UniqueFd socket_;
  UniqueFd plain_;
  std::optional<testing::Server> server_;
  std::optional<Session> session_;
  std::string received_;
  ssize_t end_ = 1;
};

TEST_F(SessionTest, CarriesBytesBothWays) {
  Begin();
  ASSERT_TRUE(Send("to the plugin"));
  EXPECT_EQ(PlainRead(13), "to the plugin");
  ASSERT_EQ(::send(plain_.get(), "and back", 8, 0), 8);
  ReceiveUntil(8);
  EXPECT_EQ(received_, "and back");
  EXPECT_TRUE(session_->secured());
  EXPECT_EQ(session_->trouble(), "");
}

TEST_F(SessionTest, SpeaksTls12WithAPluginThatKnowsNoBetter) {
  Begin(plugin_, host_, plugin_, /*only_tls_1_2=*/true);
  ASSERT_TRUE(Send("hello"));
  EXPECT_EQ(PlainRead(5), "hello");
}

TEST_F(SessionTest, TakesMoreThanTheSocketDoesAndSaysSo) {
  Begin();
  ASSERT_TRUE(Send("x"));
  EXPECT_EQ(PlainRead(1), "x");
  // Nobody reads at the other end.
  const std::string much(16 * kMebibyte, 'y');
  size_t sent = 0;
  while (true) {
    const iovec piece{const_cast<char*>(much.data()) + sent, much.size() - sent};
    const ssize_t taken = session_->Send({&piece, 1});
    if (taken < 0) break;
    ASSERT_LE(static_cast<size_t>(taken), Session::kSealAtOnce);
    sent += static_cast<size_t>(taken);
    ASSERT_LT(sent, much.size());
  }
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_TRUE(session_->blocked());
  EXPECT_EQ(PlainRead(sent), much.substr(0, sent));
  EXPECT_FALSE(session_->blocked());
}

TEST_F(SessionTest, ManySmallPiecesArriveInOrder) {
  Begin();
  std::vector<std::string> texts;
  std::vector<iovec> pieces;
  std::string all;
  for (size_t i = 0; i < 60; ++i) texts.emplace_back(i * 30, static_cast<char>('0' + i));
  for (std::string& text : texts) {
    pieces.push_back({text.data(), text.size()});
    all += text;
  }
  ASSERT_TRUE(Send("."));
  size_t sent = 0;
  while (!pieces.empty()) {
    const ssize_t taken = session_->Send(pieces);
    if (taken < 0) {
      ASSERT_EQ(errno, EAGAIN);
      Await();
      TakeIn();
      continue;
    }
    sent += static_cast<size_t>(taken);
    ASSERT_EQ(sent, all.size());  // less than is taken at once
    pieces.clear();
  }
  EXPECT_EQ(PlainRead(all.size() + 1), "." + all);
}

TEST_F(SessionTest, ReceivesAMebibyteThatComesAtOnce) {
  Begin();
  ASSERT_TRUE(Send("x"));
  EXPECT_EQ(PlainRead(1), "x");
  const std::string much(kMebibyte, 'z');
  std::thread writer([&] {
    size_t sent = 0;
    while (sent < much.size()) {
      pollfd fd{plain_.get(), POLLOUT, 0};
      ::poll(&fd, 1, kPatience);
      const ssize_t size = ::send(plain_.get(), much.data() + sent, much.size() - sent, 0);
      if (size > 0) sent += static_cast<size_t>(size);
    }
  });
  ReceiveUntil(much.size());
  writer.join();
  EXPECT_EQ(received_, much);
}

TEST_F(SessionTest, TellsTheEndAfterWhatCameBeforeIt) {
  Begin();
  ASSERT_TRUE(Send("x"));
  EXPECT_EQ(PlainRead(1), "x");
  ASSERT_EQ(::send(plain_.get(), "last", 4, 0), 4);
  plain_.reset();
  ReceiveUntilEnd();
  EXPECT_EQ(received_, "last");
  EXPECT_EQ(end_, 0);
}

TEST_F(SessionTest, RefusesAnotherCertificateThanTheHandshakes) {
  Begin(plugin_, host_, /*expected=*/Made());
  EXPECT_FALSE(Send("x"));
  EXPECT_EQ(errno, EPROTO);
  EXPECT_TRUE(session_->impostor());
  EXPECT_NE(session_->trouble().find("is not the one of its handshake"), std::string::npos)
      << session_->trouble();
  // And for ever.
  EXPECT_FALSE(Send("x"));
  EXPECT_FALSE(TakeIn());
}

TEST_F(SessionTest, SaysThatThePluginDidNotTakeItsCertificate) {
  Begin(plugin_, /*trusted=*/Made(), plugin_);
  // In TLS 1.3 the client's handshake is over before the server looks at its certificate.
  Send("x");
  ReceiveUntilEnd();
  EXPECT_FALSE(session_->impostor());
  EXPECT_NE(session_->trouble().find("alert"), std::string::npos) << session_->trouble();
}

TEST_F(SessionTest, SaysThatAPluginSpeaksNoTls) {
  auto pair = Pair();
  socket_ = std::move(pair[0]);
  Connect(plugin_);
  ASSERT_EQ(::send(pair[1].get(), "PRI * HTTP/2.0\r\n\r\n", 18, 0), 18);
  EXPECT_FALSE(Send("x"));
  EXPECT_EQ(errno, EPROTO);
  EXPECT_FALSE(session_->impostor());
  EXPECT_NE(session_->trouble().find("TLS with the plugin failed"), std::string::npos);
}

TEST_F(SessionTest, SaysThatAPluginHungUpDuringTheHandshake) {
  auto pair = Pair();
  socket_ = std::move(pair[0]);
  Connect(plugin_);
  pair[1].reset();
  EXPECT_FALSE(Send("x"));
  EXPECT_TRUE(errno == EPROTO || errno == EPIPE || errno == ECONNRESET) << errno;
}

TEST(ClientTest, NamesWhatIsOfNoUse) {
  std::string error;
  const Identity identity = Made();
  EXPECT_EQ(Client::Make(identity, "not DER", &error), nullptr);
  EXPECT_NE(error.find("of its handshake"), std::string::npos) << error;
  EXPECT_EQ(Client::Make({identity.certificate, Made().key}, testing::DerOf(identity), &error),
            nullptr);
  EXPECT_NE(error.find("plugind's own"), std::string::npos) << error;
}

}  // namespace
}  // namespace plugind::tls

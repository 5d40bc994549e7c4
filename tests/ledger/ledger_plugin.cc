// The plugin of tests/e2e/test_ledger.py: writes down every call that it executes before it
// answers, with one write(2) to a file opened for appending, so that the book is true whenever it
// is killed.
//
//   ledger_plugin BOOK
//
// Methods of /ledger.v1.Ledger, on raw messages; the first message of a call is its id:
//   Unary, ClientStream   one answer, the id
//   ServerStream          three answers
//   Bidi                  every message echoed
// The same with "Idempotent" before the name. What is written: "ID METHOD\n".
#include <fcntl.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <plugind/plugin.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace {

std::string Text(const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!message.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

class Ledger final : public grpc::CallbackGenericService {
 public:
  explicit Ledger(int book) : book_(book) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Call(book_, context->method());
  }

 private:
  class Call final : public grpc::ServerGenericBidiReactor {
   public:
    Call(int book, const std::string& path)
        : book_(book), method_(path.substr(path.rfind('/') + 1)) {
      StartRead(&message_);
    }
    void OnReadDone(bool ok) override {
      if (!ok) return id_.empty() ? Finish(Invalid()) : OnRequestEnd();
      if (id_.empty() && !Enter()) return;
      if (method_.ends_with("Bidi")) {
        StartWrite(&message_);
      } else {
        StartRead(&message_);
      }
    }
    void OnWriteDone(bool ok) override {
      if (!ok) return Finish(grpc::Status::CANCELLED);
      if (method_.ends_with("Bidi")) return StartRead(&message_);
      if (--answers_ > 0) return StartWrite(&answer_);
      Finish(grpc::Status::OK);
    }
    void OnDone() override { delete this; }

   private:
    static grpc::Status Invalid() { return {grpc::StatusCode::INVALID_ARGUMENT, "no id"}; }

    // The call begins to be executed: that is in the book before anybody is told.
    bool Enter() {
      id_ = Text(message_);
      const std::string line = id_ + " " + method_ + "\n";
      if (::write(book_, line.data(), line.size()) == static_cast<ssize_t>(line.size()))
        return true;
      Finish({grpc::StatusCode::INTERNAL, "the book cannot be written"});
      return false;
    }
    void OnRequestEnd() {
      if (method_.ends_with("Bidi")) return Finish(grpc::Status::OK);
      const grpc::Slice slice(id_);
      answer_ = grpc::ByteBuffer(&slice, 1);
      answers_ = method_.ends_with("ServerStream") ? 3 : 1;
      StartWrite(&answer_);
    }

    const int book_;
    const std::string method_;
    std::string id_;
    grpc::ByteBuffer message_;
    grpc::ByteBuffer answer_;
    int answers_ = 0;
  };

  const int book_;
};

}  // namespace

int main(int argc, char** argv) {
  const int book = argc < 2 ? -1 : ::open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (book < 0) {
    std::perror("ledger_plugin BOOK");
    return 1;
  }
  Ledger ledger(book);
  return plugind::Plugin("ledger", "1.0.0")
      .configure(
          [&](grpc::ServerBuilder& builder) { builder.RegisterCallbackGenericService(&ledger); })
      .serve(argc, argv);
}

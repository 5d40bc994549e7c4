// pluginctl: the command line of plugind. The arguments are parsed here; each verb is a function of
// verbs/verbs.h.
#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <climits>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "daemon/config/quantity.h"
#include "daemon/config/syntax.h"
#include "daemon/pluginctl/author/attach_relay.h"
#include "daemon/pluginctl/author/scaffold.h"
#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

constexpr size_t kLongestSocket = 107;  // what sockaddr_un holds

constexpr const char* kFooter = R"(
Exit codes: 0 done, 1 failed, 2 usage, 3 not all ready (status --check), 4 no such plugin,
            5 plugind unreachable, 6 denied, 7 timed out.)";

volatile std::sig_atomic_t stderr_is_terminal = 0;

extern "C" void Interrupted(int) {
  // The line of progress, if there is one, is left as it is.
  if (stderr_is_terminal != 0) (void)!write(STDERR_FILENO, "\n", 1);
  _exit(static_cast<int>(ExitCode::kInterrupted));
}

// A closed descriptor 0, 1 or 2 would be taken by the next file or socket that is opened, and text
// written into it.
void FillStandardStreams() {
  int fd = 0;
  while ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && fd <= STDERR_FILENO) {
  }
  if (fd >= 0) close(fd);
}

void Prepare() {
  FillStandardStreams();
  std::signal(SIGPIPE, SIG_IGN);  // Output sees EPIPE
  stderr_is_terminal = isatty(STDERR_FILENO);
  struct sigaction interrupt {};
  sigaction(SIGINT, nullptr, &interrupt);
  if (interrupt.sa_handler != SIG_IGN) {  // a shell's background job is not interrupted
    interrupt = {};
    interrupt.sa_handler = Interrupted;
    sigaction(SIGINT, &interrupt, nullptr);
  }
  std::setlocale(LC_TIME, "");
  // Never taken back: gRPC's own end may wait ten seconds for a thread of its that polls.
  grpc_init();
  // What gRPC has to say about connections is said by Report in words of ours.
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  // What protobuf has to say of a plugin's messages is in the statuses that it returns.
  google::protobuf::SetLogHandler(nullptr);
}

// The command line as CLI11 fills it. Each verb has options of its own; `run` is what the verb that
// was given does.
class CommandLine {
 public:
  CommandLine() : app_("Controls plugind, the plugin supervisor.", "pluginctl") {
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.get_formatter()->label("SUBCOMMAND", "VERB");
    app_.get_formatter()->label("Subcommands", "Verbs");
    app_.footer(kFooter);
    app_.set_version_flag("--version", "pluginctl " PLUGIND_VERSION);
    app_.add_option("--socket", socket_, "plugind's socket; else PLUGIND_SOCKET, else the default")
        ->type_name("PATH");
    AddStatus();
    AddChange("start", Change::kStart, "Start plugins; ends backoff, quarantine and failure",
              "60s");
    AddChange("stop", Change::kStop, "Stop plugins; they stay stopped until they are started",
              "120s");
    AddChange("restart", Change::kRestart, "Stop plugins and start them again", "180s");
    AddReload();
    AddChange("enable", Change::kEnable, "Allow plugins to run, and start them", "60s");
    AddChange("disable", Change::kDisable,
              "Stop plugins and refuse to start them until they are enabled", "120s");
    AddLogs();
    AddEvents();
    AddWait();
    AddCall();
    AddTop();
    AddReattach();
    AddInfo();
    AddConfig();
    AddPlugin();
    AddVersion();
    AddComplete();
  }

  ExitCode Run(int argc, char** argv) {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    TakePluginArguments(&arguments);
    std::ranges::reverse(arguments);  // CLI11 wants them so
    try {
      app_.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() ==
          static_cast<int>(CLI::ExitCodes::Success)) {  // --help, --version
        app_.exit(error);
        return ExitCode::kDone;
      }
      return Misuse(error.what());
    }
    return run_();
  }

 private:
  using Verb = std::function<ExitCode(Context&)>;

  // What follows "--" after `plugin test` and `plugin run` is the plugin's own; CLI11 would look at
  // it for options.
  void TakePluginArguments(std::vector<std::string>* arguments) {
    const auto group = std::ranges::find(*arguments, "plugin");
    const auto mark = std::find(group, arguments->end(), "--");
    if (mark - group < 2 || (group[1] != "test" && group[1] != "run")) return;
    if (mark == arguments->end()) return;
    plugin_arguments_.assign(mark + 1, arguments->end());
    arguments->erase(mark, arguments->end());
  }

  // Of the plugin that is named on the command line, its own arguments included.
  std::vector<std::string> PluginCommand(std::vector<std::string> named) const {
    named.insert(named.end(), plugin_arguments_.begin(), plugin_arguments_.end());
    return named;
  }

  ExitCode Misuse(const std::string& message) const {
    std::string verb;
    for (const CLI::App* app = &app_; !app->get_subcommands().empty();) {
      app = app->get_subcommands().front();
      verb += ' ' + app->get_name();
    }
    Complain(fmt::format("{}\nTry \"pluginctl{} --help\".", message, verb));
    return ExitCode::kUsage;
  }

  // A verb that talks to the daemon.
  void OnVerb(CLI::App* verb, Verb run) {
    verb->final_callback([this, run = std::move(run)] {
      run_ = [this, run] {
        const std::string socket = ResolveSocket(socket_);
        if (socket.size() > kLongestSocket) {
          return Misuse(
              fmt::format("the socket's path is longer than {} bytes: {}", kLongestSocket, socket));
        }
        Connection connection(socket);
        Context context{connection, out_, out_terminal_, err_terminal_};
        return run(context);
      };
    });
  }

  static CLI::Option* AddName(CLI::App* verb, std::string* name) {
    return verb->add_option("NAME", *name, "A plugin")->check(config::CheckName, "")->type_name("");
  }

  static void AddNames(CLI::App* verb, std::vector<std::string>* names, bool required) {
    const auto set = [names](const std::vector<std::string>& given) {
      for (const std::string& name : given) {
        if (std::ranges::find(*names, name) != names->end()) {
          throw CLI::ValidationError("NAME", fmt::format("\"{}\" is given twice", name));
        }
        names->push_back(name);
      }
    };
    verb->add_option_function<std::vector<std::string>>("NAME", set, "Plugins")
        ->check(config::CheckName, "")
        ->type_name("")
        ->required(required);
  }

  static void AddFormat(CLI::App* verb, Format* format) {
    static const std::map<std::string, Format> kFormats = {{"text", Format::kText},
                                                           {"json", Format::kJson}};
    verb->add_option("-o,--output", *format, "text or json")
        ->transform(CLI::CheckedTransformer(kFormats).description(""))
        ->type_name("FORMAT");
  }

  static void AddTimeout(CLI::App* verb, Duration* timeout, const std::string& initial) {
    const auto set = [timeout](const std::string& text) {
      const auto parsed = config::ParseDuration(text);
      if (!parsed.error.empty()) throw CLI::ValidationError("--timeout", parsed.error);
      *timeout = parsed.value;
    };
    set(initial);
    verb->add_option_function<std::string>(
            "--timeout", set,
            "How long to wait, such as 500ms, 10s or 5m; 0s: without a limit (" + initial + ")")
        ->type_name("DURATION");
  }

  static void AddNoWait(CLI::App* verb, bool* wait) {
    verb->add_flag_callback(
        "--no-wait", [wait] { *wait = false; }, "Return as soon as plugind has taken the request");
  }

  void AddStatus() {
    CLI::App* verb = app_.add_subcommand("status", "Show all plugins, or one in detail");
    AddName(verb, &status_.name);
    AddFormat(verb, &status_.format);
    verb->add_flag("--check", status_.check,
                   "Exit with 3 unless every plugin that is wanted is READY");
    OnVerb(verb, [this](Context& context) { return RunStatus(context, status_); });
  }

  void AddChange(const std::string& name, Change change, const std::string& help,
                 const std::string& timeout) {
    ChangeOptions& options = changes_[name];
    options.change = change;
    CLI::App* verb = app_.add_subcommand(name, help);
    AddNames(verb, &options.names, true);
    AddNoWait(verb, &options.wait);
    AddTimeout(verb, &options.timeout, timeout);
    OnVerb(verb, [&options](Context& context) { return RunChange(context, options); });
  }

  void AddReload() {
    CLI::App* verb = app_.add_subcommand(
        "reload", "Read the configuration again, whole or that of some plugins");
    AddNames(verb, &reload_.names, false);
    AddNoWait(verb, &reload_.wait);
    AddTimeout(verb, &reload_.timeout, "180s");
    OnVerb(verb, [this](Context& context) { return RunReload(context, reload_); });
  }

  void AddLogs() {
    CLI::App* verb = app_.add_subcommand("logs", "Show a plugin's log");
    AddName(verb, &logs_.name)->required();
    verb->add_flag("-f,--follow", logs_.follow, "Go on with new entries");
    verb->add_option("-n,--lines", logs_.tail, "Start with the newest N entries")->type_name("N");
    verb->add_option("--since-seq", logs_.since, "Start with entry N, counted from 1")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    AddFormat(verb, &logs_.format);
    OnVerb(verb, [this](Context& context) { return RunLogs(context, logs_); });
  }

  void AddEvents() {
    CLI::App* verb = app_.add_subcommand("events", "Show changes of state");
    verb->add_flag("-f,--follow", events_.follow, "Go on with new events");
    verb->add_option("-n,--lines", events_.tail, "Start with the newest N events")->type_name("N");
    verb->add_option("--from", events_.from, "Start with event N, counted from 1")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    verb->add_option("--plugin", events_.plugin, "Only this plugin's")
        ->check(config::CheckName, "")
        ->type_name("NAME");
    AddFormat(verb, &events_.format);
    OnVerb(verb, [this](Context& context) { return RunEvents(context, events_); });
  }

  void AddWait() {
    CLI::App* verb =
        app_.add_subcommand("wait", "Wait until a plugin is in a state, or passes through it");
    AddName(verb, &wait_.name)->required();
    const auto set = [this](const std::vector<std::string>& names) {
      for (const std::string& name : names) {
        const auto state = ParseState(name);
        if (!state) {
          throw CLI::ValidationError("--for", fmt::format("no such state \"{}\"; there are {}",
                                                          name, fmt::join(StateNames(), ", ")));
        }
        wait_.states.push_back(*state);
      }
    };
    verb->add_option_function<std::vector<std::string>>("--for", set, "One of these states")
        ->delimiter(',')
        ->expected(1)
        ->take_all()
        ->required()
        ->type_name("STATE[,STATE]");
    AddTimeout(verb, &wait_.timeout, "60s");
    OnVerb(verb, [this](Context& context) { return RunWait(context, wait_); });
  }

  void AddCall() {
    CLI::App* verb =
        app_.add_subcommand("call", "Call a method of a plugin, or show what there is to call");
    const auto target = [this](const std::string& text) {
      if (const std::string wrong = ParseTarget(text, &call_.target); !wrong.empty())
        throw CLI::ValidationError("TARGET", wrong);
    };
    verb->add_option_function<std::string>("TARGET", target, "NAME[/SERVICE[/METHOD]]")
        ->required()
        ->type_name("");
    verb->add_option(
            "-d,--data", call_.data,
            "The requests: JSON documents, @FILE or - (standard input); else nothing is set in "
            "the message, or a stream is empty")
        ->type_name("JSON");
    const auto header = [this](const std::vector<std::string>& given) {
      for (const std::string& text : given) {
        if (const std::string wrong = ParseHeader(text, &call_.headers); !wrong.empty())
          throw CLI::ValidationError("--header", wrong);
      }
    };
    verb->add_option_function<std::vector<std::string>>("-H,--header", header,
                                                        "Metadata to send; may be repeated")
        ->expected(1)
        ->take_all()
        ->type_name("'KEY: VALUE'");
    verb->add_option("--proto", call_.proto_files,
                     "The plugin's types are in this .proto file; else its reflection tells")
        ->expected(1)
        ->take_all()
        ->type_name("FILE");
    verb->add_option("-I,--import", call_.proto_folders, "Where imports are looked for")
        ->expected(1)
        ->take_all()
        ->type_name("DIR");
    AddLimits(verb);
    verb->add_flag("--emit-defaults", call_.emit_defaults, "Print fields without a value as well");
    verb->add_flag("-v,--verbose", call_.verbose, "Print headers and trailers on standard error");
    AddFormat(verb, &call_.format);
    OnVerb(verb, [this](Context& context) { return RunCall(context, call_); });
  }

  // What a call may cost.
  void AddLimits(CLI::App* call) {
    const auto timeout = [this](const std::string& text) {
      const auto parsed = config::ParseDuration(text);
      if (!parsed.error.empty()) throw CLI::ValidationError("--timeout", parsed.error);
      call_.timeout = parsed.value;
    };
    call->add_option_function<std::string>(
            "--timeout", timeout,
            "The call's deadline, such as 500ms or 5m; else the plugin's [call] timeout holds")
        ->type_name("DURATION");
    const auto max_message = [this](const std::string& text) {
      const auto parsed = config::ParseSize(text);
      if (!parsed.error.empty()) throw CLI::ValidationError("--max-message", parsed.error);
      if (parsed.value > INT_MAX) throw CLI::ValidationError("--max-message", "2GiB is too large");
      call_.max_message = parsed.value;
    };
    call->add_option_function<std::string>("--max-message", max_message,
                                           "The largest message to take (64MiB)")
        ->type_name("SIZE");
  }

  void AddTop() {
    CLI::App* verb = app_.add_subcommand("top", "Show what passes through the gateway, live");
    verb->add_flag("--methods", top_.by_method, "A row for each method and kind of caller");
    verb->add_flag("-b,--batch", top_.batch, "One table below the other, also on a terminal");
    verb->add_option("-n,--iterations", top_.rounds,
                     "End after N tables; the first is of all calls since plugind began")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    const auto interval = [this](const double& seconds) {
      constexpr double kShortest = 0.1;
      constexpr double kLongest = 86400;
      if (!(seconds >= kShortest && seconds <= kLongest))
        throw CLI::ValidationError("--delay", "must be between 0.1 and 86400 seconds");
      top_.interval = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    };
    verb->add_option_function<double>("-d,--delay", interval, "Seconds between two tables (2)")
        ->type_name("SECONDS");
    AddFormat(verb, &top_.format);
    OnVerb(verb, [this](Context& context) { return RunTop(context, top_); });
  }

  void AddReattach() {
    CLI::App* verb = app_.add_subcommand(
        "reattach", "Print how a host built on go-plugin attaches to a plugin that runs, as JSON");
    AddName(verb, &reattach_.name)->required();
    verb->add_option("--provider", reattach_.provider,
                     "As TF_REATTACH_PROVIDERS wants it: a map with this provider's address")
        ->type_name("ADDRESS");
    verb->add_flag("--gateway", reattach_.gateway,
                   "Through plugind: access and deadlines as for any caller");
    OnVerb(verb, [this](Context& context) { return RunReattach(context, reattach_); });
  }

  void AddInfo() {
    CLI::App* verb = app_.add_subcommand("info", "Show the daemon itself");
    AddFormat(verb, &info_);
    OnVerb(verb, [this](Context& context) { return RunInfo(context, info_); });
  }

  void AddConfig() {
    CLI::App* verb =
        app_.add_subcommand("config", "Look at the configuration files, without the daemon");
    verb->require_subcommand(1);
    CLI::App* check = verb->add_subcommand("check", "List every error with its place");
    CLI::App* show = verb->add_subcommand("show", "Print every setting, defaults included");
    for (CLI::App* each : {check, show}) {
      each->add_option("--config", config_.file, "plugind.toml; else the default")
          ->type_name("FILE");
      AddFormat(each, &config_.format);
    }
    AddName(show, &config_.plugin);
    show->add_flag("--origin", config_.origin, "Say where each setting comes from");
    check->final_callback([this] { run_ = [this] { return RunConfigCheck(out_, config_); }; });
    show->final_callback([this] { run_ = [this] { return RunConfigShow(out_, config_); }; });
  }

  // What a plugin's author needs; none of it asks the daemon that may be running.
  void AddPlugin() {
    CLI::App* group = app_.add_subcommand("plugin", "Make, try and test a plugin of your own");
    group->require_subcommand(1);
    group->get_formatter()->label("SUBCOMMAND", "VERB");
    AddPluginTest(group);
    AddPluginNew(group);
    AddPluginRun(group);
  }

  void AddPluginNew(CLI::App* group) {
    CLI::App* verb = group->add_subcommand("new", "Make a plugin's project");
    verb->add_option("--lang", plugin_new_.language, "cpp, go, node or python")
        ->check(CLI::IsMember({"cpp", "go", "node", "python"}).description(""))
        ->required()
        ->type_name("LANGUAGE");
    const auto check = [](const std::string& name) { return CheckProjectName(name); };
    verb->add_option("NAME", plugin_new_.name, "What it is to be called")
        ->check(check, "")
        ->required()
        ->type_name("");
    verb->add_option("--dir", plugin_new_.folder, "Where it is put; else the folder NAME")
        ->type_name("DIR");
    verb->final_callback([this] { run_ = [this] { return RunPluginNew(out_, plugin_new_); }; });
  }

  void AddPluginRun(CLI::App* group) {
    CLI::App* verb = group->add_subcommand(
        "run", "Run a plugin under a plugind of its own, and show what it does");
    verb->add_option("COMMAND", plugin_run_.command,
                     "The plugin, after -- its arguments; else the command of --config")
        ->type_name("");
    verb->add_flag("-w,--watch", plugin_run_.watch,
                   "Swap it when its file changes, and reload its settings when theirs does");
    verb->add_flag("--attach", plugin_run_.attach,
                   "Print the environment for starting it by hand, under a debugger");
    verb->add_option("--config", plugin_run_.config,
                     "The plugin's TOML as in plugins.d; only [config] is enough")
        ->check(CLI::ExistingFile.description(""))
        ->type_name("FILE");
    verb->add_option("--name", plugin_run_.name, "What plugind calls it; else its file's name")
        ->check(config::CheckName, "")
        ->type_name("NAME");
    verb->final_callback([this] {
      run_ = [this] {
        plugin_run_.command = PluginCommand(plugin_run_.command);
        return RunPluginRun(out_terminal_, plugin_run_);
      };
    });
    // What plugind runs for --attach.
    CLI::App* relay = group->add_subcommand("attach-relay", "")->group("");
    relay->add_option("DIR", attach_.folder)->required();
    relay->add_flag("--auto-mtls", attach_.auto_mtls);
    relay->final_callback([this] { run_ = [this] { return RunAttachRelay(attach_); }; });
  }

  void AddPluginTest(CLI::App* group) {
    CLI::App* verb = group->add_subcommand(
        "test", "Check that a program keeps the rules of plugins, one by one");
    verb->add_option("COMMAND", plugin_test_.command, "The plugin; after -- its arguments")
        ->type_name("");
    const auto cookie = [this](const std::string& text) {
      const size_t equals = text.find('=');
      if (equals == 0 || equals == std::string::npos)
        throw CLI::ValidationError("--cookie", "expected KEY=VALUE");
      plugin_test_.cookie_key = text.substr(0, equals);
      plugin_test_.cookie_value = text.substr(equals + 1);
    };
    verb->add_option_function<std::string>("--cookie", cookie,
                                           "Its magic cookie (PLUGIND_PLUGIN=1)")
        ->type_name("KEY=VALUE");
    verb->add_option("--protocol-versions", plugin_test_.protocol_versions,
                     "The protocol versions that it may choose from (1)")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("N[,N]");
    verb->add_flag("--tcp", plugin_test_.allow_tcp, "It may listen on TCP, on a loopback address");
    verb->add_option("--config", plugin_test_.accepted_file,
                     "Settings that it must take, TOML or JSON (none: an empty table)")
        ->type_name("FILE");
    verb->add_option("--refuse", plugin_test_.refused_file,
                     "Settings that it must refuse (none: guessed from its schema)")
        ->type_name("FILE");
    AddTimeout(verb, &plugin_test_.timeout, "10s");
    verb->add_option("--only", plugin_test_.only, "Check this rule alone; may be repeated")
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false)
        ->type_name("RULE");
    verb->add_flag("--list-rules", plugin_test_.list, "Print the rules and check nothing");
    static const std::map<std::string, TestFormat> kFormats = {{"tap", TestFormat::kTap},
                                                               {"junit", TestFormat::kJunit},
                                                               {"json", TestFormat::kJson},
                                                               {"text", TestFormat::kText}};
    verb->add_option("-o,--output", plugin_test_.format,
                     "tap, junit, json or text (text on a terminal, else tap)")
        ->transform(CLI::CheckedTransformer(kFormats).description(""))
        ->type_name("FORMAT");
    verb->final_callback([this] {
      run_ = [this] {
        if (plugin_test_.command.empty() && !plugin_test_.list)
          return Misuse("COMMAND is required");
        plugin_test_.command = PluginCommand(plugin_test_.command);
        return RunPluginTest(out_, out_terminal_, plugin_test_);
      };
    });
  }

  void AddVersion() {
    CLI::App* verb = app_.add_subcommand("version", "Show the version of pluginctl");
    AddFormat(verb, &version_);
    verb->final_callback([this] {
      run_ = [this] {
        out_.Write(version_ == Format::kJson ? "{\"version\":\"" PLUGIND_VERSION "\"}\n"
                                             : "pluginctl " PLUGIND_VERSION "\n");
        return ExitCode::kDone;
      };
    });
  }

  void AddComplete() {
    // An empty group hides it from the help.
    CLI::App* verb = app_.add_subcommand("__complete", "For shell completion")->group("");
    verb->require_subcommand(1);
    OnVerb(verb->add_subcommand("plugins"),
           [](Context& context) { return RunCompletePlugins(context); });
  }

  CLI::App app_;
  std::function<ExitCode()> run_;
  Output out_;
  const Terminal out_terminal_ = InspectTerminal(STDOUT_FILENO);
  const Terminal err_terminal_ = InspectTerminal(STDERR_FILENO);
  std::string socket_;
  StatusOptions status_;
  std::map<std::string, ChangeOptions> changes_;
  ReloadOptions reload_;
  LogsOptions logs_;
  EventsOptions events_;
  WaitOptions wait_;
  CallOptions call_;
  TopOptions top_;
  ReattachOptions reattach_;
  ConfigOptions config_;
  PluginNewOptions plugin_new_;
  PluginRunOptions plugin_run_;
  AttachOptions attach_;
  PluginTestOptions plugin_test_;
  std::vector<std::string> plugin_arguments_;
  Format info_ = Format::kText;
  Format version_ = Format::kText;
};

}  // namespace
}  // namespace plugind::pluginctl

int main(int argc, char** argv) {
  plugind::pluginctl::Prepare();
  return static_cast<int>(plugind::pluginctl::CommandLine().Run(argc, argv));
}

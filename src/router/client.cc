#include "router/client.h"

#include <histedit.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstring>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/json_text.h"
#include "host/stream.h"
#include "host/system.h"

namespace wh::router {

using nlohmann::json;

namespace {

// While it lives, SIGINT is a descriptor to wait for instead of the end of the process.
class InterruptWatch {
 public:
  InterruptWatch() {
    sigset_t wanted;
    ::sigemptyset(&wanted);
    ::sigaddset(&wanted, SIGINT);
    ::sigprocmask(SIG_BLOCK, &wanted, &before_);
    fd_ = host::Fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~InterruptWatch() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;
  int fd() const { return fd_.raw(); }
  void take() {
    signalfd_siginfo info;
    // It was readable; if it no longer is, there is nothing to take.
    [[maybe_unused]] const ssize_t n = ::read(fd_.raw(), &info, sizeof info);
  }

 private:
  sigset_t before_;
  host::Fd fd_;
};

bool is_quit(std::string_view line) {
  constexpr const char* kSpaces = " \t\r\n";
  const size_t begin = line.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return false;
  line = line.substr(begin, line.find_last_not_of(kSpaces) - begin + 1);
  // As every word of a command it may be shortened.
  return std::string_view("quit").starts_with(line) || line == "exit";
}

}  // namespace

Result<Client> Client::connect(const std::string& path) {
  return Client(TRY(host::connect_unix(path)));
}

// A line from the router; an interrupt from the keyboard is passed on meanwhile.
Result<std::string> Client::read_line() {
  InterruptWatch interrupts;
  for (size_t searched = 0;;) {  // A line may have many megabytes, and comes in small parts.
    if (const size_t end = input_.find('\n', searched); end != std::string::npos) {
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      return line;
    }
    searched = input_.size();
    pollfd ready[2] = {{socket_.raw(), POLLIN, 0}, {interrupts.fd(), POLLIN, 0}};
    host::uninterrupted([&] { return ::poll(ready, 2, -1); });
    if ((ready[1].revents & POLLIN) != 0) {
      interrupts.take();
      TRY(send("{\"interrupt\":true}\n"));
    }
    if (ready[0].revents == 0) continue;
    std::array<uint8_t, 16384> bytes;
    const size_t n = TRY(host::read_some(socket_.raw(), bytes));
    if (n == 0) return fail("the router closed the connection");
    // Sound: bytes are characters.
    input_.append(reinterpret_cast<const char*>(bytes.data()), n);
  }
}

Result<void> Client::send(std::string_view text) {
  if (!host::send_all(socket_.raw(), text)) return fail("the router closed the connection");
  return {};
}

Result<json> Client::ask(const json& request, std::FILE* output) {
  TRY(send(json_text(request) + "\n"));
  for (;;) {
    json answer = json::parse(TRY(read_line()), nullptr, false);
    if (!answer.is_object()) return fail("the router answered what is not JSON");
    if (answer.contains("ok")) return answer;
    if (output != nullptr && answer.contains("output")) {
      const auto text = answer["output"].get<std::string>();
      std::fwrite(text.data(), 1, text.size(), output);
      std::fflush(output);
    }
  }
}

int Client::run(const std::string& line, bool as_json, std::FILE* errors) {
  const auto answer = ask({{"command", line}, {"json", as_json}}, as_json ? nullptr : stdout);
  if (!answer) {
    fmt::print(errors, "vppctl: {}\n", answer.error().text);
    return 2;
  }
  if (!answer->value("ok", false)) {
    fmt::print(errors, "{}\n", answer->value("error", "refused"));
    return 1;
  }
  if (as_json) {
    std::cout << answer->value("result", json(nullptr)).dump(2) << "\n";
  } else {
    std::cout << answer->value("text", "");
  }
  std::cout.flush();
  return 0;
}

int Client::interact() {
  const auto answer = ask({{"prompt", true}}, nullptr);
  if (!answer) {
    fmt::print(stderr, "vppctl: {}\n", answer.error().text);
    return 2;
  }
  prompt_ = answer->value("result", prompt_);
  return ::isatty(STDIN_FILENO) != 0 ? interact_with_editor() : interact_plainly();
}

int Client::interact_plainly() {
  for (std::string line;;) {
    std::cout << prompt_ << std::flush;
    if (!std::getline(std::cin, line)) break;
    std::cout << line << "\n" << std::flush;
    if (is_quit(line)) return 0;
    if (run(line, false, stdout) == 2) return 2;
  }
  std::cout << "\n";
  return 0;
}

// --- the editor ---

namespace {

Client& client_of(EditLine* editor) {
  void* client = nullptr;
  el_get(editor, EL_CLIENTDATA, &client);
  return *static_cast<Client*>(client);
}

char* shown_prompt(EditLine* editor) {
  return client_of(editor).prompt();
}

std::string before_cursor(EditLine* editor) {
  const LineInfo* info = el_line(editor);
  return {info->buffer, static_cast<size_t>(info->cursor - info->buffer)};
}

// Puts in what all candidates share beyond what was typed, and a space when there is only one.
unsigned char complete(EditLine* editor, int) {
  const std::string line = before_cursor(editor);
  const auto answer = client_of(editor).ask({{"complete", line}}, nullptr);
  if (!answer || !answer->contains("result") || (*answer)["result"].empty()) return CC_ERROR;
  const auto words = (*answer)["result"].get<std::vector<std::string>>();
  const size_t space = line.find_last_of(" \t");
  const size_t typed = line.size() - (space == std::string::npos ? 0 : space + 1);
  std::string shared = words.front();
  for (const std::string& word : words) {
    size_t same = 0;
    while (same < shared.size() && same < word.size() && shared[same] == word[same]) ++same;
    shared.resize(same);
  }
  std::string more = shared.size() > typed ? shared.substr(typed) : "";
  if (words.size() == 1) more += ' ';
  if (!more.empty()) {
    el_insertstr(editor, more.c_str());
    return CC_REFRESH;
  }
  std::cout << "\n";
  for (const std::string& word : words) std::cout << "  " << word << "\n";
  std::cout.flush();
  return CC_REDISPLAY;
}

unsigned char explain(EditLine* editor, int) {
  const auto answer = client_of(editor).ask({{"command", before_cursor(editor) + "?"}}, nullptr);
  std::cout << "?\n" << (answer ? answer->value("text", "") : "") << std::flush;
  return CC_REDISPLAY;
}

// The terminal's other keys for signals, which it leaves to us as it does Ctrl-C.
unsigned char send_signal(EditLine*, int key) {
  constexpr int kCtrlZ = 'Z' & 31;
  ::kill(0, key == kCtrlZ ? SIGTSTP : SIGQUIT);
  return CC_REDISPLAY;
}

// Where lines typed before are kept; empty when there is no home to keep them in.
std::string history_path() {
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? "" : std::string(home) + "/.wheelhouse_history";
}

// Ctrl-C at the prompt: what was typed is forgotten, and an empty line entered.
unsigned char discard(EditLine* editor, int) {
  const LineInfo* line = el_line(editor);
  el_cursor(editor, static_cast<int>(line->lastchar - line->cursor));
  el_deletestr(editor, static_cast<int>(line->lastchar - line->buffer));
  el_insertstr(editor, "\n");
  std::cout << "\n" << std::flush;
  return CC_NEWLINE;
}

struct EndEditor {
  void operator()(EditLine* editor) const { el_end(editor); }
};
struct EndHistory {
  void operator()(History* history) const { history_end(history); }
};

}  // namespace

int Client::interact_with_editor() {
  // What is typed is UTF-8, which the editor reads as the locale has it, and drops where it has no
  // such letters.
  const char* locale = std::setlocale(LC_CTYPE, "");
  if (locale == nullptr || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
  std::unique_ptr<EditLine, EndEditor> owner(el_init("wheelhouse", stdin, stdout, stderr));
  std::unique_ptr<History, EndHistory> lines(history_init());
  if (owner == nullptr || lines == nullptr) return interact_plainly();
  EditLine* editor = owner.get();
  HistEvent event;
  history(lines.get(), &event, H_SETSIZE, 1000);
  history(lines.get(), &event, H_SETUNIQUE, 1);
  const std::string kept = history_path();
  if (!kept.empty()) history(lines.get(), &event, H_LOAD, kept.c_str());
  el_set(editor, EL_CLIENTDATA, this);
  el_set(editor, EL_PROMPT, shown_prompt);
  el_set(editor, EL_EDITOR, "emacs");
  // Ctrl-C ends a command that runs (read_line), never the prompt, where it is a key like others: a
  // signal might come just before el_gets() waits. Other signals leave the terminal as they found
  // it.
  ::signal(SIGINT, SIG_IGN);
  el_set(editor, EL_SIGNAL, 1);
  el_set(editor, EL_SETTY, "-d", "-isig", nullptr);
  el_set(editor, EL_ADDFN, "discard", "forget the line", discard);
  el_set(editor, EL_BIND, "^C", "discard", nullptr);
  el_set(editor, EL_ADDFN, "send-signal", "suspend, or quit", send_signal);
  el_set(editor, EL_BIND, "^Z", "send-signal", nullptr);
  el_set(editor, EL_BIND, "^\\", "send-signal", nullptr);
  el_set(editor, EL_HIST, history, lines.get());
  el_set(editor, EL_ADDFN, "complete", "complete the word", complete);
  el_set(editor, EL_ADDFN, "explain", "tell what could come next", explain);
  el_set(editor, EL_BIND, "\t", "complete", nullptr);
  el_set(editor, EL_BIND, "?", "explain", nullptr);
  el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  el_source(editor, nullptr);
  int status = 0;
  for (;;) {
    // Else a prompt that finds input waiting is shown before the keys are ours (el_wgets()).
    el_set(editor, EL_PREP_TERM, 1);
    int count = 0;
    const char* typed = el_gets(editor, &count);
    if (typed == nullptr || count <= 0) break;
    std::string line(typed, static_cast<size_t>(count));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    if (line.empty()) continue;
    history(lines.get(), &event, H_ENTER, line.c_str());
    if (is_quit(line)) break;
    status = run(line, false, stdout);
    if (status == 2) break;
  }
  if (!kept.empty()) history(lines.get(), &event, H_SAVE, kept.c_str());
  return status == 2 ? 2 : 0;
}

}  // namespace wh::router

#include "router/server.h"

#include "core/json_text.h"

namespace wh::router {

using nlohmann::json;

namespace {

json failure(std::string_view text) {
  return {{"ok", false}, {"error", text}};
}

// The same reply with the request's id in it.
std::function<void(json)> with_id(const json& request, std::function<void(json)> reply) {
  if (!request.contains("id")) return reply;
  return [id = request["id"], reply = std::move(reply)](json answer) {
    answer["id"] = id;
    reply(std::move(answer));
  };
}

Output output_of(const std::function<void(json)>& reply, bool as_text,
                 const std::function<bool()>& has_room) {
  return {[reply](std::string_view text) {
            reply({{"output", text}});
          },
          [reply, as_text](Result<Answer> answer) {
            if (!answer) {
              reply(failure(answer.error().text));
            } else if (as_text) {
              reply({{"ok", true}, {"text", answer->text()}});
            } else {
              reply({{"ok", true}, {"result", answer->data()}});
            }
          },
          as_text, has_room, host::Stream::kMostQueued};
}

// How deep values may lie within each other, which no request needs. They are copied and written by
// recursion, so that much deeper ones would not fit the stack.
constexpr int kMostDepth = 64;

// Discarded: it is not JSON, or too deep.
json parse_request(const std::string& text) {
  bool is_deep = false;
  const auto look = [&](int depth, json::parse_event_t, json&) {
    is_deep = is_deep || depth > kMostDepth;
    return !is_deep;
  };
  json request = json::parse(text, look, false);
  return is_deep ? json(json::value_t::discarded) : request;
}

json expectations(const std::vector<Expectation>& expected) {
  json all = json::array();
  for (const Expectation& e : expected) all.push_back({{"text", e.text}, {"help", e.help}});
  return all;
}

// What could come next, as a person reads it.
std::string format(const std::vector<Expectation>& expected) {
  std::string text;
  for (const Expectation& e : expected) text += fmt::format("  {:<24}{}\n", e.text, e.help);
  return text;
}

// The line before a question mark at its end, which asks what could stand there.
std::optional<std::string> asked_of(std::string_view line) {
  const size_t last = line.find_last_not_of(" \t\r\n");
  if (last == std::string_view::npos || line[last] != '?') return std::nullopt;
  return std::string(line.substr(0, last));
}

}  // namespace

std::unique_ptr<Activity> handle_request(CommandLine& line, const json& request,
                                         std::function<void(json)> reply_to,
                                         std::function<bool()> has_room) {
  if (!request.is_object()) {
    reply_to(failure("a request is a JSON object"));
    return nullptr;
  }
  const auto reply = with_id(request, std::move(reply_to));
  auto text = [&](const char* key) { return request.contains(key) && request[key].is_string(); };
  if (text("command")) {
    const bool as_json = request.value("json", json(false)) == true;
    const auto command = request["command"].get<std::string>();
    if (const auto begun = asked_of(command)) {
      auto expected = line.grammar().expect(*begun);
      if (expected.empty()) {
        if (auto known = line.check(*begun); !known) {
          return reply(failure(known.error().text)), nullptr;
        }
        expected.push_back({"<cr>", "the end of the line", false});
      }
      reply(as_json ? json{{"ok", true}, {"result", expectations(expected)}}
                    : json{{"ok", true}, {"text", format(expected)}});
      return nullptr;
    }
    return line.execute(command, output_of(reply, !as_json, has_room));
  }
  if (text("method")) {
    const json params = request.value("params", json::object());
    return line.execute(request["method"].get<std::string>(), params,
                        output_of(reply, false, has_room));
  }
  if (text("complete")) {
    const auto words = line.grammar().complete(request["complete"].get<std::string>());
    reply({{"ok", true}, {"result", words}});
  } else if (text("expect")) {
    reply({{"ok", true},
           {"result", expectations(line.grammar().expect(request["expect"].get<std::string>()))}});
  } else if (request.value("prompt", json(false)) == true) {
    reply({{"ok", true}, {"result", line.prompt()}});
  } else if (request.value("schema", json(false)) == true) {
    reply({{"ok", true}, {"result", line.schema()}});
  } else {
    reply(failure(
        "a request has one of: command, method, complete, expect, prompt, schema, interrupt"));
  }
  return nullptr;
}

// One connected client: its requests, of which one at a time runs.
class Server::Client {
 public:
  Client(Server& server, host::Fd fd, std::function<void()> on_leave)
      : server_(server),
        on_leave_(std::move(on_leave)),
        next_(server.loop_, [this] { take_next(); }),
        stream_(std::move(fd), server.loop_,
                {[this](std::string_view bytes) { take_in(bytes); },
                 [this] {
                   is_gone_ = true;
                   if (activity_ == nullptr || !activity_->must_end()) return leave();
                   activity_->interrupt();
                 }},
                "router client") {}

  Result<void> start() { return stream_.start(); }
  bool has_left() const { return has_left_; }
  std::function<void()> on_leave() { return std::move(on_leave_); }

 private:
  void take_in(std::string_view bytes) {
    input_ += bytes;
    for (size_t end; (end = input_.find('\n')) != std::string::npos;) {
      const std::string request = input_.substr(0, end);
      input_.erase(0, end + 1);
      if (!request.empty()) take_line(request);
    }
    if (input_.size() > kMostBytes) {
      send(failure(fmt::format("a request of more than {} bytes", kMostBytes)));
      stream_.close_when_written();
    }
  }

  void take_line(const std::string& text) {
    json request = parse_request(text);
    if (request.is_object() && request.contains("interrupt")) {
      // At once, ahead of what waits. The activity's last word may come within the call.
      if (activity_) activity_->interrupt();
      return;
    }
    waiting_.push_back({std::move(request), text.size()});
    waiting_bytes_ += text.size();
    // Many lines at once are a script; whoever sends them waits for their answers.
    if (waiting_.size() > 1024 || waiting_bytes_ > kMostBytes) stream_.set_reading(false);
    if (!is_busy_) next_.arm(server_.loop_.now());
  }

  void leave() {
    activity_.reset();
    has_left_ = true;
    server_.sweeper_.arm(server_.loop_.now());
  }

  void take_next() {
    activity_.reset();
    is_busy_ = false;
    if (is_gone_) return leave();
    if (waiting_.empty()) return;
    const json request = std::move(waiting_.front().request);
    waiting_bytes_ -= waiting_.front().bytes;
    waiting_.pop_front();
    if (waiting_.size() <= 512 && waiting_bytes_ <= kMostBytes / 2) stream_.set_reading(true);
    if (request.is_discarded()) {
      send(failure(fmt::format("not JSON, or more than {} deep", kMostDepth)));
      next_.arm(server_.loop_.now());
      return;
    }
    is_busy_ = true;
    const auto reply = [this](json answer) {
      const bool is_last = answer.contains("ok");
      send(answer);
      // The activity may be what calls this, so it goes in the next round.
      if (is_last) next_.arm(server_.loop_.now());
    };
    activity_ = handle_request(server_.line_, request, reply,
                               [this] { return is_gone_ || stream_.queued() < kMuchQueued; });
  }

  void send(const json& answer) {
    const auto text = [](const json& j) { return json_text(j) + "\n"; };
    std::string bytes = text(answer);
    // A client that is sent more is cut off; this one is told instead.
    if (answer.contains("ok") && stream_.queued() + bytes.size() > host::Stream::kMostQueued) {
      json refusal = failure(fmt::format("the answer has {} MiB; at most {} are sent; ask for less",
                                         bytes.size() >> 20, host::Stream::kMostQueued >> 20));
      if (answer.contains("id")) refusal["id"] = answer["id"];
      bytes = text(refusal);
    }
    stream_.write(bytes);
  }
  static constexpr size_t kMuchQueued = 256 << 10;

  Server& server_;
  std::function<void()> on_leave_;
  std::string input_;
  struct Waiting {
    json request;
    size_t bytes = 0;  // Of its text.
  };
  std::deque<Waiting> waiting_;
  size_t waiting_bytes_ = 0;
  bool is_busy_ = false;
  bool is_gone_ = false;   // The other end is closed. What must end goes on, and then
  bool has_left_ = false;  // this can go.
  std::unique_ptr<Activity> activity_;
  Timer next_;
  host::Stream stream_;
};

Server::Server(CommandLine& line, host::RealLoop& loop)
    : line_(line), loop_(loop), sweeper_(loop, [this] { sweep(); }) {}

Server::~Server() = default;

Result<void> Server::listen(const std::string& path) {
  listener_ = TRY(host::Listener::open_unix(path, loop_, [this](host::Fd fd) {
    // Whoever cannot be served is hung up on.
    (void)serve(std::move(fd));
  }));
  return {};
}

Result<void> Server::serve(host::Fd fd, std::function<void()> on_leave) {
  if (clients_.size() >= kMostClients) return fail("more than {} clients", kMostClients);
  auto client = std::make_unique<Client>(*this, std::move(fd), std::move(on_leave));
  TRY(client->start());
  clients_.push_back(std::move(client));
  return {};
}

void Server::sweep() {
  std::vector<std::function<void()>> to_tell;
  std::erase_if(clients_, [&](const auto& client) {
    if (client->has_left()) to_tell.push_back(client->on_leave());
    return client->has_left();
  });
  for (const auto& tell : to_tell) {
    if (tell) tell();
  }
}

}  // namespace wh::router

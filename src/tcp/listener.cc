#include "tcp/listener.h"

#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {

Listener::~Listener() {
  CHECK(half_open_.empty() && waiting_.empty());
}

Connection* Listener::accept() {
  Connection* c = waiting_.pop_front();
  if (c == nullptr) return nullptr;
  --waiting_count_;
  c->listener_ = nullptr;
  ++stack_.counters().accepts;
  return c;
}

void Listener::close() {
  TcpStack::Batch batch(stack_);
  while (Connection* c = half_open_.front()) {
    forget(*c);
    c->abort();
  }
  while (Connection* c = accept()) c->abort();
  stack_.close_listener(*this);
}

void Listener::add_half_open(Connection& c) {
  c.listener_ = this;
  half_open_.push_back(c);
  ++half_open_count_;
}

void Listener::on_established(Connection& c) {
  if (c.in_backlog_.is_linked()) {
    c.in_backlog_.unlink();
    --half_open_count_;
  }
  c.listener_ = this;
  waiting_.push_back(c);
  ++waiting_count_;
  c.is_waiting_ = true;
  if (!in_ready_.is_linked()) stack_.ready_listeners_.push_back(*this);
}

void Listener::forget(Connection& c) {
  c.in_backlog_.unlink();
  --(c.is_waiting_ ? waiting_count_ : half_open_count_);
  if (c.is_waiting_) aborted_count_ = std::min(aborted_count_ + 1, config_.backlog);
  c.listener_ = nullptr;
}

}  // namespace wh::tcp

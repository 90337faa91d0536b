// A host of ours, 10.0.0.1, on the caller's side of a kernel's TAP: what the comparisons over TAP
// measure.
#pragma once

#include <memory>
#include <optional>

#include "bulk_end.h"
#include "lab/host.h"
#include "tap_bench.h"

namespace wh::bench {

class OurEnd {
 public:
  static Result<std::unique_ptr<OurEnd>> make(KernelSide side, host::Offload offload,
                                              Duration spin = 0ns) {
    std::unique_ptr<OurEnd> end(
        new OurEnd(std::move(side.space), TRY(host::RealLoop::make({.spin = spin}))));
    end->tap_ = TRY(host::TapInterface::adopt(
        std::move(side.tap), {.mac = net::MacAddress::local(1), .offload = offload}, *end->loop_,
        end->pool_));
    end->host_ = std::make_unique<lab::Host>(*end->loop_, end->pool_, "ours", Random(1));
    const uint16_t port = TRY(end->host_->vnet().attach(*end->tap_));
    TRY(end->host_->vnet().add_address(port, TRY(net::parse_prefix("10.0.0.1/24"))));
    return end;
  }

  // The kernel sends for so long, and we throw away.
  Result<TapFigure> receive(Duration length) {
    tcp::Listener* listener = nullptr;
    listener = TRY(
        host_->tcp().listen({.local = {{}, 5001}, .on_ready = [&] { take(*listener->accept()); }}));
    auto source = TRY(start_source(space_, "10.0.0.1", length));
    const auto [cpu, report] = TRY(run(*source));
    return figure(cpu, Bytes(static_cast<int64_t>(bulk_.received)), report.elapsed);
  }

  // We send for so long, and the kernel throws away. `set_up` sees the connection first.
  Result<TapFigure> send(Duration length, std::function<void(tcp::Connection&)> set_up = {}) {
    auto sink = TRY(start_sink(space_));
    bulk_.is_source = true;
    connection_ = TRY(host_->tcp().connect(
        {TRY(net::parse_ip("10.0.0.2")), 5001},
        {.observer = &bulk_, .congestion = "cubic", .on_create = std::move(set_up)}));
    Timer end(*loop_, [&] { bulk_.finish(*connection_); });
    end.arm(loop_->now() + length);
    const auto [cpu, report] = TRY(run(*sink));
    return figure(cpu, report.received, report.elapsed);
  }

  lab::Host& host() { return *host_; }
  host::Netns& space() { return space_; }

 private:
  OurEnd(host::Netns space, std::unique_ptr<host::RealLoop> loop)
      : space_(std::move(space)), loop_(std::move(loop)) {}
  void take(tcp::Connection& c) {
    c.set_observer(&bulk_);
    bulk_.on_ready(c, tcp::kReadable);
  }
  Result<std::pair<CpuTime, host::PeerReport>> run(host::KernelPeer& peer) {
    std::optional<Result<host::PeerReport>> reported;
    TRY(peer.watch(*loop_, [&](Result<host::PeerReport> report) {
      reported = std::move(report);
      loop_->stop();
    }));
    const CpuTime before = cpu_time();
    loop_->run_for(60s);
    const CpuTime cpu = cpu_time() - before;
    if (!reported) return fail("the kernel's end did not finish in 60 s");
    return std::pair(cpu, TRY(std::move(*reported)));
  }

  host::Netns space_;
  std::unique_ptr<host::RealLoop> loop_;
  net::PacketPool pool_;
  std::unique_ptr<host::TapInterface> tap_;
  BulkEnd bulk_;  // Outlives the connections that tell it.
  std::unique_ptr<lab::Host> host_;
  tcp::Connection* connection_ = nullptr;
};

}  // namespace wh::bench

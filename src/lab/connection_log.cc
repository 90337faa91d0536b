#include "lab/connection_log.h"

namespace wh::lab {
namespace {

constexpr std::string_view kHeader =
    "began_s\tlasted_s\tside\tport\tremote\tto_network\tto_program\tretransmitted\tgoodput_bps\t"
    "pace_bps\trtt_min_ms\trtt_ms\ttimeouts\tend\n";

std::string ms_or_dash(Duration rtt) {
  return rtt > Duration::zero() ? fmt::format("{:.3f}", to_ms(rtt)) : "-";
}

std::string_view end_of(const Relay::Outcome& o) {
  return o.end == tcp::End::None ? "open" : to_string(o.end);
}

std::string goodput(const tcp::Info& i) {
  if (i.busy <= Duration::zero()) return "-";
  return fmt::format("{:.0f}",
                     static_cast<double>(i.acknowledged.count()) * 8 / to_seconds(i.busy));
}

}  // namespace

Result<std::unique_ptr<ConnectionLog>> ConnectionLog::create(const std::string& path) {
  auto file = TRY(host::LineFile::create(path));
  file->append(kHeader);
  file->flush();
  return std::unique_ptr<ConnectionLog>(new ConnectionLog(std::move(file)));
}

void ConnectionLog::write(const Entry& entry) {
  file_->append(line_of(entry) + "\n");
  file_->flush();
}

std::string line_of(const ConnectionLog::Entry& e) {
  const tcp::Info& i = e.outcome.info;
  return fmt::format("{:.3f}\t{:.3f}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                     to_seconds(e.began), to_seconds(e.lasted), e.side, e.port,
                     to_string(e.outcome.remote), e.outcome.to_network, e.outcome.to_program,
                     i.retransmitted.count(), goodput(i),
                     i.pace.is_infinite() ? "-" : std::to_string(i.pace.bps()),
                     ms_or_dash(i.min_rtt), ms_or_dash(i.srtt), i.timeouts, end_of(e.outcome));
}

}  // namespace wh::lab

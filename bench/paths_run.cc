// One bulk transfer in virtual time, to be run under callgrind by compare_paths: both ends of TCP,
// wires that cost next to nothing. Prints how much was sent and in how many bursts.
//
// usage: paths_run fast|full|unpaced SECONDS
#include <cstdlib>

#include "bulk_end.h"
#include "tcp/test_world.h"

int main(int argc, char** argv) {
  using namespace wh;
  const std::string_view mode = argc > 1 ? argv[1] : "fast";
  const double seconds = argc > 2 ? std::atof(argv[2]) : 1;
  tcp::TestWorld w;
  w.up.config = {.rate = 400_Mbps, .delay = 5ms, .queue = 2_MiB};
  w.down.config.delay = 5ms;
  w.client.tcp.tunables().sendbuf_max = w.server.tcp.tunables().recvbuf_max = 16 << 20;
  w.client.tcp.tunables().fast_send = mode == "full" ? 0 : 1;
  bench::BulkEnd sender, receiver;
  w.establish();
  w.b->set_observer(&receiver);
  w.a->set_observer(&sender);
  sender.is_source = true;
  if (mode != "unpaced") w.a->set_pace_rate(100_Mbps);
  sender.on_ready(*w.a, tcp::kWritable);
  w.run(Duration(static_cast<int64_t>(seconds * 1e9)));
  const tcp::Counters& c = w.client.tcp.counters();
  fmt::print("{} {} {} {}\n", c.data_bytes_out, c.data_segments_out, c.fto_send, c.nfto_send);
  return 0;
}

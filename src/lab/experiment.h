// An experiment: a lab built from its specification, run, and reported.
//
//   auto experiment = TRY(Experiment::make(spec, {}));
//   experiment->run([](Duration done) { ... });
//   fmt::print("{}", to_table(experiment->report()));
//
// In virtual time, unless a host is the kernel's. Hosts have addresses and routes as lab/paths.h
// says; those that stand between others forward. report() may be asked at any time; it measures
// from the warm-up's end to now.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lab/flow.h"
#include "lab/host.h"
#include "lab/kernel_flow.h"
#include "lab/kernel_host.h"
#include "lab/lab_flow.h"
#include "lab/paths.h"
#include "lab/report.h"
#include "lab/sampler.h"
#include "lab/spec.h"
#include "net/capture.h"
#include "net/link/link.h"

namespace wh::lab {

class Experiment {
 public:
  struct Options {
    struct Tap {
      std::string interface;  // "LINK-HOST"; "": the first link's, at its `from`.
      std::string path;
    };
    std::vector<Tap> captures;
    std::optional<Duration> sample_every;  // Fills Report::series.
    std::string trace;      // Black boxes into this folder (lab/trace_folder.h); "" for none.
    size_t trace_from = 1;  // The number of the first flow's files.
    // Once true it ends the setting up and the run, as stop() does; it outlives the experiment.
    const std::atomic<bool>* stop = nullptr;
  };
  // When it is stopped it has the flows that there were by then, and its run is over at once.
  // Errors: a trace that cannot be read, a bad sysctl, no such interface to capture at, no
  // permission for what a kernel host needs.
  static Result<std::unique_ptr<Experiment>> make(const LabSpec& spec, const Options& options);
  ~Experiment();

  // Until the duration is over, every flow with a size is done, or stop(). `progress` is called now
  // and then with the time done.
  void run(const std::function<void(Duration)>& progress);
  // Ends the run soon. Safe from a signal handler.
  void stop() {
    stopping_ = 1;
    loop_->stop();
  }

  Report report() const;
  // Closes the captures and the trace. Errors: the first that could not be written whole.
  Result<void> finish();

  Loop& loop() { return *loop_; }
  // For simulations: every connection's and every link's invariants, by CHECK.
  void check_invariants();
  const std::vector<std::unique_ptr<Flow>>& flows() const { return flows_; }
  net::Link& link(size_t i) { return *links_[i].link; }
  net::PacketPool& pool() { return pool_; }

 private:
  struct BuiltLink {
    std::string name;
    std::unique_ptr<net::Link> link;
    // As they were when the warm-up ended.
    struct Mark {
      net::LinkCounters counters;
      double sent_bytes = 0, capacity_bytes = 0;
    } forward_before, reverse_before;
  };

  Experiment(LabSpec spec, std::unique_ptr<Loop> loop);
  Result<void> build_hosts();
  Result<void> build_link(size_t index, const LinkSpec& spec);
  Result<void> build_routes();
  Result<void> build_flows();
  bool is_stopping();
  Result<std::unique_ptr<Flow>> make_flow(const FlowSpec& flow, uint32_t number, std::string name);
  // Connections to this endpoint are flows', told apart by their ports.
  Result<void> listen(Host& host, const tcp::Endpoint& local,
                      std::function<Flow&(const tcp::Connection&)> flow_of);
  host::RealLoop& real_loop() const;  // REQUIRES: spec_.is_real().
  Result<void> open_capture(const Options::Tap& tap);
  void begin();  // All is built: time counts from now on.
  void start_sampling(Duration every);
  Result<void> open_trace(const Options& options);
  void end_warmup();
  std::vector<HostReport> host_totals() const;
  LinkReport report_of(const std::string& name, const net::LinkDirection& direction,
                       const BuiltLink::Mark& before) const;

  struct OpenCapture {
    std::unique_ptr<net::Capture> file;
    net::Interface* at;
  };

  LabSpec spec_;
  Paths paths_;
  std::unique_ptr<Loop> loop_;
  Random random_;
  Pattern bytes_;  // Of every flow between hosts of ours.
  net::PacketPool pool_;
  std::vector<BuiltLink> links_;        // Outlive the hosts that are attached to them.
  std::unique_ptr<TraceFolder> trace_;  // Outlives the connections that write to it.
  std::map<std::string, std::unique_ptr<Host>> hosts_;
  std::vector<HostReport> hosts_before_;  // As they were when the warm-up ended.
  std::map<std::string, std::unique_ptr<KernelHost>> kernels_;
  std::vector<std::unique_ptr<Flow>> flows_;
  std::map<std::pair<Host*, tcp::Endpoint>, tcp::Listener*> listeners_;
  uint32_t web_flows_ = 0;  // Made so far.
  std::vector<OpenCapture> captures_;
  std::unique_ptr<Sampler> sampler_;  // Null when nobody wants samples.
  Timer warmup_end_;
  Instant started_;
  const std::atomic<bool>* stop_ = nullptr;
  volatile int stopping_ = 0;
};

}  // namespace wh::lab

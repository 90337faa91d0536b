// The black boxes of an experiment: a file for each end of each flow.
//
//   DIR/1-newreno-sender.jsonl     flow 1, called newreno, its end on the host `sender`
//   DIR/1-newreno-receiver.jsonl
//
// Flows are numbered from 1 in the order of the report. A flow of many connections has them all in
// its file, told apart by their number. Only ends that are ours have one: the kernel keeps no black
// box. Legend: docs/blackbox.md.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "host/output_file.h"
#include "tcp/connection.h"

namespace wh::lab {

class TraceFolder {
 public:
  // So many flows have both of their files open within the usual limit of 1024 descriptors.
  static constexpr size_t kMostFlows = 400;

  // Makes the folder unless it is there. Times in the files count from `origin`.
  static Result<std::unique_ptr<TraceFolder>> make(std::string path, Instant origin);

  // The connection's decisions go to the file of this end of this flow from now on, with `number`
  // in each line unless it is 0. The folder must outlive it. Errors are kept for close().
  void trace(tcp::Connection& connection, size_t flow_number, std::string_view flow,
             std::string_view host, uint64_t number);
  // Errors: the first that any file met.
  Result<void> close();

 private:
  TraceFolder(std::string path, Instant origin) : path_(std::move(path)), origin_(origin) {}
  std::string path_;
  Instant origin_;
  std::map<std::string, std::unique_ptr<host::LineFile>> files_;  // By their paths.
  Result<void> opened_;
};

}  // namespace wh::lab

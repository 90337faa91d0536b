// Several vnets as one router: which worker a packet belongs to, and their books added up.
//
// Each worker is a thread with a vnet of its own, and all vnets have the same configuration. A
// device's queue is read by one worker, the owner; each frame goes to the worker that its flow's
// hash names, so that all of a flow (sessions of access lists, mappings) is in one vnet, both ways.
// net::WorkerPort (net/worker_port.h) carries frames and answers across. The hash does not change
// when the ends are swapped. Translated flows have other ends outside than inside: with NAT44, give
// each worker its own pool addresses, or one worker all of it.
//
// What is not IP (ARP) goes to all workers, for each has neighbours of its own; each asks for
// itself. Reports of the workers, taken by each in its own thread, are added up here.
#pragma once

#include <span>
#include <vector>

#include "vnet/show.h"

namespace wh::vnet {

// The worker of an Ethernet frame's flow; kEveryWorker for what all must see: what is not IP, and
// what is sent to many on the link.
constexpr uint32_t kEveryWorker = ~uint32_t{0};
// REQUIRES: workers > 0. The packet is untouched; headers beyond its head count as absent.
uint32_t worker_of(const net::Packet& frame, uint32_t workers);

// Rows of the same name added: clocks weighted by packets. REQUIRES: at least one report.
graph::RuntimeReport sum(std::span<const graph::RuntimeReport> reports);
graph::ErrorReport sum(std::span<const graph::ErrorReport> reports);
// By name; index and state of the first. Counters added.
std::vector<InterfaceRow> sum(std::span<const std::vector<InterfaceRow>> reports);

}  // namespace wh::vnet

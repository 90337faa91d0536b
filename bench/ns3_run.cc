#include "ns3_run.h"

#include <ns3/applications-module.h>
#include <ns3/core-module.h>
#include <ns3/internet-module.h>
#include <ns3/network-module.h>
#include <ns3/point-to-point-module.h>
#include <ns3/traffic-control-module.h>

#include "measure.h"

namespace wh::bench {
namespace {

void set_defaults() {
  using namespace ns3;
  Config::SetDefault("ns3::TcpL4Protocol::SocketType", TypeIdValue(TcpCubic::GetTypeId()));
  Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448));
  Config::SetDefault("ns3::TcpSocket::DelAckCount", UintegerValue(2));
  Config::SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(64 << 20));
  Config::SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(64 << 20));
  Config::SetDefault("ns3::TcpSocketBase::Sack", BooleanValue(true));
  Config::SetDefault("ns3::TcpSocketBase::Timestamp", BooleanValue(true));
}

}  // namespace

RunCost run_ns3(const Dumbbell& d) {
  using namespace ns3;
  set_defaults();
  NodeContainer nodes;
  nodes.Create(2);
  PointToPointHelper wire;
  wire.SetDeviceAttribute("DataRate", DataRateValue(DataRate(d.bits_per_second)));
  wire.SetChannelAttribute("Delay", StringValue("10ms"));
  const auto buffer = static_cast<uint32_t>(d.bits_per_second / 8 / 10);  // 100 ms.
  wire.SetQueue("ns3::DropTailQueue", "MaxSize",
                QueueSizeValue(QueueSize(QueueSizeUnit::BYTES, buffer)));
  NetDeviceContainer devices = wire.Install(nodes);
  InternetStackHelper internet;
  internet.Install(nodes);
  Ipv4AddressHelper addresses;
  addresses.SetBase("10.0.0.0", "255.255.255.0");
  const Ipv4InterfaceContainer interfaces = addresses.Assign(devices);
  // The address helper puts a queue discipline of its own before the device; the device's buffer is
  // the one.
  TrafficControlHelper().Uninstall(devices);

  uint64_t packets = 0;
  const auto count = [](uint64_t* all, Ptr<const Packet>) { ++*all; };
  for (uint32_t i = 0; i < 2; ++i) {
    devices.Get(i)->TraceConnectWithoutContext("PhyTxEnd", MakeBoundCallback(+count, &packets));
  }
  ApplicationContainer sinks;
  for (uint32_t i = 0; i < d.flows; ++i) {
    const auto port = static_cast<uint16_t>(5001 + i);
    PacketSinkHelper sink("ns3::TcpSocketFactory", InetSocketAddress(Ipv4Address::GetAny(), port));
    sinks.Add(sink.Install(nodes.Get(1)));
    BulkSendHelper source("ns3::TcpSocketFactory",
                          InetSocketAddress(interfaces.GetAddress(1), port));
    source.SetAttribute("SendSize", UintegerValue(65536));
    source.Install(nodes.Get(0)).Start(Seconds(0));
  }
  Simulator::Stop(Seconds(d.seconds));
  const double before = cpu_seconds();
  Simulator::Run();
  RunCost cost;
  cost.cpu_seconds = cpu_seconds() - before;
  cost.packets = packets;
  uint64_t received = 0;
  for (uint32_t i = 0; i < sinks.GetN(); ++i) {
    received += DynamicCast<PacketSink>(sinks.Get(i))->GetTotalRx();
  }
  cost.goodput_bps = static_cast<double>(received) * 8 / d.seconds;
  Simulator::Destroy();
  return cost;
}

namespace {

struct Ticker {
  explicit Ticker(uint64_t& left) : left_(left) {}
  void tick() {
    if (left_ == 0) return;
    --left_;
    ns3::Simulator::Schedule(ns3::NanoSeconds(1'000'000), &Ticker::tick, this);
  }
  uint64_t& left_;
};

}  // namespace

double ns3_event_ns(uint32_t pending, uint64_t events) {
  uint64_t left = events;
  std::vector<Ticker> tickers(pending, Ticker(left));
  for (uint32_t i = 0; i < pending; ++i) {
    ns3::Simulator::Schedule(ns3::NanoSeconds(i * 997 % 1'000'000), &Ticker::tick, &tickers[i]);
  }
  const double before = cpu_seconds();
  ns3::Simulator::Run();
  const double ns = (cpu_seconds() - before) * 1e9 / static_cast<double>(events);
  ns3::Simulator::Destroy();
  return ns;
}

}  // namespace wh::bench

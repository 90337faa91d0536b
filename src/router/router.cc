#include "router/router.h"

#include <algorithm>
#include <filesystem>

#include "core/virtual_loop.h"
#include "host/child.h"
#include "host/device_interface.h"
#include "host/system.h"
#include "router/local_apps.h"
#include "router/plugin.h"
#include "vnet/stack.h"

namespace wh::router {

Router::Router(Config config, Loop& loop, Ports& ports)
    : loop_(loop),
      source_(ports),
      vnet_({.name = "router", .cycles = std::move(config.cycles), .handoff = config.handoff}, loop,
            pool_, Random(config.seed)),
      apps_(std::make_unique<LocalApps>(vnet_)),
      pcap_(vnet_, std::move(config.wall)),
      thread_(config.thread) {
  // A router forwards, and speaks IPv6 on an interface once that is given an address. The sysctls
  // exist in every vnet.
  for (const auto& [name, value] :
       {std::pair("net.inet.ip.forwarding", "1"), std::pair("net.inet6.ip6.forwarding", "1"),
        std::pair("net.inet6.ip6.auto_linklocal", "0")}) {
    MUST(vnet_.sysctl().set(name, value));
  }
  for (const SysctlTree::Leaf& leaf : MUST(vnet_.sysctl().list(""))) {  // There are some.
    if (leaf.writable) first_tunables_[leaf.name] = leaf.value;
  }
}

Router::~Router() {
  // What is said to others at the end. To take back the rest would cost its time for each route.
  for (uint16_t i = 1; i < vnet_.interfaces().size(); ++i) {
    (void)vnet_.advertiser().disable(i);   // It may send none,
    (void)vnet_.dhcp_clients().remove(i);  // or have none.
  }
}

bool Router::Port::is_open() const {
  const auto* host_device = dynamic_cast<const host::DeviceInterface*>(device.get());
  return host_device == nullptr || host_device->is_open();
}

bool Router::Port::has_carrier() const {
  const auto* host_device = dynamic_cast<const host::DeviceInterface*>(device.get());
  return host_device == nullptr || (host_device->is_open() && host_device->has_carrier());
}

// A packet that a worker left may name an interface that was deleted. Its number is given out again
// only when none is left of these.
void Router::settle() {
  if (replicas_ != nullptr) replicas_->settle();
}

Result<std::string> Router::create_port(PortSpec spec) {
  // The lines of a configuration have it as a word (split_words).
  if (spec.name().ends_with(',')) {
    return fail("Linux interface '{}': accepted: a name without a comma at its end", spec.link);
  }
  if (vnet_.interfaces().has(spec.name())) return fail("interface {} exists", spec.name());
  for (const auto& other : ports_list_) {
    // Twice, each would see every packet.
    const bool is_tap = spec.kind == PortSpec::Kind::Tap;
    const bool is_like = is_tap == (other->spec.kind == PortSpec::Kind::Tap);
    if (is_like && other->spec.link == spec.link) {
      return fail("{} '{}': interface {} has it", is_tap ? "TAP device" : "Linux interface",
                  spec.link, other->spec.name());
    }
  }
  auto port = std::make_unique<Port>();
  port->device = TRY(source_.open(spec, pool_));
  if (auto* device = dynamic_cast<host::DeviceInterface*>(port->device.get())) {
    // Its Linux interface was removed: it stays, down, until somebody deletes it.
    device->on_close([device, raw = port.get()] {
      raw->was_up = device->is_up();
      device->set_up(false);
    });
  }
  // A Linux interface may have one that no vnet takes: of "lo" it is 65536.
  const uint32_t mtu = port->device->mtu();
  if (mtu < vnet::Vnet::kLeastMtu) {
    return fail("interface {}: its MTU is {}; accepted: {} and more", spec.name(), mtu,
                vnet::Vnet::kLeastMtu);
  }
  port->spec = std::move(spec);
  settle();
  port->index = TRY(vnet_.attach(*port->device, port->spec.input_node()));
  ports_list_.push_back(std::move(port));
  const Port& made = *ports_list_.back();
  if (auto* device = dynamic_cast<host::DeviceInterface*>(made.device.get())) {
    device->set_rx_mode(made.rx_mode);
    device->on_link_change([this, raw = &made] { follow_link(*raw); });
  }
  return begin(made.index, mtu);
}

// Down, and with the MTU that it is said to begin with, or the most that a vnet takes. REQUIRES: it
// is not less than a vnet takes.
std::string Router::begin(uint16_t index, uint32_t mtu) {
  mtu = std::min(mtu, vnet::Vnet::kMostMtu);
  MUST(vnet_.set_up(index, false));  // It was attached.
  if (vnet_.interfaces()[index].mtu() != mtu) MUST(vnet_.set_mtu(index, mtu));
  first_mtus_[index] = mtu;
  return vnet_.interfaces()[index].name;
}

Result<void> Router::delete_port(std::string_view name) {
  const auto at = std::find_if(ports_list_.begin(), ports_list_.end(),
                               [&](const auto& port) { return port->device->name() == name; });
  if (at == ports_list_.end()) return fail("interface '{}' was not created as a port", name);
  for (const uint16_t sub : vnet_.virtuals().subs_of((*at)->index)) TRY(delete_virtual(sub));
  pcap_.forget(*(*at)->device);
  TRY(vnet_.detach((*at)->index));
  forget((*at)->index);
  ports_list_.erase(at);
  return {};
}

// It was detached: the next may have its number.
void Router::forget(uint16_t index) {
  first_mtus_.erase(index);
  set_mtus_.erase(index);
  std::erase_if(drops_cleared_, [mark = fmt::format("{} ", index)](const auto& known) {
    return known.first.starts_with(mark);
  });
}

// --- loopbacks and sub-interfaces ---

Result<std::string> Router::create_loopback(uint32_t number, const net::MacAddress& mac) {
  settle();
  const uint16_t index = TRY(vnet_.virtuals().add_loopback(number, mac));
  return begin(index, vnet_.interfaces()[index].mtu());
}

Result<std::string> Router::create_sub(uint16_t parent, const vnet::SubInterfaceConfig& config) {
  settle();
  const uint16_t index = TRY(vnet_.virtuals().add_sub(parent, config));
  return begin(index, vnet_.interfaces()[index].mtu());
}

Result<void> Router::delete_virtual(uint16_t index) {
  const vnet::InterfaceEntry& entry = vnet_.interfaces()[index];
  if (entry.device == nullptr || port(index) != nullptr) {
    return fail("interface {}: neither a loopback nor a sub-interface", entry.name);
  }
  pcap_.forget(*entry.device);
  TRY(vnet_.virtuals().remove(index));
  forget(index);
  return {};
}

Result<void> Router::set_mtu(uint16_t index, uint32_t mtu) {
  const auto first = first_mtus_.find(index);
  const bool has_link = first != first_mtus_.end() && vnet_.virtuals().loopback(index) == nullptr;
  if (has_link && mtu > first->second) {
    return fail("mtu {}: the link of {} carries {}", mtu, vnet_.interfaces()[index].name,
                first->second);
  }
  TRY(vnet_.set_mtu(index, mtu));
  if (first != first_mtus_.end() && mtu == first->second) {
    set_mtus_.erase(index);
  } else {
    set_mtus_[index] = mtu;
  }
  return {};
}

// A port's link carries another MTU now: so do the port and its sub-interfaces.
void Router::follow_link(const Port& port) {
  const uint32_t mtu = port.device->link_mtu();
  follow_mtu(port.index, mtu);
  for (const uint16_t i : vnet_.virtuals().subs_of(port.index)) {
    const vnet::SubInterface& sub = *vnet_.virtuals().sub(i);
    follow_mtu(i, mtu - std::min(mtu, vnet::beyond_link(sub.tags())));
  }
}

void Router::follow_mtu(uint16_t index, uint32_t first) {
  first = std::clamp(first, vnet::Vnet::kLeastMtu, vnet::Vnet::kMostMtu);
  first_mtus_[index] = first;
  MUST(vnet_.set_mtu(index, std::min(first, wanted_mtu(index))));  // Attached, and in range.
}

Result<void> Router::set_rx_mode(uint16_t index, host::RxMode mode) {
  Port* changed = port(index);
  if (changed == nullptr) {
    return fail("interface {}: no port, and so receives by another's mode",
                vnet_.interfaces()[index].name);
  }
  changed->rx_mode = mode;
  auto* device = dynamic_cast<host::DeviceInterface*>(changed->device.get());
  if (device != nullptr && device->is_open()) device->set_rx_mode(mode);
  return {};
}

uint32_t Router::free_loopback_number() const {
  uint32_t number = 0;
  while (vnet_.interfaces().has(fmt::format("loop{}", number))) ++number;
  return number;
}

namespace {

// Puts the last address behind what is before `place`.
void move_last(std::vector<vnet::InterfaceAddress>& addresses,
               std::vector<vnet::InterfaceAddress>::iterator place) {
  std::rotate(place, addresses.end() - 1, addresses.end());
}

}  // namespace

Result<void> Router::add_address(uint16_t index, const net::Prefix& prefix) {
  auto& addresses = vnet_.stack().interfaces[index].addresses;
  const auto own = std::find_if(addresses.begin(), addresses.end(), [&](const auto& a) {
    return a.is_automatic && a.prefix.address == prefix.address;
  });
  if (own != addresses.end()) return fail("address {}: it is there already", to_string(prefix));
  TRY(vnet_.add_address(index, prefix));
  move_last(addresses, std::find_if(addresses.begin(), addresses.end() - 1,
                                    [](const auto& a) { return a.is_leased; }));
  mind_link_local(index);
  return {};
}

Result<void> Router::remove_address(uint16_t index, const net::IpAddress& address) {
  const vnet::InterfaceEntry& entry = vnet_.interfaces()[index];
  const vnet::InterfaceAddress* known = entry.find(address);
  if (known != nullptr && known->is_automatic) {
    return fail(
        "interface {}: {} comes with its other IPv6 addresses; another may come before them",
        entry.name, to_string(address));
  }
  TRY(vnet_.remove_address(index, address));
  mind_link_local(index);
  return {};
}

// Whether there is one of its own follows from the addresses that are given; it stands behind the
// first of them.
void Router::mind_link_local(uint16_t index) {
  auto& addresses = vnet_.stack().interfaces[index].addresses;
  const auto first = std::find_if(addresses.begin(), addresses.end(), [](const auto& a) {
    return !a.prefix.address.is_v4() && !a.is_automatic;
  });
  const bool wants = first != addresses.end() && !first->prefix.address.is_link_local();
  const auto own = std::find_if(addresses.begin(), addresses.end(),
                                [](const auto& a) { return a.is_automatic; });
  if (wants == (own != addresses.end())) return;
  if (!wants) {
    MUST(vnet_.remove_address(index, net::IpAddress(own->prefix.address)));
    return;
  }
  const auto place = first - addresses.begin() + 1;
  // Unless it is given as a neighbour's or next hop's on this link.
  if (!vnet_.add_address(index, {link_local(index), 64})) return;
  addresses.back().is_automatic = true;
  move_last(addresses, addresses.begin() + place);
}

net::Ip6 Router::link_local(uint16_t index) const {
  net::Ip6 address = net::Ip6::link_local(vnet_.interfaces()[index].device->mac());
  if (const vnet::SubInterface* sub = vnet_.virtuals().sub(index)) {
    // In place of ff:fe, which stands between a MAC address's halves (RFC 4291 appendix A).
    address.bytes[11] = static_cast<uint8_t>(sub->tags().id >> 8);
    address.bytes[12] = static_cast<uint8_t>(sub->tags().id);
  }
  return address;
}

// --- what devices lost ---

// All since the interfaces came, each under what tells it from every other.
std::vector<std::pair<std::string, Router::DeviceDrop>> Router::device_losses() const {
  std::vector<std::pair<std::string, DeviceDrop>> all;
  const auto& table = vnet_.interfaces();
  for (uint16_t index = 1; index < table.size(); ++index) {
    const net::Interface* device = table[index].device;
    if (device == nullptr) continue;
    // By what `show hardware-interfaces` calls it: "rx ring full" is NAME-rx's "ring_full".
    const auto add = [&](std::string_view text, uint64_t count) {
      std::string name(text.substr(3));
      std::replace(name.begin(), name.end(), ' ', '_');
      const std::string node = fmt::format("{}-{}", table[index].name, text.substr(0, 2));
      all.emplace_back(fmt::format("{} {} {}", index, node, name),
                       DeviceDrop{node, name, std::string(text), graph::Severity::Error, count});
    };
    const net::InterfaceCounters& i = device->counters();
    for (const auto& [text, count] : {std::pair("rx down", i.rx_down), {"tx down", i.tx_down}}) {
      add(text, count);
      all.back().second.reason = "interface is down";
      all.back().second.severity = graph::Severity::Warning;
    }
    if (const auto* at_kernel = dynamic_cast<const host::DeviceInterface*>(device)) {
      for (const host::DeviceCounterKind& kind : host::kDeviceCounters) {
        if (kind.is_loss) add(kind.text, at_kernel->device_counters().*kind.value);
      }
    } else {
      add("tx refused", i.tx_errors);
    }
  }
  return all;
}

std::vector<Router::DeviceDrop> Router::device_drops() const {
  std::vector<DeviceDrop> drops;
  for (auto& [key, drop] : device_losses()) {
    const auto cleared = drops_cleared_.find(key);
    if (cleared != drops_cleared_.end()) drop.count -= cleared->second;
    if (drop.count != 0) drops.push_back(std::move(drop));
  }
  return drops;
}

void Router::clear_errors() {
  vnet_.graph().clear_errors();
  drops_cleared_.clear();
  for (const auto& [key, drop] : device_losses()) drops_cleared_[key] = drop.count;
}

// --- plugins ---

std::string Router::plugin_file(const std::string& name) const {
  namespace fs = std::filesystem;
  const bool is_bare = name.find('/') == std::string::npos;
  const fs::path given = is_bare ? fs::path(plugin_path_) / name : fs::path(name);
  std::error_code error;  // Where the working directory is gone, the path stays as it was given.
  const fs::path whole = fs::absolute(given, error);
  return (error ? given : whole).lexically_normal().string();
}

bool Router::has_plugin(const std::string& name) const {
  const std::string path = plugin_file(name);
  return std::any_of(plugins_.begin(), plugins_.end(),
                     [&](const auto& known) { return known->path() == path; });
}

Result<void> Router::load_plugin(const std::string& name) {
  if (name.find('/') == std::string::npos && plugin_path_.empty()) {
    return fail("plugin {}: no plugin path is set; give the file's path", name);
  }
  const std::string path = plugin_file(name);
  if (has_plugin(name)) return fail("plugin {} is loaded already", path);
  auto library = TRY(host::Library::open(path));
  const auto* abi = static_cast<const char*>(library->symbol("wh_node_plugin_abi"));
  if (abi == nullptr || library->symbol("wh_node_plugin") == nullptr) {
    return fail("{} is no node plugin: it lacks WH_NODE_PLUGIN", path);
  }
  if (std::string_view(abi) != WH_PLUGIN_ABI) {
    return fail("{} was built for '{}', this is '{}'", path, abi, WH_PLUGIN_ABI);
  }
  if (thread_ == 0) TRY(try_plugin(library));  // Else the main router has.
  start_plugin(std::move(library));
  return {};
}

// A plugin is somebody's program, and one that adds a node or tunable whose name there is, or leads
// to a node that there is not, ends the process that starts it. So a copy of this one does first.
Result<void> Router::try_plugin(const std::shared_ptr<host::Library>& library) const {
  host::Pipe words = TRY(host::make_pipe());
  auto child = TRY(host::Child::run(
      {.name = "plugin " + library->path(), .standard_error = words.write_end.raw()}, [&] {
        VirtualLoop loop;
        PaperPorts ports(loop);
        Router router({}, loop, ports);
        router.share_plugins(*this);
        router.start_plugin(library);
        return 0;
      }));
  words.write_end.close();
  std::string said = TRY(host::read_to_end(words.read_end.raw()));
  const host::ExitStatus status = child.wait();
  if (status.code == 0 && status.signal == 0) return {};
  said.resize(std::min(said.find('\n'), said.size()));
  return fail("plugin {} ended a copy of this router that started it: {}", library->path(),
              said.empty() ? to_string(status) : said);
}

void Router::start_plugin(std::shared_ptr<host::Library> library) {
  NodePlugin plugin{vnet_, vnet_.graph(), vnet_.sysctl()};
  // Sound: the ABI's name, which was compared, stands for this signature.
  const auto start = reinterpret_cast<void (*)(NodePlugin&)>(library->symbol("wh_node_plugin"));
  start(plugin);
  // A plugin whose nodes name next nodes that nobody has is not fit to be run.
  MUST(vnet_.graph().link());
  plugins_.push_back(std::move(library));
  for (const SysctlTree::Leaf& leaf : MUST(vnet_.sysctl().list(""))) {  // There are some.
    if (leaf.writable) first_tunables_.try_emplace(leaf.name, leaf.value);
  }
}

void Router::share_plugins(const Router& other) {
  plugin_path_ = other.plugin_path_;
  for (const auto& library : other.plugins_) start_plugin(library);
}

const Router::Port* Router::port(uint16_t index) const {
  for (const auto& port : ports_list_) {
    if (port->index == index) return port.get();
  }
  return nullptr;
}

uint32_t Router::free_tap_number() const {
  for (uint32_t number = 0;; ++number) {
    const bool is_taken = std::any_of(ports_list_.begin(), ports_list_.end(), [&](const auto& p) {
      return p->spec.kind == PortSpec::Kind::Tap && p->spec.tap_number == number;
    });
    if (!is_taken) return number;
  }
}

}  // namespace wh::router

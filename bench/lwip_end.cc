#include "lwip_end.h"

extern "C" {
#include <lwip/opt.h>  // Its options declare functions without saying that they are C's.
}
#include <lwip/init.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <netif/etharp.h>
#include <netif/ethernet.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

namespace wh::bench {
namespace {

constexpr uint16_t kPort = 5001;
std::array<uint8_t, 65536> zeros;

// One buffer a frame: this library is built with LWIP_NETIF_TX_SINGLE_PBUF.
err_t write_frame(netif* interface, pbuf* frame) {
  const int tap = *static_cast<int*>(interface->state);
  std::array<uint8_t, 2048> flat;
  const void* bytes = frame->payload;
  if (frame->next != nullptr) {
    pbuf_copy_partial(frame, flat.data(), frame->tot_len, 0);
    bytes = flat.data();
  }
  return ::write(tap, bytes, frame->tot_len) == frame->tot_len ? ERR_OK : ERR_IF;
}

err_t bring_up(netif* interface) {
  interface->name[0] = 'w';
  interface->name[1] = 'h';
  interface->output = etharp_output;
  interface->linkoutput = write_frame;
  interface->mtu = 1500;
  interface->hwaddr_len = 6;
  const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
  std::memcpy(interface->hwaddr, mac, sizeof mac);
  interface->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_LINK_UP;
  return ERR_OK;
}

err_t on_received(void*, tcp_pcb* c, pbuf* data, err_t) {
  if (data == nullptr) return tcp_close(c);
  tcp_recved(c, data->tot_len);
  pbuf_free(data);
  return ERR_OK;
}

void fill(tcp_pcb* c) {
  while (tcp_sndbuf(c) > 0) {
    const u16_t n = tcp_sndbuf(c);
    if (tcp_write(c, zeros.data(), n, 0) != ERR_OK) break;
  }
  tcp_output(c);
}

err_t on_sent(void*, tcp_pcb* c, u16_t) {
  fill(c);
  return ERR_OK;
}

err_t on_connected(void*, tcp_pcb* c, err_t) {
  tcp_sent(c, on_sent);
  fill(c);
  return ERR_OK;
}

err_t on_accepted(void*, tcp_pcb* c, err_t) {
  tcp_recv(c, on_received);
  return ERR_OK;
}

void start(bool sends) {
  tcp_pcb* c = tcp_new();
  if (sends) {
    ip_addr_t to;
    IP_ADDR4(&to, 10, 0, 0, 2);
    tcp_connect(c, &to, kPort, on_connected);
    return;
  }
  tcp_bind(c, IP_ANY_TYPE, kPort);
  tcp_accept(tcp_listen(c), on_accepted);
}

// Frames from the TAP are processed here, under the core's lock; timers run in lwIP's own thread.
[[noreturn]] void serve(int tap, netif& interface) {
  std::array<uint8_t, 2048> frame;
  pollfd ready{tap, POLLIN, 0};
  for (;;) {
    ::poll(&ready, 1, -1);
    LOCK_TCPIP_CORE();
    for (ssize_t n; (n = ::read(tap, frame.data(), frame.size())) > 0;) {
      // Not PBUF_POOL: Debian's library (2.1.3) writes past its pool's buffers.
      pbuf* p = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(n), PBUF_RAM);
      if (p == nullptr) continue;
      pbuf_take(p, frame.data(), static_cast<u16_t>(n));
      if (ethernet_input(p, &interface) != ERR_OK) pbuf_free(p);
    }
    UNLOCK_TCPIP_CORE();
  }
}

}  // namespace

void run_lwip(int tap, bool sends) {
  static netif interface;
  static int descriptor;
  descriptor = tap;
  tcpip_init(nullptr, nullptr);
  ip4_addr_t address, mask, gateway;
  IP4_ADDR(&address, 10, 0, 0, 1);
  IP4_ADDR(&mask, 255, 255, 255, 0);
  IP4_ADDR(&gateway, 0, 0, 0, 0);
  LOCK_TCPIP_CORE();
  netif_add(&interface, &address, &mask, &gateway, &descriptor, bring_up, ethernet_input);
  netif_set_default(&interface);
  netif_set_up(&interface);
  start(sends);
  UNLOCK_TCPIP_CORE();
  serve(tap, interface);
}

}  // namespace wh::bench

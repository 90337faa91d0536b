// What programs ask a tap device. After tap(4), whose numbers these are.
#pragma once
#include "dev/kpi.h"

struct tapinfo {
  int baudrate;
  short mtu;
  u_char type;
  u_char dummy;
};
// The beginning of FreeBSD's, and of Linux's, ifreq.
struct tap_ifreq {
  char ifr_name[IFNAMSIZ];
  uint16_t ifr_family;
  uint8_t ifr_mac[ETHER_ADDR_LEN];
  uint8_t ifr_rest[16];
};
#define IFT_ETHER 6

#define TAPGDEBUG _IOR('t', 89, int)
#define TAPSDEBUG _IOW('t', 90, int)
#define TAPSIFINFO _IOW('t', 91, struct tapinfo)
#define TAPGIFINFO _IOR('t', 92, struct tapinfo)
#define TAPGIFNAME _IOR('t', 93, struct tap_ifreq)
// The address of the program's end: kept for it, and no more.
#define SIOCSIFADDR _IOW('i', 12, struct tap_ifreq)
#define SIOCGIFADDR _IOWR('i', 33, struct tap_ifreq)

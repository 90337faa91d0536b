// What packetdrill asks of a stack that offers itself as a shared object, declared from its
// description (docs/packetdrill.md): one symbol that fills a table of functions, each with the
// signature of the system call of its name and `userdata` before the arguments. Errors are -1 with
// errno. The order of the members is the interface.
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

extern "C" {

struct packetdrill_interface {
  void* userdata;
  void (*free)(void* userdata);
  int (*socket)(void* userdata, int domain, int type, int protocol);
  int (*bind)(void* userdata, int fd, const sockaddr* address, socklen_t length);
  int (*listen)(void* userdata, int fd, int backlog);
  int (*accept)(void* userdata, int fd, sockaddr* address, socklen_t* length);
  int (*connect)(void* userdata, int fd, const sockaddr* address, socklen_t length);
  ssize_t (*read)(void* userdata, int fd, void* buffer, size_t count);
  ssize_t (*readv)(void* userdata, int fd, const iovec* parts, int count);
  ssize_t (*recv)(void* userdata, int fd, void* buffer, size_t count, int flags);
  ssize_t (*recvfrom)(void* userdata, int fd, void* buffer, size_t count, int flags,
                      sockaddr* address, socklen_t* length);
  ssize_t (*recvmsg)(void* userdata, int fd, msghdr* message, int flags);
  ssize_t (*write)(void* userdata, int fd, const void* buffer, size_t count);
  ssize_t (*writev)(void* userdata, int fd, const iovec* parts, int count);
  ssize_t (*send)(void* userdata, int fd, const void* buffer, size_t count, int flags);
  ssize_t (*sendto)(void* userdata, int fd, const void* buffer, size_t count, int flags,
                    const sockaddr* address, socklen_t length);
  ssize_t (*sendmsg)(void* userdata, int fd, const msghdr* message, int flags);
  int (*fcntl)(void* userdata, int fd, int command, ...);
  int (*ioctl)(void* userdata, int fd, unsigned long request, ...);
  int (*close)(void* userdata, int fd);
  int (*shutdown)(void* userdata, int fd, int how);
  int (*getsockopt)(void* userdata, int fd, int level, int name, void* value, socklen_t* length);
  int (*setsockopt)(void* userdata, int fd, int level, int name, const void* value,
                    socklen_t length);
  int (*poll)(void* userdata, pollfd* fds, nfds_t count, int timeout_ms);
  // A raw IP packet into the stack. 0 or -1.
  int (*netdev_send)(void* userdata, const void* packet, size_t size);
  // The next IP packet that leaves the stack, and when it left. *size is the buffer's size, then
  // the packet's.
  int (*netdev_receive)(void* userdata, void* packet, size_t* size, long long* time_us);
  int (*usleep)(void* userdata, useconds_t us);
  int (*gettimeofday)(void* userdata, timeval* now, struct timezone* zone);
  int (*epoll_create)(void* userdata, int size);
  int (*epoll_ctl)(void* userdata, int epoll, int operation, int fd, epoll_event* event);
  int (*epoll_wait)(void* userdata, int epoll, epoll_event* events, int most, int timeout_ms);
  int (*pipe)(void* userdata, int fds[2]);
  int (*splice)(void* userdata, int from, loff_t* from_at, int to, loff_t* to_at, size_t size,
                unsigned int flags);
};

// The object's one symbol. `flags` is the text of --so_flags, or null.
__attribute__((visibility("default"))) void packetdrill_interface_init(
    const char* flags, packetdrill_interface* interface);
}

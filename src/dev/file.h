// An open character device: what a descriptor refers to.
//
// It turns read(2), write(2), ioctl(2), poll(2), kevent(2) and mmap(2) into calls of the driver's
// methods, with the manners of FreeBSD's system call layer: defaults for methods that are not set,
// ioctl arguments copied by the size in the command, errors hidden behind bytes already written,
// d_close on the last close only unless the driver asks for each.
//
// Every function is called by a thread of the kernel's machine (`td` is that thread) and may sleep
// in the driver.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "dev/device.h"
#include "event/selectable.h"

namespace wh::dev {

// What a system call gives: a value, or an errno. They are the interface here.
template <class T>
using Sys = tl::expected<T, std::errc>;
inline tl::unexpected<std::errc> sys_error(int code) {
  return tl::unexpected(static_cast<std::errc>(code));
}

// What read(2) and write(2) give, in two registers: a result that takes a place in memory would
// cost a short transfer a tenth of its time.
struct Transferred {
  size_t bytes;
  int code;  // An errno, or 0.
  operator Sys<size_t>() const { return code == 0 ? Sys<size_t>(bytes) : sys_error(code); }
};

class File final : public event::Selectable, public std::enable_shared_from_this<File> {
 public:
  static constexpr int64_t kOwnOffset = -1;

  // `oflags` as open(2) takes them. Errors: EACCES (mode and credentials of `td`), the driver's
  // d_open.
  static Sys<std::shared_ptr<File>> open(Kernel& kernel, std::shared_ptr<Device> device, int oflags,
                                         ::thread& td);
  File(Kernel& kernel, std::shared_ptr<Device> device, int fflags)
      : kernel_(kernel), device_(std::move(device)), fflags_(fflags) {}
  ~File() override;

  void close(::thread& td);  // Once; destroying the file without it is a bug.

  // At `offset`, or where the last transfer ended. A buffer to write from is only read. Errors:
  // EBADF when not open for it; the driver's.
  template <::uio_rw kDirection>
  Transferred transfer(::thread& td, std::byte* buffer, size_t length, int64_t offset);

  // `argument` is the caller's, of the size in `cmd`; copied in and out as the command says. A
  // command that copies nothing shows the driver `argument` itself.
  // Errors: ENOTTY for a malformed command; the driver's.
  Sys<int> ioctl(::thread& td, uint32_t cmd, void* argument);

  // Which of `events` are true now. With `selector` it is told once when that may have changed;
  // only if none is true.
  int poll(::thread& td, int events, Selector* selector);
  int kqfilter(::knote& kn) override;

  // fcntl(F_SETFL): O_NONBLOCK and O_ASYNC, each put to the driver (FIONBIO, FIOASYNC); unchanged
  // on an error.
  Sys<void> set_status_flags(::thread& td, int oflags);

  // The pages of the driver's memory behind [offset, offset + length). `prot` is PROT_* (1 read, 2
  // write). Errors: ENODEV without d_mmap; EINVAL when the driver refuses a page; EACCES against
  // the open mode.
  Sys<std::vector<std::byte*>> map(::thread& td, int64_t offset, size_t length, int prot);

  Device& device() { return *device_; }
  int fflags() const { return fflags_.load(); }

  // devfs_set_cdevpriv(9) and its companions.
  int set_private(void* data, ::d_priv_dtor_t* destructor);
  void* private_data() const { return private_; }
  void drop_private();

 private:
  int generic_ioctl(::thread& td, uint32_t cmd, void* data);
  int driver_ioctl(::thread& td, uint32_t cmd, void* data);

  Kernel& kernel_;
  const std::shared_ptr<Device> device_;
  std::atomic<int> fflags_;
  std::atomic<int64_t> offset_{0};
  void* private_ = nullptr;
  ::d_priv_dtor_t* private_destructor_ = nullptr;
  bool is_open_ = true;
};

}  // namespace wh::dev

#include "dev/file.h"

#include <cerrno>

#include "dev/kernel.h"

namespace wh::dev {
namespace {

constexpr int kPollStandard = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLPRI | POLLRDBAND |
                              POLLWRBAND | POLLERR | POLLHUP | POLLNVAL;
constexpr size_t kMaxTransfer = INT_MAX;

// O_RDONLY, O_WRONLY, O_RDWR become FREAD and FWRITE; the rest stays.
int fflags_of(int oflags) {
  return (oflags & ~O_ACCMODE) | ((oflags & O_ACCMODE) + 1);
}

bool may_open(const Credentials& who, const Device& device, int fflags) {
  if (who.uid == 0) return true;
  uint32_t bits = device.mode;
  const bool in_group = who.gid == device.gid || std::find(who.groups.begin(), who.groups.end(),
                                                           device.gid) != who.groups.end();
  if (who.uid == device.uid) {
    bits >>= 6;
  } else if (in_group) {
    bits >>= 3;
  }
  return ((fflags & FREAD) == 0 || (bits & 4) != 0) && ((fflags & FWRITE) == 0 || (bits & 2) != 0);
}

// For the time of one call, what the thread works for.
class Working {
 public:
  Working(::thread& td, File* file) : td_(td), outer_(td.file) { td_.file = file; }
  ~Working() { td_.file = outer_; }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  ::thread& td_;
  File* outer_;
};

}  // namespace

Sys<std::shared_ptr<File>> File::open(Kernel& kernel, std::shared_ptr<Device> device, int oflags,
                                      ::thread& td) {
  const int fflags = fflags_of(oflags);
  if (!may_open(td.credentials, *device, fflags)) return sys_error(EACCES);
  Device& dev = *device;
  auto file = std::make_shared<File>(kernel, std::move(device), fflags);
  kernel.add_file(*file);
  const Working working(td, file.get());
  const int code = dev.call(td, "d_open", [&] {
    const auto method = dev.driver()->d_open;
    return method == nullptr ? 0 : method(&dev, fflags, S_IFCHR, &td);
  });
  if (code != 0) {
    file->drop_private();
    kernel.remove_file(*file);
    file->is_open_ = false;
    return sys_error(code);
  }
  kernel.file_opened(*file);
  return file;
}

File::~File() {
  CHECK(!is_open_);
}

void File::close(::thread& td) {
  CHECK(is_open_);
  is_open_ = false;
  const bool last = kernel_.file_closed(*this);
  if (last || device_->has_flag(D_TRACKCLOSE)) {
    const Working working(td, this);
    device_->call(td, "d_close", [&] {
      const auto method = device_->driver()->d_close;
      const int fflags = fflags_ | (last ? FLASTCLOSE : 0);
      return method == nullptr ? 0 : method(device_.get(), fflags, S_IFCHR, &td);
    });
  }
  drop_private();  // After d_close, which may want it.
  kernel_.remove_file(*this);
}

template <::uio_rw kDirection>
Transferred File::transfer(::thread& td, std::byte* buffer, size_t length, int64_t offset) {
  constexpr bool kReads = kDirection == UIO_READ;
  constexpr const char* kMethod = kReads ? "d_read" : "d_write";
  const int fflags = fflags_.load(std::memory_order_relaxed);
  if ((fflags & (kReads ? FREAD : FWRITE)) == 0) return {0, EBADF};
  if (kReads && length == 0) return {0, 0};  // As dofileread() does: no driver's business.
  if (length > kMaxTransfer) length = kMaxTransfer;
  ::iovec iov{buffer, length};
  ::uio uio{&iov,
            1,
            offset == kOwnOffset ? offset_.load() : offset,
            static_cast<ssize_t>(length),
            UIO_USERSPACE,
            kDirection,
            &td};
  const Working working(td, this);
  Device& device = *device_;
  const int code = device.call(td, kMethod, [&] {
    const auto method = kReads ? device.driver()->d_read : device.driver()->d_write;
    return method == nullptr ? ENODEV : method(&device, &uio, fflags & O_NONBLOCK);
  });
  if (static_cast<size_t>(uio.uio_resid) > length) {  // Below zero, it is beyond any length.
    kernel_.reports().blame(Misdeed::BadReturn,
                            fmt::format("{} of {} leaves uio_resid at {} of {}", kMethod,
                                        device.name(), uio.uio_resid, length));
    return {0, EIO};
  }
  if (offset == kOwnOffset) offset_.store(uio.uio_offset, std::memory_order_relaxed);
  const size_t moved = length - static_cast<size_t>(uio.uio_resid);
  // As dofileread() and dofilewrite() do: bytes that have moved outrank an interruption.
  const bool is_hidden = moved != 0 && (code == EINTR || code == EWOULDBLOCK);
  return {moved, is_hidden ? 0 : code};
}

template Transferred File::transfer<UIO_READ>(::thread&, std::byte*, size_t, int64_t);
template Transferred File::transfer<UIO_WRITE>(::thread&, std::byte*, size_t, int64_t);

Sys<int> File::ioctl(::thread& td, uint32_t cmd, void* argument) {
  const uint32_t direction = _IOC_DIR(cmd);
  const size_t size = _IOC_SIZE(cmd);
  // Without a direction, the argument itself is handed over: _IO, and an int of _IOWINT.
  const bool is_value = direction == _IOC_NONE;
  if (is_value ? size != 0 && size != sizeof(int) : size == 0) return sys_error(ENOTTY);
  // A driver that takes the argument for a larger one writes behind it.
  constexpr size_t kBehind = 8;
  alignas(16) std::byte small[128 + kBehind];
  std::vector<std::byte> large;
  std::byte* data = small;
  if (size + kBehind > sizeof small) {
    large.resize(size + kBehind);
    data = large.data();
  }
  if (is_value) {
    std::memcpy(data, &argument, sizeof argument);
  } else if ((direction & _IOC_WRITE) != 0) {
    std::memcpy(data, argument, size);
  } else {
    std::memset(data, 0, size);
  }
  if (!is_value) std::memset(data + size, 0xa5, kBehind);
  const int code = generic_ioctl(td, cmd, data);
  const auto is_whole = [](std::byte b) { return b == std::byte{0xa5}; };
  if (!is_value && !std::all_of(data + size, data + size + kBehind, is_whole)) {
    kernel_.reports().blame(
        Misdeed::Overrun,
        fmt::format("d_ioctl {:#x} of {}, behind its {} bytes", cmd, device_->name(), size));
  }
  if (code != 0) return sys_error(code);
  if ((direction & _IOC_READ) != 0) std::memcpy(argument, data, size);
  return 0;
}

// The commands that any descriptor knows keep the file's flags in step; the rest is the driver's.
int File::generic_ioctl(::thread& td, uint32_t cmd, void* data) {
  if (cmd != FIONBIO && cmd != FIOASYNC) return driver_ioctl(td, cmd, data);
  const int flag = cmd == FIONBIO ? O_NONBLOCK : O_ASYNC;
  const int code = driver_ioctl(td, cmd, data);
  if (code != 0) return code;
  if (*static_cast<int*>(data) != 0) {
    fflags_ |= flag;
  } else {
    fflags_ &= ~flag;
  }
  return 0;
}

int File::driver_ioctl(::thread& td, uint32_t cmd, void* data) {
  const Working working(td, this);
  return device_->call(td, "d_ioctl", [&] {
    const auto method = device_->driver()->d_ioctl;
    if (method == nullptr) return ENODEV;
    return method(device_.get(), cmd, static_cast<char*>(data), fflags_, &td);
  });
}

Sys<void> File::set_status_flags(::thread& td, int oflags) {
  const int before = (fflags_ & O_NONBLOCK) != 0;
  int nonblocking = (oflags & O_NONBLOCK) != 0;
  if (const int code = generic_ioctl(td, FIONBIO, &nonblocking); code != 0) return sys_error(code);
  int async = (oflags & O_ASYNC) != 0;
  if (const int code = generic_ioctl(td, FIOASYNC, &async); code != 0) {
    int restored = before;
    generic_ioctl(td, FIONBIO, &restored);
    return sys_error(code);
  }
  return {};
}

int File::poll(::thread& td, int events, Selector* selector) {
  if (device_->driver()->d_poll == nullptr && !device_->is_gone()) {
    // As FreeBSD's default does: always ready, and nothing special is known.
    if ((events & ~kPollStandard) != 0) return POLLNVAL;
    return events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
  }
  events &= kPollStandard;
  const Working working(td, this);
  Selector* outer = td.selector;
  td.selector = selector;
  int revents = 0;
  const int code = device_->call(td, "d_poll", [&] {
    revents = device_->driver()->d_poll(device_.get(), events, &td);
    return 0;
  });
  td.selector = outer;
  // What devfs says for a device that is gone.
  if (code != 0) return (events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)) | POLLHUP;
  return revents & (events | POLLERR | POLLHUP | POLLNVAL);
}

int File::kqfilter(::knote& kn) {
  ::thread& td = kernel_.machine().current();
  const Working working(td, this);
  return device_->call(td, "d_kqfilter", [&] {
    const auto method = device_->driver()->d_kqfilter;
    return method == nullptr ? ENODEV : method(device_.get(), &kn);
  });
}

Sys<std::vector<std::byte*>> File::map(::thread& td, int64_t offset, size_t length, int prot) {
  constexpr int64_t kPage = 4096;
  if (offset < 0 || offset % kPage != 0 || length == 0 || length > kMaxTransfer ||
      offset > INT64_MAX - static_cast<int64_t>(length)) {
    return sys_error(EINVAL);
  }
  const bool reads = (prot & 1) != 0, writes = (prot & 2) != 0;
  if ((reads && (fflags_ & FREAD) == 0) || (writes && (fflags_ & FWRITE) == 0)) {
    return sys_error(EACCES);
  }
  const Working working(td, this);
  std::vector<std::byte*> pages;
  const auto end = offset + static_cast<int64_t>(length);
  for (int64_t at = offset; at < end; at += kPage) {
    ::vm_paddr_t page = 0;
    ::vm_memattr_t attributes = 0;
    bool has_method = true;
    const int code = device_->call(td, "d_mmap", [&] {
      const auto method = device_->driver()->d_mmap;
      has_method = method != nullptr;
      // Any refusal, -1 by custom, is EINVAL to the caller.
      return has_method && method(device_.get(), at, &page, prot, &attributes) == 0 ? 0 : EINVAL;
    });
    if (code != 0) return sys_error(has_method ? code : ENODEV);
    // Sound: vtophys() is the identity here, so the driver gave an address in its own memory.
    pages.push_back(reinterpret_cast<std::byte*>(static_cast<uintptr_t>(page)));
  }
  return pages;
}

int File::set_private(void* data, ::d_priv_dtor_t* destructor) {
  const MachineLock guard(kernel_.machine());
  if (private_ != nullptr || data == nullptr) return data == nullptr ? EINVAL : EBUSY;
  private_ = data;
  private_destructor_ = destructor;
  return 0;
}

// By whoever comes first: the close, or the destruction of the device.
void File::drop_private() {
  device_->finish(kernel_.machine().current(), "d_priv_dtor", [&] {
    void* data = nullptr;
    ::d_priv_dtor_t* destructor = nullptr;
    {
      const MachineLock guard(kernel_.machine());
      std::swap(data, private_);
      std::swap(destructor, private_destructor_);
    }
    if (data != nullptr && destructor != nullptr) destructor(data);
  });
}

}  // namespace wh::dev

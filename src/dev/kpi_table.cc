#include "dev/kpi_table.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "dev/file.h"
#include "dev/kernel.h"

namespace wh::dev {
namespace {

// Sound: the only wh_kernel a driver is ever given is the base of a KpiTable.
Kernel& kernel_of(const ::wh_kernel* k) {
  return *static_cast<const KpiTable*>(k)->kernel;
}

std::string print_to_string(const char* format, va_list ap) {
  va_list again;
  va_copy(again, ap);
  const int length = std::vsnprintf(nullptr, 0, format, ap);
  std::string out(length > 0 ? static_cast<size_t>(length) : 0, '\0');
  std::vsnprintf(out.data(), out.size() + 1, format, again);
  va_end(again);
  return out;
}

// A copy may be slow, or fail, where faults are asked for. Returns an errno.
[[gnu::noinline]] int inject_into_copy(Kernel& kernel, Injection& injection) {
  if (injection.slow_copy()) {
    ::thread& td = kernel.machine().current();
    const MachineLock guard(kernel.machine());
    kernel.sleepq().enqueue(td, &td, "vmwait");
    kernel.sleepq().wait(td, kernel.machine().now() + 1ms, false);
  }
  return injection.bad_copy() ? EFAULT : 0;
}

// The driver has made more of uio_resid than it was given.
[[gnu::noinline]] int beyond_the_request(Kernel& kernel, const ::uio& uio) {
  kernel.reports().blame(Misdeed::BadReturn,
                         fmt::format("uiomove beyond the request: uio_resid is {}", uio.uio_resid));
  return EFAULT;
}

// uiomove(9): the direction is the request's; at most what is left of it moves.
int uiomove(const ::wh_kernel* k, void* buffer, size_t n, ::uio* uio) {
  Kernel& kernel = kernel_of(k);
  if (Injection* injection = kernel.injection(); injection != nullptr) {
    if (const int code = inject_into_copy(kernel, *injection); code != 0) return code;
  }
  kernel.locks().may_sleep(kernel.machine().current(), "uiomove");
  kernel.machine().point();
  auto* from = static_cast<char*>(buffer);
  n = std::min(n, static_cast<size_t>(uio->uio_resid));
  while (n != 0) {
    ::iovec& iov = *uio->uio_iov;
    const size_t piece = std::min(n, iov.iov_len);
    if (__builtin_expect(piece == 0, 0)) {
      if (uio->uio_iovcnt <= 1) return beyond_the_request(kernel, *uio);
      ++uio->uio_iov;
      --uio->uio_iovcnt;
      continue;
    }
    if (uio->uio_rw == UIO_READ) {
      std::memcpy(iov.iov_base, from, piece);
    } else {
      std::memcpy(from, iov.iov_base, piece);
    }
    iov.iov_base = static_cast<char*>(iov.iov_base) + piece;
    iov.iov_len -= piece;
    uio->uio_resid -= static_cast<ssize_t>(piece);
    // A device may be read on past the largest offset; it then starts anew.
    uio->uio_offset = static_cast<off_t>(static_cast<uint64_t>(uio->uio_offset) + piece);
    from += piece;
    n -= piece;
  }
  return 0;
}

// An allocation that waits until there is memory.
void demand_sleep(Kernel& kernel, int flags) {
  if ((flags & M_NOWAIT) != 0) return;
  kernel.locks().may_sleep(kernel.machine().current(), "malloc with M_WAITOK");
}

int sleep(const ::wh_kernel* k, const void* chan, ::wh_lock* lock, int priority, const char* wmesg,
          ::sbintime_t timeout) {
  Kernel& kernel = kernel_of(k);
  Instant deadline = kNever;
  if (timeout != 0) {
    const Int128 ns = Int128(timeout) * 1'000'000'000 >> 32;
    const Instant now = kernel.machine().now();
    // One tick more than asked may pass, never less.
    if (ns < (kNever - now).count()) deadline = now + Duration(static_cast<int64_t>(ns) + 1);
  }
  if (Injection* injection = kernel.injection();
      injection != nullptr && (priority & PCATCH) != 0 && injection->signal()) {
    kernel.machine().current().has_signal = true;
  }
  return kernel.locks().sleep(chan, lock, priority, wmesg, deadline);
}

void wakeup(const ::wh_kernel* k, const void* chan, int how_many) {
  Kernel& kernel = kernel_of(k);
  kernel.machine().point();
  if (!kernel.sleepq().has_sleepers()) return;
  const MachineLock guard(kernel.machine());
  kernel.sleepq().wakeup(chan, how_many == 0 ? SIZE_MAX : static_cast<size_t>(how_many));
}

event::ListLock list_lock(int locked) {
  return locked != 0 ? event::ListLock::Held : event::ListLock::Take;
}

// The lock functions of a list that was given an sx or mtx lock, or none, rather than functions of
// its own.
void list_take(void* arg) {
  auto* lock = static_cast<::wh_lock*>(arg);
  static_cast<Locks*>(lock->lo_owner)->operate(*lock, WH_XLOCK);
}
void list_leave(void* arg) {
  auto* lock = static_cast<::wh_lock*>(arg);
  static_cast<Locks*>(lock->lo_owner)->operate(*lock, WH_XUNLOCK);
}

void knlist_init(const ::wh_kernel* k, ::knlist* list, ::wh_lock* lock, void* arg,
                 void (*take)(void*), void (*leave)(void*), void (*check)(void*, int)) {
  *list = {};
  if (take != nullptr) {
    *list = {nullptr, take, leave, check, arg};
    return;
  }
  if (lock == nullptr) lock = &kernel_of(k).knlist_lock();
  *list = {nullptr, list_take, list_leave, nullptr, lock};
}

void knlist_destroy(const ::wh_kernel* k, ::knlist* list) {
  if (event::list_empty(*list)) return;
  kernel_of(k).reports().blame(Misdeed::KnotesLeft, "knlist_destroy of a list with knotes");
  event::list_clear(*list, event::ListLock::Take);
}

void selrecord(const ::wh_kernel* k, ::thread* td, ::selinfo* info) {
  if (td->selector != nullptr) kernel_of(k).selects().record(*td->selector, *info);
}

WH_NORETURN void panic(const ::wh_kernel* k, const char* format, va_list ap) {
  kernel_of(k).reports().blame(Misdeed::Panic, print_to_string(format, ap));
  throw DriverAbort{EIO};
}

int set_cdevpriv(const ::wh_kernel* k, void* data, ::d_priv_dtor_t* destructor) {
  File* file = kernel_of(k).machine().current().file;
  return file == nullptr ? ENOENT : file->set_private(data, destructor);
}

int get_cdevpriv(const ::wh_kernel* k, void** data) {
  const File* file = kernel_of(k).machine().current().file;
  *data = file == nullptr ? nullptr : file->private_data();
  return file == nullptr ? EBADF : *data == nullptr ? ENOENT : 0;
}

}  // namespace

KpiTable::KpiTable(Kernel& owner) : ::wh_kernel{}, kernel(&owner) {
  using K = const ::wh_kernel*;
  make_dev = [](K k, ::make_dev_args* args, ::cdev** dev, const char* format, va_list ap) {
    return kernel_of(k).devfs().make(*args, print_to_string(format, ap), dev);
  };
  make_dev_alias = [](K k, ::cdev** alias, ::cdev* dev, const char* format, va_list ap) {
    return kernel_of(k).devfs().make_alias(*dev, print_to_string(format, ap), alias);
  };
  destroy_dev = [](K k, ::cdev* dev) { kernel_of(k).devfs().destroy(*dev); };
  destroy_dev_sched = [](K k, ::cdev* dev, void (*cb)(void*), void* arg) {
    std::function<void()> done;
    if (cb != nullptr) done = [cb, arg] { cb(arg); };
    return kernel_of(k).devfs().schedule_destroy(*dev, std::move(done)) ? 1 : 0;
  };
  drain_devs = [](K k) { kernel_of(k).devfs().drain(); };
  this->set_cdevpriv = dev::set_cdevpriv;
  this->get_cdevpriv = dev::get_cdevpriv;
  clear_cdevpriv = [](K k) {
    if (File* file = kernel_of(k).machine().current().file; file != nullptr) file->drop_private();
  };
  this->uiomove = dev::uiomove;
  malloc = [](K k, size_t size, ::malloc_type* type, int flags) {
    demand_sleep(kernel_of(k), flags);
    return kernel_of(k).memory().allocate(size, *type, flags);
  };
  realloc = [](K k, void* p, size_t size, ::malloc_type* type, int flags) {
    demand_sleep(kernel_of(k), flags);
    return kernel_of(k).memory().reallocate(p, size, *type, flags);
  };
  free = [](K k, void* p, ::malloc_type* type) { kernel_of(k).memory().release(p, *type); };
  m_devbuf = &owner.memory().devbuf();
  lock_init = [](K k, ::wh_lock* lock, const char* name, int flags) {
    kernel_of(k).locks().init(*lock, name, flags);
  };
  lock_destroy = [](K k, ::wh_lock* lock) { kernel_of(k).locks().destroy(*lock); };
  lock_op = [](K k, ::wh_lock* lock, ::wh_lock_op op) {
    return kernel_of(k).locks().operate(*lock, op);
  };
  lock_assert = [](K k, ::wh_lock* lock, int what) { kernel_of(k).locks().check(*lock, what); };
  this->sleep = dev::sleep;
  this->wakeup = dev::wakeup;
  this->selrecord = dev::selrecord;
  selwakeup = [](K k, ::selinfo* info) { kernel_of(k).selects().wakeup(*info); };
  this->knlist_init = dev::knlist_init;
  knlist_add = [](K, ::knlist* list, ::knote* kn, int locked) {
    event::list_add(*list, *kn, list_lock(locked));
  };
  knlist_remove = [](K, ::knlist* list, ::knote* kn, int locked) {
    event::list_remove(*list, *kn, list_lock(locked));
  };
  knlist_clear = [](K, ::knlist* list, int locked) { event::list_clear(*list, list_lock(locked)); };
  this->knlist_destroy = dev::knlist_destroy;
  knote = [](K, ::knlist* list, long hint, int locked) {
    event::list_event(*list, hint, list_lock(locked));
  };
  curthread = [](K k) { return &kernel_of(k).machine().current(); };
  print = [](K k, const char* format, va_list ap) {
    kernel_of(k).reports().print(print_to_string(format, ap));
  };
  this->panic = dev::panic;
  random = [](K k) { return kernel_of(k).random(); };
  if_attach = [](K k, ::ifnet* ifp, const uint8_t* mac) {
    return kernel_of(k).interfaces().attach(*ifp, mac);
  };
  if_detach = [](K k, ::ifnet* ifp) { kernel_of(k).interfaces().detach(*ifp); };
  if_input = [](K k, ::ifnet* ifp, const void* frame, size_t length) {
    kernel_of(k).interfaces().input(*ifp, {static_cast<const std::byte*>(frame), length});
  };
}

}  // namespace wh::dev

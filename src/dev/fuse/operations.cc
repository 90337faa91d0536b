#define FUSE_USE_VERSION 312
#include "dev/fuse/operations.h"

#include <cerrno>
#include <cstring>

#include "dev/fuse/control.h"

namespace wh::dev {

// A poll handle waiting for its notification. Replaced by the next poll, spent by the first notify.
//
// A driver records a waiter only when nothing is true, and an edge-triggered epoll asks no more
// after it was told "ready": it is owed a word when that has been used up and is true again. So
// whoever reads or writes asks the driver anew for what the file's watch is owed.
class Server::Watch final : public Selector {
 public:
  explicit Watch(Server& server) : server_(server) {}
  ~Watch() override {
    server_.kernel_.selects().forget(*this);
    set(nullptr);
  }
  void set(::fuse_pollhandle* handle) {
    const MachineLock guard(server_.machine_);
    spend();
    handle_ = handle;
  }
  void notify() override {
    if (handle_ == nullptr) return;
    ::fuse_lowlevel_notify_poll(handle_);
    spend();
  }
  // It has been told that `events` are true.
  void owe(int events) {
    const MachineLock guard(server_.machine_);
    if (handle_ == nullptr) return;
    server_.owed_ += (events != 0) - (owed_ != 0);
    owed_ = events;
  }
  int owed() {
    const MachineLock guard(server_.machine_);
    return owed_;
  }

 private:
  void spend() {
    if (handle_ == nullptr) return;
    ::fuse_pollhandle_destroy(handle_);
    handle_ = nullptr;
    if (std::exchange(owed_, 0) != 0) --server_.owed_;
  }

  Server& server_;
  ::fuse_pollhandle* handle_ = nullptr;
  int owed_ = 0;
};

// A request while a worker serves it: the caller's identity and signals become the thread's.
class Server::Request {
 public:
  explicit Request(::fuse_req_t req)
      : server(*static_cast<Server*>(::fuse_req_userdata(req))),
        td(server.machine_.current()),
        req_(req) {
    const ::fuse_ctx* context = ::fuse_req_ctx(req);
    uid = context->uid;
    td.credentials.uid = Server::user_inside(uid);
    td.credentials.gid = Server::group_inside(context->gid);
    pid = context->pid;
    td.has_signal = false;
    const bool is_root = Server::user_inside(uid) == 0;
    is_admitted_ = server.busy_.fetch_add(1) < (is_root ? kMaxBusy : server.bounds_.users_busy);
    if (!is_admitted_) {
      ++server.refused_busy_;
      return;
    }
    ::fuse_req_interrupt_func(req, &Request::interrupt, this);
  }
  ~Request() {
    CHECK(req_ == nullptr);  // Every request is answered, once.
    server.busy_.fetch_sub(1);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // False: too many are busy, and the request has been answered.
  bool admitted() {
    if (!is_admitted_) error(EAGAIN);
    return is_admitted_;
  }
  void error(int code) { ::fuse_reply_err(take(), code); }
  void error(std::errc code) { error(static_cast<int>(code)); }
  // The raw request, to be answered with; from here no signal reaches the thread through it.
  ::fuse_req_t take() {
    CHECK(req_ != nullptr);
    if (is_admitted_) ::fuse_req_interrupt_func(req_, nullptr, nullptr);
    td.has_signal = false;
    return std::exchange(req_, nullptr);
  }

  Server& server;
  ::thread& td;
  uint32_t uid;  // Of the program that asks, as the host has it.
  pid_t pid;

 private:
  static void interrupt(::fuse_req_t, void* self) {
    auto& request = *static_cast<Request*>(self);
    request.server.kernel_.interrupt(request.td);
  }
  ::fuse_req_t req_;
  bool is_admitted_ = false;
};

// Grants the functions below what a Server keeps to itself.
struct Operations {
  using Request = Server::Request;
  static constexpr uint64_t kControl = 2;

  static constexpr int kPollKinds = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLPRI |
                                    POLLRDBAND | POLLWRBAND | POLLERR | POLLHUP;

  static int descriptor(const ::fuse_file_info* fi) { return static_cast<int>(fi->fh); }

  static void init(void*, ::fuse_conn_info* conn) {
    // `> file` must not wait for the inode's lock, which a blocked writer holds.
    conn->want |= conn->capable & FUSE_CAP_ATOMIC_O_TRUNC;
  }

  static std::string child(Server& server, uint64_t parent, const char* name) {
    return parent == 1 ? name : server.path_of(parent) + "/" + name;
  }

  static void lookup(::fuse_req_t req, ::fuse_ino_t parent, const char* name) {
    Request request(req);
    Server& server = request.server;
    ::fuse_entry_param entry{};
    if (parent == 1 && std::strcmp(name, kControlName) == 0) {
      entry.ino = kControl;
      server.attributes("", kControl, entry.attr);
    } else {
      const std::string path = child(server, parent, name);
      // Only what exists is given a number, so that asking for nonsense costs nothing.
      struct stat st {};
      if (!server.attributes(path, 3, st)) return request.error(ENOENT);
      entry.ino = server.inode_of(path);
      entry.attr = st;
      entry.attr.st_ino = entry.ino;
    }
    ::fuse_reply_entry(request.take(), &entry);
  }

  static void getattr(::fuse_req_t req, ::fuse_ino_t inode, ::fuse_file_info*) {
    Request request(req);
    struct stat st {};
    if (!request.server.attributes(request.server.path_of(inode), inode, st)) {
      return request.error(ENOENT);
    }
    ::fuse_reply_attr(request.take(), &st, 0);
  }

  static void setattr(::fuse_req_t req, ::fuse_ino_t inode, struct stat* attr, int what,
                      ::fuse_file_info*) {
    Request request(req);
    Server& server = request.server;
    const std::string path = server.path_of(inode);
    const auto device = server.kernel_.devfs().find(path);
    if (device != nullptr) {
      const MachineLock guard(server.machine_);
      if ((what & FUSE_SET_ATTR_MODE) != 0) device->mode = attr->st_mode & 07777;
      if ((what & FUSE_SET_ATTR_UID) != 0) device->uid = Server::user_inside(attr->st_uid);
      if ((what & FUSE_SET_ATTR_GID) != 0) device->gid = Server::group_inside(attr->st_gid);
    }
    struct stat st {};
    if (!server.attributes(path, inode, st)) return request.error(ENOENT);
    ::fuse_reply_attr(request.take(), &st, 0);
  }

  static void refuse_new(::fuse_req_t req, ::fuse_ino_t, const char*, ::mode_t, ::dev_t) {
    ::fuse_reply_err(req, EOPNOTSUPP);  // As devfs: only drivers make nodes.
  }
  static void refuse_folder(::fuse_req_t req, ::fuse_ino_t, const char*, ::mode_t) {
    ::fuse_reply_err(req, EOPNOTSUPP);
  }
  static void refuse_link(::fuse_req_t req, const char*, ::fuse_ino_t, const char*) {
    ::fuse_reply_err(req, EOPNOTSUPP);
  }
  // Nor does anybody else take them away; FreeBSD's devfs would hide one from root's view.
  static void refuse(::fuse_req_t req, ::fuse_ino_t, const char*) {
    ::fuse_reply_err(req, EOPNOTSUPP);
  }
  static void refuse_rename(::fuse_req_t req, ::fuse_ino_t, const char*, ::fuse_ino_t, const char*,
                            unsigned) {
    ::fuse_reply_err(req, EOPNOTSUPP);
  }

  static void readdir(::fuse_req_t req, ::fuse_ino_t inode, size_t size, off_t offset,
                      ::fuse_file_info*) {
    Request request(req);
    Server& server = request.server;
    std::vector<std::string> names =
        server.kernel_.devfs().list(inode == 1 ? "" : server.path_of(inode));
    if (inode == 1) server.add_backdrop(names);
    names.insert(names.begin(), {"./", "../"});
    std::string out;
    for (auto i = static_cast<size_t>(std::max<off_t>(offset, 0)); i < names.size(); ++i) {
      struct stat st {};
      st.st_ino = i + 3;
      st.st_mode = names[i].back() == '/' ? S_IFDIR : S_IFREG;
      if (names[i].back() == '/') names[i].pop_back();
      const size_t need = ::fuse_add_direntry(nullptr, nullptr, 0, names[i].c_str(), nullptr, 0);
      if (out.size() + need > size) break;
      const size_t at = out.size();
      out.resize(at + need);
      ::fuse_add_direntry(nullptr, out.data() + at, need, names[i].c_str(), &st,
                          static_cast<off_t>(i + 1));
    }
    ::fuse_reply_buf(request.take(), out.data(), out.size());
  }

  static void readlink(::fuse_req_t req, ::fuse_ino_t inode) {
    Request request(req);
    const std::string target = request.server.behind(request.server.path_of(inode));
    if (target.empty()) return request.error(EINVAL);
    ::fuse_reply_readlink(request.take(), target.c_str());
  }

  static void open(::fuse_req_t req, ::fuse_ino_t inode, ::fuse_file_info* fi) {
    Request request(req);
    if (!request.admitted()) return;
    Server& server = request.server;
    ::gid_t groups[256];
    const int count = ::fuse_req_getgroups(req, std::size(groups), groups);
    request.td.credentials.groups.clear();
    for (const ::gid_t group : std::span(groups, static_cast<size_t>(std::clamp(count, 0, 256)))) {
      request.td.credentials.groups.push_back(Server::group_inside(group));
    }
    constexpr int kNotForDrivers = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_CLOEXEC;
    if (!server.take_file(request.uid)) return request.error(ENFILE);
    const bool is_root = Server::user_inside(request.uid) == 0;
    const auto fd = inode == kControl
                        ? server.process_.kqueue(is_root ? nullptr : &server.users_knotes_)
                        : server.process_.open(server.path_of(inode), fi->flags & ~kNotForDrivers);
    if (!fd) {
      server.give_file(request.uid);
      return request.error(fd.error());
    }
    fi->fh = static_cast<uint64_t>(*fd);
    fi->direct_io = 1;
    {
      const std::lock_guard guard(server.mutex_);
      server.handles_[fi->fh] = {std::make_shared<Server::Watch>(server), request.uid};
    }
    if (::fuse_reply_open(request.take(), fi) != 0) close(server, fi->fh);
  }

  static void close(Server& server, uint64_t fh) {
    std::shared_ptr<Server::Watch> watch;
    uint32_t uid = 0;
    {
      const std::lock_guard guard(server.mutex_);
      const auto it = server.handles_.find(fh);
      if (it == server.handles_.end()) return;
      watch = std::move(it->second.watch);
      uid = it->second.uid;
      server.handles_.erase(it);
    }
    watch.reset();
    static_cast<void>(server.process_.close(static_cast<int>(fh)));
    server.give_file(uid);
  }

  static void release(::fuse_req_t req, ::fuse_ino_t, ::fuse_file_info* fi) {
    Request request(req);
    close(request.server, fi->fh);
    request.error(0);
  }

  // fcntl(F_SETFL) is seen only here. A driver that refuses the flag keeps its old manner.
  static void sync_flags(Request& request, const ::fuse_file_info* fi) {
    const auto file = request.server.process_.file(descriptor(fi));
    if (file == nullptr || ((file->fflags() ^ fi->flags) & O_NONBLOCK) == 0) return;
    static_cast<void>(request.server.process_.set_status_flags(descriptor(fi), fi->flags));
  }

  static std::shared_ptr<Server::Watch> watch_of(Server& server, uint64_t fh) {
    const std::lock_guard guard(server.mutex_);
    const auto it = server.handles_.find(fh);
    return it == server.handles_.end() ? nullptr : it->second.watch;
  }

  // Before a transfer's answer: see Watch. `is_used_up`: the transfer got less than it asked for,
  // so an edge must follow, which is now if more has come meanwhile.
  static void ask_anew(Request& request, const ::fuse_file_info* fi, bool is_used_up) {
    if (request.server.owed_.load() == 0) return;
    const auto watch = watch_of(request.server, fi->fh);
    const auto file = request.server.process_.file(descriptor(fi));
    if (watch == nullptr || file == nullptr) return;
    const int owed = watch->owed();
    int still = 0;
    for (const int kind : {POLLIN | POLLRDNORM, POLLOUT | POLLWRNORM}) {
      if ((owed & kind) != 0) still |= file->poll(request.td, owed & kind, watch.get());
    }
    watch->owe(still);
    if (still == 0 || !is_used_up) return;
    const MachineLock guard(request.server.machine_);
    watch->notify();
  }

  static void read(::fuse_req_t req, ::fuse_ino_t, size_t size, off_t offset,
                   ::fuse_file_info* fi) {
    Request request(req);
    if (!request.admitted()) return;
    sync_flags(request, fi);
    thread_local std::vector<std::byte> buffer;
    if (buffer.size() < size) buffer.resize(size);
    const auto n = request.server.process_.read(descriptor(fi), {buffer.data(), size}, offset);
    ask_anew(request, fi, n.value_or(0) < size);
    if (!n) return request.error(n.error());
    ::fuse_reply_buf(request.take(), reinterpret_cast<const char*>(buffer.data()), *n);
  }

  static void write(::fuse_req_t req, ::fuse_ino_t, const char* data, size_t size, off_t offset,
                    ::fuse_file_info* fi) {
    Request request(req);
    if (!request.admitted()) return;
    sync_flags(request, fi);
    const auto n = request.server.process_.write(descriptor(fi), bytes({data, size}), offset);
    ask_anew(request, fi, n.value_or(0) < size);
    if (!n) return request.error(n.error());
    ::fuse_reply_write(request.take(), *n);
  }

  static void ioctl(::fuse_req_t req, ::fuse_ino_t inode, unsigned cmd, void* argument,
                    ::fuse_file_info* fi, unsigned flags, const void* in, size_t in_size,
                    size_t out_size) {
    Request request(req);
    if (!request.admitted()) return;
    const size_t size = _IOC_SIZE(cmd);
    const bool copies_in = (_IOC_DIR(cmd) & _IOC_WRITE) != 0;
    const bool copies_out = (_IOC_DIR(cmd) & _IOC_READ) != 0;
    // What the kernel copies must be what the command says; a forged request may say otherwise.
    if ((flags & FUSE_IOCTL_DIR) != 0 || (copies_in && in_size < size) ||
        (copies_out && out_size < size)) {
      return request.error(ENOTTY);
    }
    std::vector<std::byte> data(size);
    if (copies_in && size != 0) std::memcpy(data.data(), in, size);
    const bool is_value = _IOC_DIR(cmd) == _IOC_NONE;
    const int code = inode == kControl
                         ? control(request, cmd, data.data(), fi)
                         : on_device(request, cmd, is_value ? argument : data.data(), fi);
    if (code != 0) return request.error(code);
    if (inode != kControl) forget_mapped(request, inode, fi);
    ::fuse_reply_ioctl(request.take(), 0, data.data(), copies_out ? size : 0);
    request.server.end_if_asked();
  }

  // A command may have changed the memory behind a mapping: what Linux has of it is read anew.
  static void forget_mapped(Request& request, ::fuse_ino_t inode, const ::fuse_file_info* fi) {
    const auto file = request.server.process_.file(descriptor(fi));
    if (file == nullptr || file->device().driver()->d_mmap == nullptr) return;
    ::fuse_lowlevel_notify_inval_inode(request.server.session_, inode, 0, 0);
  }

  static int on_device(Request& request, uint32_t cmd, void* data, const ::fuse_file_info* fi) {
    if (cmd == kDescriptorOf) {
      std::memcpy(data, &fi->fh, sizeof fi->fh);
      return 0;
    }
    const auto r = request.server.process_.ioctl(descriptor(fi), cmd, data);
    return r ? 0 : static_cast<int>(r.error());
  }

  // A first piece of `answer`, the rest kept for the one who asked.
  static void give_text(Server& server, const ::fuse_file_info* fi, int code, std::string answer,
                        void* data) {
    ControlText text{};
    text.code = code;
    text.length = static_cast<uint32_t>(answer.copy(text.text, sizeof text.text));
    answer.erase(0, text.length);
    text.rest = answer.size();
    std::memcpy(data, &text, sizeof text);
    const std::lock_guard guard(server.mutex_);
    const auto it = server.handles_.find(fi->fh);
    if (it != server.handles_.end()) it->second.rest = std::move(answer);
  }

  static int control(Request& request, uint32_t cmd, void* data, const ::fuse_file_info* fi) {
    Server& server = request.server;
    const uint32_t uid = request.uid;
    if (cmd == kControlCommand) {
      ControlText text;
      std::memcpy(&text, data, sizeof text);
      if (text.length > sizeof text.text) return EINVAL;
      int code = 0;
      std::string answer =
          server.command(std::string(text.text, text.length), {uid, request.pid}, code);
      give_text(server, fi, code, std::move(answer), data);
      return 0;
    }
    if (cmd == kControlRest) {
      std::string rest;
      {
        const std::lock_guard guard(server.mutex_);
        const auto it = server.handles_.find(fi->fh);
        if (it != server.handles_.end()) rest = std::move(it->second.rest);
      }
      give_text(server, fi, 0, std::move(rest), data);
      return 0;
    }
    if (cmd != kControlEvents) return ENOTTY;
    ControlEvents call;
    std::memcpy(&call, data, sizeof call);
    if (call.changes_count > ControlEvents::kMax || call.events_count > ControlEvents::kMax) {
      return EINVAL;
    }
    for (const ::kevent& change : std::span(call.changes, call.changes_count)) {
      const bool is_device = change.filter == EVFILT_READ || change.filter == EVFILT_WRITE;
      if (is_device && !server.may_watch(change.ident, uid)) return EBADF;
    }
    std::optional<Duration> timeout;
    if (call.timeout_ns >= 0) timeout = Duration(call.timeout_ns);
    const auto n = server.process_.kevent(descriptor(fi), {call.changes, call.changes_count},
                                          {call.events, call.events_count}, timeout);
    if (!n) return static_cast<int>(n.error());
    call.events_count = static_cast<uint32_t>(*n);
    std::memcpy(data, &call, sizeof call);
    return 0;
  }

  static void poll(::fuse_req_t req, ::fuse_ino_t, ::fuse_file_info* fi,
                   ::fuse_pollhandle* handle) {
    Request request(req);
    Server& server = request.server;
    const auto file = server.process_.file(descriptor(fi));
    const auto watch = watch_of(server, fi->fh);
    if (file == nullptr || watch == nullptr) {
      if (handle != nullptr) ::fuse_pollhandle_destroy(handle);
      return request.error(file == nullptr ? EOPNOTSUPP : EBADF);
    }
    if (handle != nullptr) watch->set(handle);
    // Linux asks for more kinds than FreeBSD has.
    const auto events = static_cast<int>(fi->poll_events) & kPollKinds;
    const int revents = file->poll(request.td, events, watch.get());
    // An edge-triggered epoll waits for what is not true, too.
    const int missing = events & (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM) & ~revents;
    int late = 0;
    if (revents != 0 && missing != 0) late = file->poll(request.td, missing, watch.get());
    watch->owe((revents | late) & (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM));
    ::fuse_reply_poll(request.take(), static_cast<unsigned>(revents | late));
  }
};

namespace {

::fuse_lowlevel_ops make_operations() {
  ::fuse_lowlevel_ops ops{};
  ops.init = Operations::init;
  ops.lookup = Operations::lookup;
  ops.getattr = Operations::getattr;
  ops.setattr = Operations::setattr;
  ops.mknod = Operations::refuse_new;
  ops.mkdir = Operations::refuse_folder;
  ops.symlink = Operations::refuse_link;
  ops.unlink = Operations::refuse;
  ops.rmdir = Operations::refuse;
  ops.rename = Operations::refuse_rename;
  ops.readlink = Operations::readlink;
  ops.readdir = Operations::readdir;
  ops.open = Operations::open;
  ops.release = Operations::release;
  ops.read = Operations::read;
  ops.write = Operations::write;
  ops.ioctl = Operations::ioctl;
  ops.poll = Operations::poll;
  return ops;
}

}  // namespace

const ::fuse_lowlevel_ops kOperations = make_operations();

}  // namespace wh::dev

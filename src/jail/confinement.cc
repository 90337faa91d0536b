#include "jail/confinement.h"

#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <tuple>

#include "host/system.h"

namespace wh::jail {
namespace {

constexpr uint64_t bit(int capability) {
  return uint64_t{1} << capability;
}

// What root of any jail keeps: power over its own files, users and processes.
constexpr uint64_t kAlways =
    bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_DAC_READ_SEARCH) | bit(CAP_FOWNER) |
    bit(CAP_FSETID) | bit(CAP_KILL) | bit(CAP_SETGID) | bit(CAP_SETUID) | bit(CAP_SETPCAP) |
    bit(CAP_SETFCAP) | bit(CAP_NET_BIND_SERVICE) | bit(CAP_SYS_CHROOT) | bit(CAP_SYS_NICE) |
    bit(CAP_IPC_LOCK) | bit(CAP_IPC_OWNER) | bit(CAP_LEASE) | bit(CAP_AUDIT_WRITE);
// Not CAP_SYS_RESOURCE: who has it may raise the limit on namespaces that holds children.max.

constexpr uint64_t kNamespaceFlags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                                     CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWTIME;

uint64_t capabilities(const JailParams& p) {
  uint64_t kept = kAlways;
  if (p.is_vnet && p.securelevel < 3) kept |= bit(CAP_NET_ADMIN) | bit(CAP_NET_BROADCAST);
  if (p.allows_raw_sockets || (p.is_vnet && !p.denies_raw_sockets)) kept |= bit(CAP_NET_RAW);
  const bool may_mount = p.allows_mount && p.securelevel < 2;
  if (may_mount || p.children_max > 0) kept |= bit(CAP_SYS_ADMIN);
  // A jail that may make others needs what they may be given: they get less, not more.
  if (p.children_max > 0) kept |= bit(CAP_NET_ADMIN) | bit(CAP_NET_RAW);
  if (p.securelevel < 1) kept |= bit(CAP_LINUX_IMMUTABLE);
  return kept;
}

using Filter = std::unique_ptr<void, decltype(&seccomp_release)>;

void refuse(const Filter& filter, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const int number = seccomp_syscall_resolve_name(name);
    // A call that this machine does not have needs no refusing.
    if (number != __NR_SCMP_ERROR) seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), number, 0);
  }
}

void refuse_namespaces(const Filter& filter) {
  refuse(filter, {"setns"});
  for (uint64_t flag = 1; flag <= kNamespaceFlags; flag <<= 1) {
    if ((kNamespaceFlags & flag) == 0) continue;
    const scmp_arg_cmp has_flag = SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag);
    seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unshare), 1, &has_flag);
    if (flag == CLONE_NEWTIME) continue;  // To clone(2) that bit is part of a signal's number.
    seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &has_flag);
  }
  // Its flags are in memory, out of a filter's sight; without it the C library uses clone().
  seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

void refuse_family(const Filter& filter, int family) {
  const scmp_arg_cmp is_family = SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family));
  for (const int call : {SCMP_SYS(socket), SCMP_SYS(socketpair)}) {
    seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EAFNOSUPPORT), call, 1, &is_family);
  }
}

// The compiled filter, read back from libseccomp.
Result<std::vector<sock_filter>> compile(const Filter& filter) {
  const host::Fd file(static_cast<int>(::syscall(SYS_memfd_create, "seccomp", MFD_CLOEXEC)));
  if (!file) return host::os_error("memfd_create");
  if (seccomp_export_bpf(filter.get(), file.raw()) != 0)
    return fail("seccomp: cannot compile the filter");
  if (::lseek(file.raw(), 0, SEEK_SET) != 0) return host::os_error("lseek");
  const std::string bytes = TRY(host::read_to_end(file.raw()));
  std::vector<sock_filter> program(bytes.size() / sizeof(sock_filter));
  std::memcpy(program.data(), bytes.data(), program.size() * sizeof(sock_filter));
  return program;
}

}  // namespace

namespace {

Result<std::vector<sock_filter>> make_filter(const JailParams& p) {
  const Filter filter(seccomp_init(SCMP_ACT_ALLOW), &seccomp_release);
  if (filter == nullptr) return fail("seccomp: cannot make a filter");
  // A tree instead of a list: the kernel runs it once for every system call that there is when it
  // is put up.
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  refuse(filter, {"kexec_load",      "kexec_file_load", "init_module",
                  "finit_module",    "delete_module",   "reboot",
                  "swapon",          "swapoff",         "acct",
                  "settimeofday",    "clock_settime",   "clock_adjtime",
                  "adjtimex",        "quotactl",        "open_by_handle_at",
                  "lookup_dcookie",  "vhangup",         "bpf",
                  "perf_event_open", "syslog",          "iopl",
                  "ioperm"});
  if ((!p.allows_mount && p.children_max == 0) || p.securelevel >= 2) {
    refuse(filter, {"mount", "umount2", "pivot_root", "open_tree", "move_mount", "fsopen",
                    "fsmount", "fsconfig", "fspick", "mount_setattr"});
  }
  if (p.children_max == 0 && !p.allows_mount) refuse_namespaces(filter);
  if (p.ip4 == "disable") refuse_family(filter, AF_INET);
  if (p.ip6 == "disable") refuse_family(filter, AF_INET6);
  return compile(filter);
}

}  // namespace

Result<Confinement> make_confinement(const JailParams& p) {
  // Compiling takes longer than all else about a jail, and there are few kinds: once for each kind
  // and process, children that it forks included.
  static std::map<std::tuple<bool, bool, bool, std::string, std::string>, std::vector<sock_filter>>
      filters;
  const auto kind =
      std::tuple(p.allows_mount, p.children_max > 0, p.securelevel >= 2, p.ip4, p.ip6);
  auto at = filters.find(kind);
  if (at == filters.end()) at = filters.emplace(kind, TRY(make_filter(p))).first;
  return Confinement{capabilities(p), at->second};
}

Result<void> keep_capabilities(uint64_t kept_bits) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return host::os_error("capget");
  for (size_t i = 0; i < data.size(); ++i) {
    const auto kept = static_cast<uint32_t>(kept_bits >> (32 * i));
    data[i].permitted &= kept;
    data[i].effective = data[i].permitted;
    data[i].inheritable = 0;
  }
  if (::syscall(SYS_capset, &header, data.data()) != 0) return host::os_error("capset");
  return {};
}

Result<void> confine(const Confinement& c) {
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    if ((c.kept_capabilities & bit(capability)) != 0) continue;
    // EINVAL: newer than this kernel. EPERM: not ours to begin with.
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  TRY(keep_capabilities(c.kept_capabilities));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return host::os_error("no_new_privs");
  sock_fprog program{static_cast<unsigned short>(c.filter.size()),
                     const_cast<sock_filter*>(c.filter.data())};  // The kernel only reads it.
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return host::os_error("seccomp");
  return {};
}

}  // namespace wh::jail

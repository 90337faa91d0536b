#include "jail/jail_test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "host/rtnetlink.h"
#include "host/system.h"

namespace wh::jail {
namespace {

std::string parse_error(const std::vector<std::string>& words) {
  const auto params = parse_params(words);
  return params ? "" : params.error().text;
}

TEST(Params, take_jails_words_and_give_them_back) {
  const auto p = parse_params({"name=router", "persist", "vnet", "vnet.interface=epair0a,epair1a",
                               "children.max=7", "allow.raw_sockets", "allow.nomount", "path=/tmp",
                               "command=ls", "-l", "persist"});
  ASSERT_TRUE(p) << p.error().text;
  EXPECT_EQ(p->command, (std::vector<std::string>{"ls", "-l", "persist"}));
  EXPECT_EQ(p->get("vnet.interface"), "epair0a,epair1a");
  EXPECT_EQ(parse_params({"ip4.addr=192.0.2.1,192.0.2.2"})->get("ip4.addr"), "192.0.2.1,192.0.2.2");
  EXPECT_EQ(p->get("allow.raw_sockets"), "true");
  EXPECT_EQ(p->get("enforce_statfs"), "1");
  EXPECT_EQ(p->get("nope"), std::nullopt);
  EXPECT_EQ(p->get("vnet"), "new");
  EXPECT_EQ(parse_params({"vnet=new"})->get("vnet"), "new");
  EXPECT_EQ(parse_params({"vnet=inherit"})->get("vnet"), "inherit");
  EXPECT_TRUE(is_boolean("allow.mount") && !is_boolean("vnet") && !is_boolean("path"));
  JailParams copy;
  for (const std::string& word : p->words()) ASSERT_TRUE(copy.set(word)) << word;
  EXPECT_EQ(copy.words(), p->words());
}

TEST(Params, refuse_by_name) {
  EXPECT_EQ(parse_error({"allow.raw_socket"}),
            "unknown parameter: allow.raw_socket (did you mean allow.raw_sockets?)");
  EXPECT_EQ(parse_error({"allow.quotas"}).find("unknown parameter: allow.quotas"), 0u);
  EXPECT_EQ(parse_error({"zzzzzzzz"}), "unknown parameter: zzzzzzzz");
  EXPECT_EQ(parse_error({"children.max=-1"}),
            "children.max: '-1' is not a number from 0 to 999999");
  EXPECT_EQ(parse_error({"children.cur=1"}), "children.cur cannot be set");
  EXPECT_EQ(parse_error({"path=tmp"}), "path: 'tmp' is not absolute");
  EXPECT_EQ(parse_error({"name=a.b"}), "name: 'a.b' must be one word without dots and slashes");
  EXPECT_EQ(parse_error({"name=12"}), "name: '12' is a number, as only a jid may be");
  EXPECT_EQ(parse_error({"name=12a"}), "");
  EXPECT_EQ(parse_error({"devfs_ruleset=3"}), "devfs_ruleset: 3 is not known; accepted: 0, 4, 5");
  EXPECT_EQ(parse_error({"devfs.unhide=echo"}), "devfs.unhide: 'echo' is not absolute");
  EXPECT_NE(parse_error({"enforce_statfs=2"}), "");
  EXPECT_NE(parse_error({"securelevel=4"}), "");
  EXPECT_NE(parse_error({"ip4=maybe"}), "");
  EXPECT_NE(parse_error({"ip4=inherit", "vnet.interface=x"}), "");
}

bool is_gone(pid_t pid) {
  return ::kill(pid, 0) != 0;
}

TEST(Registry, who_looks_is_no_init) {
  const std::string folder = testing::TempDir() + fmt::format("wh-jail-{}", ::getpid());
  fs::create_directory(folder);
  MUST(host::write_file(folder + "/lock", ""));  // The folder is ours.
  const auto open_lock = [&] { return MUST(host::open_file(folder + "/lock", O_RDONLY)); };
  {
    const host::Fd somebody_looks = open_lock();
    ASSERT_EQ(::flock(somebody_looks.raw(), LOCK_SH), 0);
    EXPECT_FALSE(is_alive(folder));
  }
  const host::Fd init = open_lock();
  ASSERT_EQ(::flock(init.raw(), LOCK_EX), 0);
  EXPECT_TRUE(is_alive(folder));
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit none{0, files.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_TRUE(is_alive(folder));  // As far as one can tell.
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  fs::remove_all(folder);
  EXPECT_FALSE(is_alive(folder));
}

TEST_F(JailTest, is_a_host_of_its_own) {
  auto jail = make({"name=router", "host.hostname=router.example"});
  ASSERT_TRUE(jail) << jail.error().text;
  EXPECT_EQ(inside(*jail,
                   [] {
                     char name[65] = {};
                     ::gethostname(name, 64);
                     if (std::string(name) != "router.example") return 1;
                     if (::getpid() > 10 || ::getuid() != 0) return 2;
                     const auto comm = host::read_file("/proc/1/comm");
                     if (!comm || *comm != "jail-init\n") return 3;
                     auto links = host::Rtnetlink::open()->links();
                     return links->size() == 1 && (*links)[0].is_up ? 0 : 4;
                   }),
            0);
  EXPECT_TRUE(jail->remove());
  EXPECT_TRUE(is_gone(jail->init()));
}

TEST_F(JailTest, is_left_by_who_starts_a_process_in_it) {
  auto jail = make({"name=j"});
  ASSERT_TRUE(jail) << jail.error().text;
  const auto ours = [] {
    std::error_code error;
    return fs::read_symlink("/proc/self/ns/time", error).string() + " " +
           fs::read_symlink("/proc/self/ns/time_for_children", error).string() + " " +
           fs::read_symlink("/proc/self/ns/pid_for_children", error).string();
  };
  const std::string before = ours();
  // Many: the kernel lets go of what they share with us a moment after they have become programs.
  for (int i = 0; i < 300; ++i) {
    const auto pid = jail->start([] { ::execlp("true", "true", nullptr); });
    ASSERT_TRUE(pid) << pid.error().text;
    int status = -1;
    ASSERT_EQ(::waitpid(*pid, &status, 0), *pid);
    ASSERT_EQ(status, 0);
    ASSERT_EQ(ours(), before);
  }
  EXPECT_TRUE(jail->remove());
}

TEST_F(JailTest, is_recorded_whole_whatever_its_values_hold) {
  const std::string odd = "exec.stop=echo a\nname=b\\n\\";
  auto jail = make({"name=j", odd});
  ASSERT_TRUE(jail) << jail.error().text;
  auto registry = Registry::open();
  ASSERT_TRUE(registry) << registry.error().text;
  const auto found = registry->find("j");
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found->params.words().back(), odd);
  EXPECT_TRUE(jail->remove());
}

TEST_F(JailTest, dies_with_everything_in_it) {
  auto jail = make({"name=j"});
  ASSERT_TRUE(jail);
  // In a session of its own, ignoring what may be ignored.
  const auto pid = jail->start([] {
    ::setsid();
    std::signal(SIGTERM, SIG_IGN);
    ::execlp("sleep", "sleep", "321", nullptr);
  });
  ASSERT_TRUE(pid);
  EXPECT_FALSE(is_gone(*pid));
  EXPECT_TRUE(jail->remove());
  ::waitpid(*pid, nullptr, 0);
  EXPECT_TRUE(is_gone(*pid));
}

TEST_F(JailTest, vanishes_when_its_maker_is_killed) {
  auto pipe = MUST(host::make_pipe());
  const pid_t maker = ::fork();
  if (maker == 0) {
    auto jail = make({"name=j"});
    const auto sleeper = jail->start([] { ::execlp("sleep", "sleep", "321", nullptr); });
    (void)host::write_all(pipe.write_end.raw(), fmt::format("{} {}", jail->init(), *sleeper));
    pipe.write_end.close();
    for (;;) ::pause();
  }
  pipe.write_end.close();
  char text[64] = {};
  ASSERT_GT(::read(pipe.read_end.raw(), text, sizeof text - 1), 0);
  int init = 0, sleeper = 0;
  ASSERT_EQ(std::sscanf(text, "%d %d", &init, &sleeper), 2);
  ::kill(maker, SIGKILL);
  ::waitpid(maker, nullptr, 0);
  for (int i = 0; i < 500 && !(is_gone(init) && is_gone(sleeper)); ++i) ::usleep(10'000);
  EXPECT_TRUE(is_gone(init));
  EXPECT_TRUE(is_gone(sleeper));
  EXPECT_TRUE(MUST(Registry::open()).list()->empty());  // And its folder is swept.
}

TEST_F(JailTest, persists_when_asked_and_is_found_again) {
  const pid_t maker = ::fork();
  if (maker == 0) ::_exit(make({"name=stay", "persist"}, false) ? 0 : 1);
  int status = 0;
  ::waitpid(maker, &status, 0);
  ASSERT_EQ(status, 0);
  auto registry = MUST(Registry::open());
  auto entry = registry.find("1");
  ASSERT_TRUE(entry) << entry.error().text;
  EXPECT_EQ(entry->name, "stay");
  EXPECT_EQ(make({"name=stay"}).error().code, std::errc::file_exists);
  auto jail = Jail::open(*entry);
  ASSERT_TRUE(jail) << jail.error().text;
  EXPECT_EQ(inside(*jail, [] { return 7; }), 7);
  EXPECT_TRUE(jail->remove());
  EXPECT_EQ(registry.find("stay").error().code, std::errc::no_such_file_or_directory);
}

TEST_F(JailTest, holds_limits_through_the_hierarchy) {
  auto outer = make({"name=outer", "children.max=2"});
  ASSERT_TRUE(outer) << outer.error().text;
  EXPECT_EQ(
      inside(
          *outer,
          [] {
            auto registry = Registry::open();
            if (!registry || registry->children_max() != 2 || *registry->children_cur() != 0)
              return 1;
            auto first = Jail::create(*registry, *parse_params({"name=a", "children.max=1"}), {});
            if (!first) return fmt::print(stderr, "{}\n", first.error().text), 2;
            // More than this jail may give.
            if (Jail::create(*registry, *parse_params({"name=b", "children.max=2"}), {})) return 3;
            const int below = inside(*first, [] {
              auto inner = Registry::open();
              if (!inner || inner->children_max() != 1) return 1;
              auto made = Jail::create(*inner, *parse_params({"name=x"}), {});
              if (!made) return fmt::print(stderr, "{}\n", made.error().text), 2;
              // Its own limit.
              if (Jail::create(*inner, *parse_params({"name=y"}), {})) return 3;
              // The names of other jails are free here.
              return made->remove() ? 0 : 4;
            });
            if (below != 0) return 10 + below;
            auto second = Jail::create(*registry, *parse_params({"name=b"}), {});
            if (!second || *registry->children_cur() != 2) return 4;
            // outer is full now, so a may not use what it was promised.
            return inside(*first,
                          [] {
                            auto inner = Registry::open();
                            return Jail::create(*inner, *parse_params({"name=x"}), {}) ? 1 : 0;
                          }) == 0
                       ? 0
                       : 5;
          }),
      0);
  auto registry = MUST(Registry::open());
  // Those inside died with their maker.
  for (int i = 0; i < 500 && registry.list()->size() > 1; ++i) ::usleep(10'000);
  EXPECT_EQ(registry.list()->size(), 1u);
  EXPECT_TRUE(outer->remove());  // Takes those inside with it.
  EXPECT_TRUE(registry.list()->empty());
}

// The kernel's count goes along with the registry's.
TEST_F(JailTest, has_room_for_more_jails_when_it_is_given_some) {
  auto outer = make({"name=outer", "children.max=1"});
  ASSERT_TRUE(outer) << outer.error().text;
  outer->entry().params.children_max = 2;
  ASSERT_TRUE(outer->limit_children(2));
  ASSERT_TRUE(Registry::save(outer->entry()));
  EXPECT_EQ(inside(*outer,
                   [] {
                     auto registry = Registry::open();
                     auto first = Jail::create(*registry, *parse_params({"name=a"}), {});
                     auto second = Jail::create(*registry, *parse_params({"name=b"}), {});
                     if (!first || !second) return 1;
                     return Jail::create(*registry, *parse_params({"name=c"}), {}) ? 2 : 0;
                   }),
            0);
  EXPECT_TRUE(outer->remove());
}

TEST_F(JailTest, cannot_raise_its_own_limits) {
  auto jail = make({"name=j", "children.max=1", "allow.mount"});
  ASSERT_TRUE(jail) << jail.error().text;
  EXPECT_EQ(inside(*jail,
                   [] {
                     if (host::write_file("/proc/1/fd/19/params", "children.max=9")) return 1;
                     if (::unlink("/proc/1/fd/19/params") == 0) return 2;
                     if (host::write_file("/proc/sys/user/max_pid_namespaces", "9")) return 3;
                     // By hand, past the registry: one there may be, and no more.
                     if (::unshare(CLONE_NEWPID) != 0 || ::fork() == 0) return 4;
                     return ::unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 ? 5 : 0;
                   }),
            0);
  EXPECT_TRUE(jail->remove());
}

TEST_F(JailTest, allows_no_jails_inside_unless_told) {
  auto jail = make({"name=j"});
  ASSERT_TRUE(jail);
  EXPECT_EQ(inside(*jail,
                   [] {
                     auto registry = Registry::open();
                     if (!registry || registry->children_max() != 0) return 1;
                     if (Jail::create(*registry, *parse_params({"name=x"}), {})) return 2;
                     // Nor by hand.
                     return ::unshare(CLONE_NEWUSER) == 0 ? 3 : 0;
                   }),
            0);
  EXPECT_TRUE(jail->remove());
}

TEST_F(JailTest, takes_away_what_its_parameters_do_not_give) {
  const auto raw_socket = [] {
    const int fd = ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    return fd >= 0 ? 0 : 1;
  };
  const auto mount = [] { return ::mount("none", "/tmp", "tmpfs", 0, nullptr) == 0 ? 0 : 1; };
  const auto configure = [] {
    auto netlink = host::Rtnetlink::open();
    return netlink && netlink->set_up("lo", false) ? 0 : 1;
  };
  auto bare = make({"name=bare"});
  ASSERT_TRUE(bare);
  EXPECT_EQ(inside(*bare, raw_socket), 1);
  EXPECT_EQ(inside(*bare, mount), 1);
  EXPECT_EQ(inside(*bare, configure), 1);
  EXPECT_EQ(inside(*bare, [] { return ::sethostname("x", 1) == 0 ? 0 : 1; }), 1);
  auto mute = make({"name=mute", "vnet", "allow.noraw_sockets"});
  ASSERT_TRUE(mute);
  EXPECT_EQ(inside(*mute, raw_socket), 1);
  EXPECT_TRUE(mute->remove());
  auto rich = make({"name=rich", "vnet", "allow.mount"});
  ASSERT_TRUE(rich);
  EXPECT_EQ(inside(*rich, raw_socket), 0);
  EXPECT_EQ(inside(*rich, mount), 0);
  EXPECT_EQ(inside(*rich, configure), 0);
  auto deaf = make({"name=deaf", "ip4=disable"});
  ASSERT_TRUE(deaf);
  EXPECT_EQ(inside(*deaf, [] { return ::socket(AF_INET, SOCK_DGRAM, 0) >= 0 ? 0 : errno; }),
            EAFNOSUPPORT);
  EXPECT_TRUE(bare->remove());
  EXPECT_TRUE(rich->remove());
  EXPECT_TRUE(deaf->remove());
}

TEST_F(JailTest, has_its_path_for_a_root) {
  const std::string root = folder_ + "/root";
  for (const char* part : {"", "/proc", "/dev"}) fs::create_directory(root + part);
  ASSERT_TRUE(host::write_file(root + "/marker", "x"));
  ASSERT_TRUE(host::write_file(folder_ + "/given", "y"));
  EXPECT_NE(make({"name=k", "path=" + root, "devfs.unhide=/no/such"})
                .error()
                .text.find("devfs.unhide: /no/such: No such file"),
            std::string::npos);
  auto jail = make({"name=j", "path=" + root, "devfs.unhide=" + folder_ + "/given"});
  ASSERT_TRUE(jail) << jail.error().text;
  EXPECT_EQ(inside(*jail,
                   [] {
                     if (::access("/marker", F_OK) != 0) return 1;
                     if (::access("/../etc/passwd", F_OK) == 0) return 2;
                     if (::access("/proc/1/cwd/../../../../etc/passwd", F_OK) == 0) return 3;
                     if (::open("/dev/null", O_WRONLY) < 0) return 4;
                     if (::open("/dev/given", O_RDONLY) < 0) return 6;
                     return ::access("/dev/kmsg", F_OK) == 0 ? 5 : 0;
                   }),
            0);
  EXPECT_TRUE(jail->remove());
}

TEST_F(JailTest, keeps_the_machines_own_settings_from_its_root) {
  auto jail = make({"name=j", "vnet", "allow.mount", "children.max=1"});
  ASSERT_TRUE(jail);
  EXPECT_EQ(inside(*jail,
                   [] {
                     if (::open("/proc/sys/vm/swappiness", O_WRONLY) >= 0) return 1;
                     if (::open("/proc/sysrq-trigger", O_WRONLY) >= 0) return 2;
                     return ::open("/proc/sys/net/ipv4/ip_forward", O_WRONLY) >= 0 ? 0 : 3;
                   }),
            0);
  EXPECT_TRUE(jail->remove());
}

TEST_F(JailTest, leaves_nothing_when_it_cannot_be_made) {
  const auto missing = make({"name=j", "vnet", "vnet.interface=no-such-if"});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text.find("no-such-if"), std::string::npos);
  EXPECT_FALSE(make({"name=j", "path=/no/such/folder"}));
  EXPECT_FALSE(make({"name=j", "ip4.addr=nonsense"}));
  EXPECT_TRUE(MUST(Registry::open()).list()->empty());
}

TEST_F(JailTest, joins_two_hosts_with_an_epair) {
  if (::geteuid() != 0) GTEST_SKIP() << "moving an interface takes root";
  auto a = make({"name=a", "vnet"}), b = make({"name=b", "vnet"});
  ASSERT_TRUE(a && b);
  const std::string one = fmt::format("wh{}a", ::getpid()), two = fmt::format("wh{}b", ::getpid());
  auto netlink = MUST(host::Rtnetlink::open());
  ASSERT_TRUE(netlink.add_veth(one, two));
  ASSERT_TRUE(a->take_interface(one));
  ASSERT_TRUE(b->take_interface(two));
  for (const auto& [jail, name] : {std::pair(&*a, one), std::pair(&*b, two)}) {
    EXPECT_EQ(inside(*jail, [&] { return host::Rtnetlink::open()->set_up(name) ? 0 : 1; }), 0);
  }
  EXPECT_TRUE(a->remove());
  EXPECT_TRUE(b->remove());
  bool is_there = true;
  for (int i = 0; i < 500 && is_there; ++i, ::usleep(10'000))
    is_there = netlink.link(one).has_value();
  EXPECT_FALSE(is_there);
}

TEST_F(JailTest, works_for_an_unprivileged_user) {
  if (::geteuid() != 0) GTEST_SKIP() << "the other tests have shown it";
  const pid_t user = ::fork();
  if (user == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(1);
    ::prctl(PR_SET_DUMPABLE, 1);  // As after the exec(3) that made a user's program.
    ::setenv("WHEELHOUSE_RUN", (folder_ + "/user").c_str(), 1);
    auto jail = make({"name=j", "vnet", "allow.raw_sockets", "children.max=1"});
    if (!jail) fmt::print(stderr, "{}\n", jail.error().text), ::_exit(2);
    const int status = inside(*jail, [] {
      if (::getuid() != 0 || !host::Rtnetlink::open()->add_veth("x", "y")) return 1;
      auto registry = Registry::open();
      auto below = Jail::create(*registry, *parse_params({"name=x"}), {});
      if (!below) return fmt::print(stderr, "{}\n", below.error().text), 2;
      return below->remove() ? 0 : 3;
    });
    ::_exit(status == 0 && jail->remove() ? 0 : 10 + status);
  }
  int status = 0;
  ::waitpid(user, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace wh::jail

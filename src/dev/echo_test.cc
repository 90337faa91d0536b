// The echo driver's stages, each example of the two articles in turn, without FUSE and in virtual
// time.
#include "../../examples/dev/echo/echodev.h"  // Before dev/kpi.h: it brings Linux's FIONREAD.

#include <cerrno>

#include "dev/test_kernel.h"

namespace wh::dev {
namespace {

// jot -c -s "" COUNT 48: that many characters from '0' on, and a newline.
std::string jot(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += static_cast<char>(48 + i);
  return out + "\n";
}

class Echo : public testing::Test {
 protected:
  ~Echo() override {
    if (machine().unfinished() != 0) return;
    shell.reset();
    k.kernel.modules().unload_all();
    if (expect_clean) {
      EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
    }
  }
  FiberMachine& machine() { return k.machine; }
  std::string cat() { return k.cat(*shell, "echo"); }
  Sys<size_t> echo(const std::string& s) { return k.echo(*shell, s, "echo"); }
  size_t size() {
    const int fd = shell->open("echo", O_RDONLY).value();
    size_t n = 0;
    EXPECT_EQ(error_of(shell->ioctl(fd, ECHODEV_GBUFSIZE, &n)), 0);
    EXPECT_TRUE(shell->close(fd).has_value());
    return n;
  }
  int control(uint32_t cmd, void* data, int mode = O_RDWR) {
    const int fd = shell->open("echo", mode).value();
    const int code = error_of(shell->ioctl(fd, cmd, data));
    EXPECT_TRUE(shell->close(fd).has_value());
    return code;
  }
  int resize(size_t n, int mode = O_RDWR) { return control(ECHODEV_SBUFSIZE, &n, mode); }

  TestKernel k;
  std::optional<Process> shell{std::in_place, k.kernel};
  bool expect_clean = true;
};

TEST_F(Echo, barebones_device_exists_and_supports_nothing) {
  k.load("echo_barebones");
  ASSERT_EQ(k.kernel.modules().rows().size(), 1u);
  EXPECT_EQ(k.kernel.modules().rows().front().modules, std::vector<std::string>{"echodev"});
  const auto device = k.kernel.devfs().find("echo");
  ASSERT_NE(device, nullptr);
  EXPECT_EQ(device->mode, 0600u);
  EXPECT_EQ(device->uid, 0u);
  EXPECT_EQ(cat(), "read: No such device");  // ENODEV
  EXPECT_EQ(error_of(echo("foo\n")), ENODEV);
  int n = 0;
  EXPECT_EQ(control(FIONREAD, &n), ENODEV);
  ASSERT_TRUE(k.kernel.modules().unload("echo_barebones").has_value());
  EXPECT_EQ(cat(), "open: No such file or directory");
}

TEST_F(Echo, second_driver_with_the_same_device_is_refused) {
  k.load("echo_barebones");
  const auto id = k.kernel.modules().load("echo_global_buffer");
  ASSERT_FALSE(id.has_value());
  EXPECT_EQ(id.error().code, std::errc::file_exists);
}

TEST_F(Echo, global_buffer_returns_what_was_written_and_truncates) {
  k.load("echo_global_buffer");
  EXPECT_EQ(cat(), std::string(64, '\0'));
  ASSERT_EQ(echo("foo\n").value(), 4u);
  EXPECT_EQ(cat().substr(0, 4), "foo\n");
  // What does not fit is a short write; writing on past the end is EFBIG.
  const int fd = shell->open("echo", O_WRONLY).value();
  EXPECT_EQ(shell->write(fd, bytes(jot(70))).value(), 64u);
  EXPECT_EQ(error_of(shell->write(fd, bytes("x"))), EFBIG);
  ASSERT_TRUE(shell->close(fd).has_value());
  EXPECT_EQ(cat(), jot(70).substr(0, 64));
}

TEST_F(Echo, global_buffer_at_its_offsets) {
  k.load("echo_global_buffer");
  const int fd = shell->open("echo", O_RDWR).value();
  EXPECT_EQ(shell->write(fd, bytes("ab"), 63).value(), 1u);
  EXPECT_EQ(error_of(shell->write(fd, bytes("b"), 64)), EFBIG);
  std::byte one[2];
  EXPECT_EQ(shell->read(fd, one, 63).value(), 1u);
  EXPECT_EQ(shell->read(fd, one, 64).value(), 0u);
  EXPECT_EQ(shell->read(fd, one, INT64_MAX).value(), 0u);
}

TEST_F(Echo, ioctl_example_3) {
  k.load("echo_ioctl");
  EXPECT_EQ(size(), 64u);
  ASSERT_TRUE(echo("foo\n").has_value());
  EXPECT_EQ(control(ECHODEV_CLEAR, nullptr), 0);
  EXPECT_EQ(cat(), std::string(64, '\0'));
  EXPECT_EQ(resize(80), 0);
  ASSERT_EQ(echo(jot(70)).value(), 71u);
  EXPECT_EQ(cat().substr(0, 71), jot(70));
  EXPECT_NE(k.kernel.memory().vmstat().find("         echodev    1   128    2 64,128\n"),
            std::string::npos)
      << k.kernel.memory().vmstat();
}

TEST_F(Echo, ioctl_refuses_what_it_should) {
  k.load("echo_ioctl");
  EXPECT_EQ(resize(80, O_RDONLY), EPERM);
  EXPECT_EQ(control(ECHODEV_CLEAR, nullptr, O_RDONLY), EPERM);
  EXPECT_EQ(size(), 64u);
  uint64_t data = 0;
  EXPECT_EQ(control(_IOR('E', 100, uint32_t), &data), ENOTTY);  // A 32-bit program's size_t.
  EXPECT_EQ(control(_IOR('F', 100, size_t), &data), ENOTTY);
  EXPECT_EQ(control(_IOC(_IOC_READ, 'E', 100, 0), &data), ENOTTY);
  EXPECT_EQ(control(_IOC(_IOC_NONE, 'E', 102, 8), &data), ENOTTY);
}

TEST_F(Echo, resizing_beyond_all_memory_is_enomem_and_loses_nothing) {
  expect_clean = false;
  k.load("echo_ioctl");
  ASSERT_TRUE(echo("foo\n").has_value());
  EXPECT_EQ(resize(SIZE_MAX), ENOMEM);
  EXPECT_EQ(k.kernel.reports().count(Misdeed::NoMemory), 1u);
  EXPECT_EQ(size(), 64u);
  EXPECT_EQ(cat().substr(0, 4), "foo\n");
  EXPECT_EQ(resize(size_t{1} << 20), 0);  // The lock was let go.
}

TEST_F(Echo, softc_stage_unloads_cleanly) {
  k.load("echo_softc");
  ASSERT_TRUE(echo("foo\n").has_value());
  ASSERT_TRUE(k.kernel.modules().unload("echodev").has_value());
  EXPECT_EQ(k.kernel.devfs().find("echo"), nullptr);
}

TEST_F(Echo, bug_that_part_2_confesses_is_caught_at_unload) {
  expect_clean = false;
  k.load("echo_softc_bug");
  const int fd = shell->open("echo", O_RDWR).value();
  ASSERT_TRUE(k.kernel.modules().unload("echo_softc_bug").has_value());
  EXPECT_EQ(k.kernel.reports().count(Misdeed::DeviceOutlivedDriver), 1u);
  EXPECT_EQ(k.kernel.reports().count(Misdeed::Leak), 1u);
  // The softc and its buffer.
  EXPECT_NE(
      k.console.find("Warning: memory type echodev leaked memory on destroy (2 allocations, "),
      std::string::npos)
      << k.console;
  // Where FreeBSD panicked:
  std::byte b[4];
  EXPECT_EQ(error_of(shell->read(fd, b)), ENXIO);
  EXPECT_EQ(cat(), "open: No such file or directory");
}

// ---- Part 2

TEST_F(Echo, fifo_example_1) {
  k.load("echo_fifo");
  EXPECT_EQ(cat(), "");
  ASSERT_TRUE(echo("foo\n").has_value());
  EXPECT_EQ(cat(), "foo\n");
  ASSERT_TRUE(echo("12345678\n").has_value());
  const int fd = shell->open("echo", O_RDONLY).value();
  std::byte one[1];
  std::string first;
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(shell->read(fd, one).value(), 1u);
    first += text(one);
  }
  EXPECT_EQ(first, "1234");
  EXPECT_EQ(cat(), "5678\n");
}

TEST_F(Echo, fifo_truncates_writes_and_keeps_its_data_when_shrunk) {
  k.load("echo_fifo");
  EXPECT_EQ(echo(std::string(100, 'x')).value(), 64u);
  EXPECT_EQ(resize(63), EBUSY);
  EXPECT_EQ(resize(64), 0);
  EXPECT_EQ(resize(128), 0);
  EXPECT_EQ(cat(), std::string(64, 'x'));
  EXPECT_EQ(resize(1), 0);
  EXPECT_EQ(size(), 1u);
}

TEST_F(Echo, blocking_example_2_waits_until_interrupted) {
  k.load("echo_blocking");
  ASSERT_TRUE(echo("12345678\n").has_value());
  std::string out;
  ::thread& reader = machine().go("cat", [&] { out = cat(); });
  machine().run();
  EXPECT_FALSE(machine().is_done(reader));
  EXPECT_EQ(machine().waiting(), std::vector<std::string>{"cat: echord"});
  k.kernel.interrupt(reader);
  machine().run();
  EXPECT_EQ(out, "12345678\nread: Interrupted system call");
}

TEST_F(Echo, blocking_writer_waits_for_room_and_keeps_what_it_wrote_when_interrupted) {
  k.load("echo_blocking");
  Sys<size_t> wrote = 0;
  ::thread& writer = machine().go("writer", [&] { wrote = echo(std::string(100, 'x')); });
  machine().run();
  EXPECT_EQ(machine().waiting(), std::vector<std::string>{"writer: echowr"});
  std::byte some[10];
  const int fd = shell->open("echo", O_RDONLY).value();
  ASSERT_EQ(shell->read(fd, some).value(), 10u);
  machine().run();
  EXPECT_FALSE(machine().is_done(writer));
  k.kernel.interrupt(writer);
  machine().run();
  EXPECT_EQ(wrote.value(), 74u);
}

TEST_F(Echo, growing_or_clearing_lets_a_blocked_writer_on) {
  k.load("echo_blocking");
  Sys<size_t> wrote = 0;
  machine().go("writer", [&] { wrote = echo(std::string(100, 'x')); });
  machine().run();
  EXPECT_EQ(resize(70), 0);
  machine().run();
  EXPECT_EQ(machine().unfinished(), 1u);
  EXPECT_EQ(control(ECHODEV_CLEAR, nullptr), 0);
  machine().run();
  EXPECT_EQ(wrote.value(), 100u);
}

TEST_F(Echo, unloading_the_blocking_stage_hangs_until_the_reader_is_killed) {
  k.load("echo_blocking");
  ::thread& reader = machine().go("cat", [&] { cat(); });
  machine().run();
  ::thread& unloader = machine().go(
      "kldunload", [&] { EXPECT_TRUE(k.kernel.modules().unload("echodev").has_value()); });
  machine().run_for(3600s);
  EXPECT_EQ(machine().waiting(), (std::vector<std::string>{"cat: echord", "kldunload: devdrn"}));
  k.kernel.interrupt(reader);
  machine().run();
  EXPECT_TRUE(machine().is_done(unloader));
}

TEST_F(Echo, unload_stage_wakes_the_reader_with_enxio) {
  k.load("echo_unload");
  std::string out;
  machine().go("cat", [&] { out = cat(); });
  machine().run();
  machine().go("kldunload", [&] { EXPECT_TRUE(k.kernel.modules().unload("echodev").has_value()); });
  machine().run();
  EXPECT_EQ(machine().unfinished(), 0u);
  EXPECT_EQ(out, "read: No such device or address");
}

TEST_F(Echo, reader_sees_the_end_when_the_last_writer_closes) {
  k.load("echo_writers");
  ASSERT_TRUE(echo("12345678\n").has_value());
  EXPECT_EQ(cat(), "12345678\n");  // Example 2, without the surprise.
  const int a = shell->open("echo", O_WRONLY).value();
  const int b = shell->open("echo", O_RDWR).value();
  std::string out = "?";
  machine().go("cat", [&] { out = cat(); });
  machine().run();
  ASSERT_TRUE(shell->close(a).has_value());
  machine().run();
  EXPECT_EQ(out, "?");
  ASSERT_TRUE(shell->close(b).has_value());
  machine().run();
  EXPECT_EQ(out, "");
}

TEST_F(Echo, nonblocking_reads_and_writes_return_ewouldblock) {
  k.load("echo_nonblock");
  const int fd = shell->open("echo", O_RDWR | O_NONBLOCK).value();
  std::byte b[100] = {};
  EXPECT_EQ(error_of(shell->read(fd, b)), EWOULDBLOCK);
  EXPECT_EQ(shell->write(fd, b).value(), 64u);
  EXPECT_EQ(error_of(shell->write(fd, b)), EWOULDBLOCK);
  EXPECT_EQ(shell->read(fd, b).value(), 64u);
}

TEST_F(Echo, fcntl_is_put_to_the_driver_which_refuses_o_async) {
  k.load("echo_nonblock");
  const int fd = shell->open("echo", O_RDWR).value();
  ASSERT_TRUE(shell->set_status_flags(fd, O_NONBLOCK).has_value());
  std::byte b[1];
  EXPECT_EQ(error_of(shell->read(fd, b)), EWOULDBLOCK);
  // One refused flag, and neither changes.
  EXPECT_EQ(error_of(shell->set_status_flags(fd, O_ASYNC)), EINVAL);
  EXPECT_EQ(error_of(shell->read(fd, b)), EWOULDBLOCK);
  ASSERT_TRUE(shell->set_status_flags(fd, 0).has_value());
  ::thread& reader =
      machine().go("reader", [&] { EXPECT_EQ(error_of(shell->read(fd, b)), EINTR); });
  machine().run();
  EXPECT_FALSE(machine().is_done(reader));
  k.kernel.interrupt(reader);
  machine().run();
}

TEST_F(Echo, poll_example_3) {
  k.load("echo_poll");
  const int reader = shell->open("echo", O_RDONLY).value();
  ::pollfd p = {reader, POLLIN | POLLOUT, 0};
  EXPECT_EQ(shell->poll({&p, 1}, 0s).value(), 1u);
  EXPECT_EQ(p.revents, POLLIN | POLLOUT);  // Without a writer, the end is there to read.
  int n = -1;
  EXPECT_EQ(error_of(shell->ioctl(reader, FIONREAD, &n)), 0);
  EXPECT_EQ(n, 0);
  EXPECT_EQ(error_of(shell->ioctl(reader, FIONWRITE, &n)), 0);
  EXPECT_EQ(n, 64);
  ASSERT_TRUE(echo("foo\n").has_value());
  EXPECT_EQ(error_of(shell->ioctl(reader, FIONREAD, &n)), 0);
  EXPECT_EQ(n, 4);
  EXPECT_EQ(error_of(shell->ioctl(reader, FIONWRITE, &n)), 0);
  EXPECT_EQ(n, 60);
}

TEST_F(Echo, poll_waits_for_its_event_its_timeout_or_a_signal) {
  k.load("echo_poll");
  const int writer = shell->open("echo", O_RDWR).value();
  ::pollfd p = {writer, POLLIN, 0};
  Sys<size_t> ready = 9;
  ::thread& poller = machine().go("poll", [&] { ready = shell->poll({&p, 1}, 1s); });
  machine().run_for(1s - 1ns);
  EXPECT_FALSE(machine().is_done(poller));
  machine().run_for(1ns);
  EXPECT_EQ(ready.value(), 0u);

  machine().go("poll", [&] { ready = shell->poll({&p, 1}, std::nullopt); });
  machine().run();
  ASSERT_TRUE(echo("x").has_value());
  machine().run();
  EXPECT_EQ(ready.value(), 1u);
  EXPECT_EQ(p.revents, POLLIN);
}

TEST_F(Echo, kqueue_example_4) {
  k.load("echo");
  const int fd = shell->open("echo", O_RDONLY).value();
  const int kq = shell->kqueue().value();
  const auto ident = static_cast<uintptr_t>(fd);
  const ::kevent changes[] = {{ident, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, nullptr},
                              {ident, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, nullptr}};
  std::vector<std::string> lines;
  ASSERT_TRUE(shell->kevent(kq, changes, {}, 0s).has_value());
  ::thread& events = machine().go("echoctl", [&] {
    ::kevent e{};
    while (shell->kevent(kq, {}, {&e, 1}, std::nullopt)) {
      lines.push_back(fmt::format("{}:{} {} bytes", e.filter == EVFILT_READ ? "READ" : "WRITE",
                                  (e.flags & EV_EOF) != 0 ? " EV_EOF" : "", e.data));
    }
  });
  machine().run();
  EXPECT_EQ(lines, (std::vector<std::string>{"READ: EV_EOF 0 bytes", "WRITE: 64 bytes"}));
  lines.clear();
  machine().go("jot", [&] { EXPECT_EQ(echo(jot(80)).value(), 81u); });
  machine().run();
  EXPECT_EQ(lines, std::vector<std::string>{"READ: 64 bytes"});
  lines.clear();
  std::string out;
  machine().go("cat", [&] { out = cat(); });
  machine().run();
  EXPECT_EQ(out, jot(80));
  // The article's last block varies from run to run; its last word does not.
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back(), "WRITE: 64 bytes");
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return line.starts_with("READ: EV_EOF ");
  })) << fmt::format("{}", fmt::join(lines, "\n"));
  k.kernel.interrupt(events);
  machine().run();
}

TEST_F(Echo, unloading_under_a_kqueue_says_eof_and_leaves_no_knote) {
  k.load("echo");
  const int fd = shell->open("echo", O_RDWR).value();
  const int kq = shell->kqueue().value();
  const ::kevent change = {static_cast<uintptr_t>(fd), EVFILT_READ, EV_ADD, 0, 0, nullptr};
  ASSERT_TRUE(shell->kevent(kq, {&change, 1}, {}, 0s).has_value());
  ASSERT_TRUE(k.kernel.modules().unload("echo").has_value());
  ::kevent e{};
  EXPECT_EQ(shell->kevent(kq, {}, {&e, 1}, 0s).value(), 1u);
  EXPECT_NE(e.flags & EV_EOF, 0);
  EXPECT_EQ(shell->kevent(kq, {}, {&e, 1}, 0s).value(), 0u);
}

TEST_F(Echo, instances_share_nothing) {
  k.load("echo_instances");
  EXPECT_EQ(k.kernel.devfs().list(""), (std::vector<std::string>{"echo0", "echo1"}));
  ASSERT_TRUE(k.echo(*shell, "zero", "echo0").has_value());
  ASSERT_TRUE(k.echo(*shell, "one", "echo1").has_value());
  EXPECT_EQ(k.cat(*shell, "echo0"), "zero");
  EXPECT_EQ(k.cat(*shell, "echo1"), "one");
}

TEST_F(Echo, mapping_shows_the_buffer_itself) {
  k.load("echo_mmap");
  const int fd = shell->open("echo", O_RDWR).value();
  const auto pages = shell->map(fd, 0, 4096, 3);
  ASSERT_TRUE(pages.has_value());
  ASSERT_EQ(pages->size(), 1u);
  std::byte* page = pages->front();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(page) % 4096, 0u);
  ASSERT_TRUE(shell->write(fd, bytes("foo"), 0).has_value());
  EXPECT_EQ(text({page, 3}), "foo");
  page[1] = std::byte{'u'};
  EXPECT_EQ(cat().substr(0, 3), "fuo");
  EXPECT_EQ(error_of(shell->map(fd, 4096, 1, 1)), EINVAL);
  EXPECT_EQ(error_of(shell->map(fd, 1, 1, 1)), EINVAL);
  const int reader = shell->open("echo", O_RDONLY).value();
  EXPECT_EQ(error_of(shell->map(reader, 0, 4096, 2)), EACCES);
}

// Many interleavings of readers, writers and an unload: nobody is left behind, nothing is lost.
TEST(EchoRaces, bytes_are_conserved_and_unload_always_ends) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(fmt::format("replay: seed {}", seed));
    TestKernel k({.seed = seed, .switch_one_in = 3});
    k.load("echo");
    {
      Process p(k.kernel);
      size_t wrote = 0, read = 0;
      for (int i = 0; i < 3; ++i) {
        k.machine.go("writer", [&] {
          const auto n = k.echo(p, std::string(150, 'w'), "echo");
          wrote += n.value_or(0);
        });
        k.machine.go("reader", [&] {
          const std::string got = k.cat(p, "echo", 7);
          read += static_cast<size_t>(std::count(got.begin(), got.end(), 'w'));
        });
      }
      if (seed % 2 == 0) {
        k.machine.go("kldunload",
                     [&] { EXPECT_TRUE(k.kernel.modules().unload("echo").has_value()); });
      }
      k.machine.run();
      // Readers may all have left before a writer came; then somebody else empties the device.
      while (k.machine.unfinished() != 0) {
        k.machine.go("reader", [&] {
          const std::string got = k.cat(p, "echo", 7);
          read += static_cast<size_t>(std::count(got.begin(), got.end(), 'w'));
        });
        k.machine.run();
      }
      if (seed % 2 == 1) {
        const std::string rest = k.cat(p, "echo");
        EXPECT_EQ(wrote, 450u);
        EXPECT_EQ(read + rest.size(), wrote);
      }
    }
    k.kernel.modules().unload_all();
    EXPECT_EQ(k.kernel.reports().total(), 0u) << k.console;
    if (testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace wh::dev

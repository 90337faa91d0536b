// What users other than root may use up of a mount: requests are made up, answers go to memory.
#include "dev/fuse/server.h"

#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dev/fuse/control.h"
#include "dev/fuse/shared_object_loader.h"

namespace wh::dev {
namespace {

constexpr uint64_t kControl = 2;  // The control file's inode.

class Bounds : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(server.attach_to_memory());
    fuse_init_in hello{};
    hello.major = FUSE_KERNEL_VERSION;
    hello.minor = 36;
    ASSERT_EQ(ask(FUSE_INIT, root, hello), 0);
  }
  // A request's errno.
  template <class Body>
  int ask(uint32_t opcode, uint32_t uid, const Body& body) {
    struct {
      fuse_in_header header;
      Body body;
    } request{{}, body};
    request.header.len = sizeof request;
    request.header.opcode = opcode;
    request.header.unique = unique += 2;
    request.header.nodeid = kControl;
    request.header.uid = uid;
    server.answer(std::as_bytes(std::span(&request, 1)));
    return server.last_error();
  }
  int open(uint32_t uid) { return ask(FUSE_OPEN, uid, fuse_open_in{.flags = O_RDWR}); }
  int release(uint32_t uid, uint64_t fh) {
    fuse_release_in body{};
    body.fh = fh;
    return ask(FUSE_RELEASE, uid, body);
  }
  // EVFILT_USER knotes from `first` on.
  int add(uint32_t uid, uint64_t fh, uintptr_t first, uint32_t count) {
    struct {
      fuse_ioctl_in head;
      ControlEvents call;
    } body{};
    body.head.fh = fh;
    body.head.cmd = kControlEvents;
    body.head.in_size = body.head.out_size = sizeof body.call;
    body.call.changes_count = count;
    for (uint32_t i = 0; i < count; ++i) {
      body.call.changes[i] = {first + i, EVFILT_USER, EV_ADD, 0, 0, nullptr};
    }
    return ask(FUSE_IOCTL, uid, body);
  }

  const uint32_t root = ::geteuid(), one = root + 1, other = root + 2;
  ThreadMachine machine;
  MessageLog log;
  SharedObjectLoader loader{{WH_DRIVER_DIR}};
  Kernel kernel{machine, loader, {}};
  Server server{
      kernel, machine, log, {"/"}, {.users_busy = 1, .users_files = 2, .users_knotes = 64}};
  uint64_t unique = 2;
};

TEST_F(Bounds, files_of_users_are_bounded_and_those_of_root_are_not) {
  EXPECT_EQ(open(one), 0);    // 3
  EXPECT_EQ(open(other), 0);  // 4
  EXPECT_EQ(open(one), ENFILE);
  EXPECT_EQ(open(other), ENFILE);
  EXPECT_EQ(open(root), 0);  // 5
  EXPECT_EQ(release(other, 4), 0);
  EXPECT_EQ(open(one), 0);
  EXPECT_EQ(open(one), ENFILE);
}

TEST_F(Bounds, knotes_of_users_are_bounded_and_those_of_root_are_not) {
  ASSERT_EQ(open(one), 0);    // 3
  ASSERT_EQ(open(other), 0);  // 4
  ASSERT_EQ(open(root), 0);   // 5
  EXPECT_EQ(add(one, 3, 0, 60), 0);
  EXPECT_EQ(add(other, 4, 0, 1), ENOMEM);
  EXPECT_EQ(add(root, 5, 0, 64), 0);
  EXPECT_EQ(add(root, 5, 64, 64), 0);
  EXPECT_EQ(release(one, 3), 0);
  EXPECT_EQ(add(other, 4, 0, 64), 0);
  EXPECT_EQ(add(other, 4, 64, 1), ENOMEM);
}

}  // namespace
}  // namespace wh::dev

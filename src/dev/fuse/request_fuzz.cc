// Forged FUSE requests: any opcode on any node with any handle, size, flags and payload.
//
// The frame is the kernel's (lengths that agree, names that end), for that is libfuse's to trust;
// what is inside it is not. An input is a sequence of records: opcode, node, length, then bytes
// that become the request's body. Sleeps end at once, as if signalled. Whoever asks is not root, so
// the commands that change the mount are refused.
#include <linux/fuse.h>
#include <sys/types.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "dev/fuse/server.h"
#include "dev/fuse/shared_object_loader.h"

namespace wh::dev {
namespace {

// A thread that would wait is signalled instead.
class ImpatientMachine final : public ThreadMachine {
 public:
  void park(::thread& td, Instant) override { td.has_signal = true; }
};

struct Lab {
  Lab() : kernel(machine, loader, {}), server(kernel, machine, log, {"/"}) {
    CHECK(kernel.modules().load("echo").has_value());
    CHECK(server.attach_to_memory().has_value());
  }
  ImpatientMachine machine;
  MessageLog log;
  SharedObjectLoader loader{{WH_DRIVER_DIR}};
  Kernel kernel;
  Server server;
  uint64_t unique = 2;
};

// The fixed part of a request's body, after which a name or data may follow.
size_t fixed_size(uint32_t opcode) {
  switch (opcode) {
    case FUSE_LOOKUP: return 0;
    case FUSE_GETATTR: return sizeof(fuse_getattr_in);
    case FUSE_SETATTR: return sizeof(fuse_setattr_in);
    case FUSE_MKNOD: return sizeof(fuse_mknod_in);
    case FUSE_OPEN: return sizeof(fuse_open_in);
    case FUSE_OPENDIR: return sizeof(fuse_open_in);
    case FUSE_READ: return sizeof(fuse_read_in);
    case FUSE_READDIR: return sizeof(fuse_read_in);
    case FUSE_WRITE: return sizeof(fuse_write_in);
    case FUSE_RELEASE: return sizeof(fuse_release_in);
    case FUSE_IOCTL: return sizeof(fuse_ioctl_in);
    case FUSE_POLL: return sizeof(fuse_poll_in);
    default: return 64;
  }
}

void send(Lab& lab, uint32_t opcode, uint64_t node, std::span<const std::byte> body) {
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof header + body.size());
  header.opcode = opcode;
  header.unique = lab.unique += 2;
  header.nodeid = node;
  header.uid = header.gid = 12345;
  header.pid = 1;
  std::vector<std::byte> request(sizeof header + body.size());
  std::memcpy(request.data(), &header, sizeof header);
  std::copy(body.begin(), body.end(), request.begin() + sizeof header);
  lab.server.answer(request);
}

// Makes the lengths inside agree with what is there, as the kernel would.
void frame(uint32_t opcode, std::vector<std::byte>& body) {
  const size_t fixed = fixed_size(opcode);
  if (body.size() < fixed) body.resize(fixed);
  if (opcode == FUSE_LOOKUP || opcode == FUSE_MKNOD) body.push_back(std::byte{0});
  const auto rest = static_cast<uint32_t>(body.size() - fixed);
  if (opcode == FUSE_WRITE) {
    std::memcpy(body.data() + offsetof(fuse_write_in, size), &rest, sizeof rest);
  } else if (opcode == FUSE_IOCTL) {
    std::memcpy(body.data() + offsetof(fuse_ioctl_in, in_size), &rest, sizeof rest);
  } else if (opcode == FUSE_READ || opcode == FUSE_READDIR) {
    uint32_t size = 0;  // What the kernel asks for at most.
    std::memcpy(&size, body.data() + offsetof(fuse_read_in, size), sizeof size);
    size &= 0xfffff;
    std::memcpy(body.data() + offsetof(fuse_read_in, size), &size, sizeof size);
  }
}

}  // namespace
}  // namespace wh::dev

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh::dev;
  Lab lab;
  fuse_init_in hello{};
  hello.major = FUSE_KERNEL_VERSION;
  hello.minor = 36;
  send(lab, FUSE_INIT, 0, std::as_bytes(std::span(&hello, 1)));
  static constexpr uint32_t kOpcodes[] = {
      FUSE_LOOKUP,  FUSE_GETATTR, FUSE_SETATTR, FUSE_MKNOD, FUSE_OPEN, FUSE_OPENDIR, FUSE_READ,
      FUSE_READDIR, FUSE_WRITE,   FUSE_RELEASE, FUSE_IOCTL, FUSE_POLL, FUSE_READLINK};
  auto rest = std::as_bytes(std::span(data, size));
  while (rest.size() >= 3) {
    const uint32_t opcode = kOpcodes[static_cast<size_t>(rest[0]) % std::size(kOpcodes)];
    const auto node = static_cast<uint64_t>(rest[1]) % 8;
    const size_t length = std::min(static_cast<size_t>(rest[2]) * 4, rest.size() - 3);
    std::vector<std::byte> body(rest.begin() + 3,
                                rest.begin() + 3 + static_cast<ptrdiff_t>(length));
    rest = rest.subspan(3 + length);
    frame(opcode, body);
    const uint64_t before = lab.server.answers();
    send(lab, opcode, node, body);
    CHECK_EQ(lab.server.answers(), before + 1);  // Each request has one answer.
  }
  return 0;
}

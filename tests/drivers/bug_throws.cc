// A driver in C++ whose read throws.
#include <sys/conf.h>

#include <stdexcept>

namespace {

struct cdev* dev;

int throwing_read(struct cdev*, struct uio*, int) {
  throw std::runtime_error("no such thing in a kernel");
}

struct cdevsw make_switch() {
  struct cdevsw sw {};
  sw.d_version = D_VERSION;
  sw.d_name = "echo";
  sw.d_read = throwing_read;
  return sw;
}
struct cdevsw throwing_cdevsw = make_switch();

int modevent(module_t, int type, void*) {
  if (type == MOD_UNLOAD) destroy_dev(dev);
  if (type != MOD_LOAD) return type == MOD_UNLOAD ? 0 : EOPNOTSUPP;
  struct make_dev_args args;
  make_dev_args_init(&args);
  args.mda_flags = MAKEDEV_WAITOK | MAKEDEV_CHECKNAME;
  args.mda_devsw = &throwing_cdevsw;
  args.mda_mode = 0600;
  return make_dev_s(&args, &dev, "echo");
}

}  // namespace

DEV_MODULE(echodev, modevent, nullptr);

// No bug: a module that does nothing, many of which can be loaded.
#include <sys/param.h>
#include <sys/kernel.h>
#include <sys/module.h>

static int
quiet_modevent(module_t mod, int type, void *data)
{
    return (type == MOD_LOAD || type == MOD_UNLOAD ? 0 : EOPNOTSUPP);
}

DEV_MODULE(quiet, quiet_modevent, NULL);

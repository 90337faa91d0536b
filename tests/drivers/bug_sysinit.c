// A bug: what is to run before the module and after it panics.
#include <sys/param.h>
#include <sys/kernel.h>
#include <sys/module.h>
#include <sys/systm.h>

static void
bug_sysinit(void *arg)
{
    panic("in SYSINIT");
}
SYSINIT(bug, SI_SUB_DRIVERS, SI_ORDER_ANY, bug_sysinit, NULL);

static void
bug_sysuninit(void *arg)
{
    panic("in SYSUNINIT");
}
SYSUNINIT(bug, SI_SUB_DRIVERS, SI_ORDER_ANY, bug_sysuninit, NULL);

static int
bug_modevent(module_t mod, int type, void *data)
{
    printf("an event\n");
    return (0);
}

DEV_MODULE(bug_sysinit, bug_modevent, NULL);

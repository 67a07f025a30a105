/*
 * Preloaded before the allocator: the kernel's calls for memory as a kernel with pages of 64 KiB
 * does them. Addresses are multiples of that, or the call fails; lengths are rounded up to it, and
 * the system says that its pages are so large.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <dlfcn.h>

enum { PAGE = 65536 };

static size_t whole(size_t bytes)
{
    return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static int amiss(void *start)
{
    return ((uintptr_t)start & (PAGE - 1)) != 0 && (errno = EINVAL);
}

void *mmap(void *start, size_t bytes, int protection, int flags, int file, off_t offset)
{
    if (start != NULL || file >= 0)
        return (void *)syscall(SYS_mmap, start, bytes, protection, flags, file, offset);
    bytes = whole(bytes);
    long place = syscall(SYS_mmap, start, bytes + PAGE, protection, flags, file, offset);
    if (place == -1)
        return MAP_FAILED;
    uintptr_t first = whole((uintptr_t)place);
    if (first > (uintptr_t)place)
        syscall(SYS_munmap, place, first - (uintptr_t)place);
    if ((uintptr_t)place + PAGE > first)
        syscall(SYS_munmap, first + bytes, (uintptr_t)place + PAGE - first);
    return (void *)first;
}

int munmap(void *start, size_t bytes)
{
    return amiss(start) ? -1 : (int)syscall(SYS_munmap, start, whole(bytes));
}

int madvise(void *start, size_t bytes, int advice)
{
    return amiss(start) ? -1 : (int)syscall(SYS_madvise, start, whole(bytes), advice);
}

int mprotect(void *start, size_t bytes, int protection)
{
    return amiss(start) ? -1 : (int)syscall(SYS_mprotect, start, whole(bytes), protection);
}

void *mremap(void *start, size_t from, size_t to, int flags, ...)
{
    if (amiss(start))
        return MAP_FAILED;
    from = whole(from);
    to = whole(to);
    long place = syscall(SYS_mremap, start, from, to, 0);
    if (place != -1 || !(flags & MREMAP_MAYMOVE))
        return (void *)place;
    void *new = mmap(NULL, to, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (new == MAP_FAILED)
        return new;
    return (void *)syscall(SYS_mremap, start, from, to, MREMAP_MAYMOVE | MREMAP_FIXED, new);
}

unsigned long getauxval(unsigned long type)
{
    static unsigned long (*real)(unsigned long);
    if (type == AT_PAGESZ)
        return PAGE;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "getauxval");
    return real(type);
}

long sysconf(int name)
{
    static long (*real)(int);
    if (name == _SC_PAGESIZE)
        return PAGE;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sysconf");
    return real(name);
}

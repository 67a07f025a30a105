/*
 * Counts the calls that the next allocator serves: preloaded in front of an allocator that does not
 * count itself. At exit each process appends a line of JSON to the file that STRESS_CALLS names:
 * its program, its calls, and the file that the next malloc is in.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static unsigned long calls;

static void *(*next_malloc)(size_t);
static void (*next_free)(void *);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static int (*next_posix_memalign)(void **, size_t, size_t);
static void *(*next_aligned_alloc)(size_t, size_t);
static void *(*next_memalign)(size_t, size_t);
static size_t (*next_usable)(void *);

/* What dlsym itself needs before the next functions are known. Never given back. */
static _Alignas(16) char early[1 << 16];
static size_t early_used;
static __thread int looking __attribute__((tls_model("initial-exec")));

static int is_early(const void *block)
{
    return (uintptr_t)block - (uintptr_t)early < sizeof early;
}

static void *from_early(size_t size)
{
    size_t room = (size + 31) / 16 * 16; /* the size stands before the block */
    size_t start = __atomic_fetch_add(&early_used, room, __ATOMIC_RELAXED);
    if (size > sizeof early || start + room > sizeof early)
        return NULL;
    memcpy(early + start, &size, sizeof size);
    return early + start + 16;
}

static void look(void)
{
    looking = 1;
    next_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    next_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    next_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    next_posix_memalign = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    next_aligned_alloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
    next_memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "memalign");
    next_usable = (size_t(*)(void *))dlsym(RTLD_NEXT, "malloc_usable_size");
    next_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    looking = 0;
}

/* True when the call is to be passed on. */
static int count(void)
{
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
    if (!next_malloc && !looking)
        look();
    return !looking;
}

EXPORT void *malloc(size_t size) { return count() ? next_malloc(size) : from_early(size); }

EXPORT void free(void *block)
{
    if (count() && !is_early(block))
        next_free(block);
}

EXPORT void *calloc(size_t number, size_t size)
{
    size_t bytes;
    if (count())
        return next_calloc(number, size);
    return __builtin_mul_overflow(number, size, &bytes) ? NULL : from_early(bytes);
}

EXPORT void *realloc(void *block, size_t size)
{
    if (count() && !is_early(block))
        return next_realloc(block, size);
    void *moved = looking ? from_early(size) : next_malloc(size);
    if (moved && block) {
        size_t before;
        memcpy(&before, (char *)block - 16, sizeof before);
        memcpy(moved, block, before < size ? before : size);
    }
    return moved;
}

EXPORT int posix_memalign(void **block, size_t align, size_t size)
{
    return count() ? next_posix_memalign(block, align, size) : ENOMEM;
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
    return count() ? next_aligned_alloc(align, size) : NULL;
}

EXPORT void *memalign(size_t align, size_t size)
{
    return count() ? next_memalign(align, size) : NULL;
}

EXPORT size_t malloc_usable_size(void *block)
{
    if (!count() || is_early(block))
        return 0;
    return next_usable(block);
}

static void child(void) { __atomic_store_n(&calls, 0, __ATOMIC_RELAXED); }

__attribute__((constructor)) static void start(void) { pthread_atfork(NULL, NULL, child); }

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("STRESS_CALLS");
    static char line[8192];
    Dl_info info = {0};
    if (!path || !next_malloc || !dladdr((void *)next_malloc, &info))
        return;
    int length = snprintf(line, sizeof line,
                          "{\"calls\":%lu,\"program\":\"%s\",\"served_by\":\"%s\"}\n",
                          __atomic_load_n(&calls, __ATOMIC_RELAXED), program_invocation_short_name,
                          info.dli_fname);
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (file >= 0 && length > 0 && length < (int)sizeof line && write(file, line, length) != length)
        _exit(99);
    if (file >= 0)
        close(file);
}

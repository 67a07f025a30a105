/* An allocator over glibc's with one planted fault, which FAULT names. With none it is right. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NONE, DIRTY_CALLOC, SHORT_REALLOC, TWO_OWNERS, CRASH, HANG, EXIT, CHILD_HANGS, ONCE };

void *__libc_malloc(size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);

static unsigned long calls;
static void *last;
static pid_t parent;

static unsigned long count(void)
{
    unsigned long number = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    if (FAULT == CRASH && number == 20000)
        __builtin_trap();
    while (FAULT == HANG && number == 20000)
        pause();
    if (FAULT == EXIT && number == 20000)
        _exit(0);
    if (number == 1)
        parent = getpid();
    while (FAULT == CHILD_HANGS && number > 20000 && getpid() != parent)
        pause();
    return number;
}

void *malloc(size_t size)
{
    unsigned long number = count();
    static int failed;
    if (FAULT == ONCE && size > 30 << 20 && !__atomic_exchange_n(&failed, 1, __ATOMIC_RELAXED)) {
        errno = ENOMEM;
        return NULL;
    }
    if (FAULT == TWO_OWNERS && number > 20000 && size == 40) {
        if (number % 100 == 0 && last)
            return last;
        return last = __libc_malloc(size);
    }
    return __libc_malloc(size);
}

void free(void *block)
{
    count();
    if (FAULT != TWO_OWNERS) /* glibc would find the second free */
        __libc_free(block);
}

void *calloc(size_t number, size_t size)
{
    count();
    void *block = __libc_malloc(number * size);
    if (block)
        memset(block, FAULT == DIRTY_CALLOC && calls > 20000 ? 0xA5 : 0, number * size);
    return block;
}

void *realloc(void *block, size_t size)
{
    count();
    void *moved = FAULT == TWO_OWNERS && block ? __libc_malloc(size) : __libc_realloc(block, size);
    if (FAULT == TWO_OWNERS && block && moved)
        memcpy(moved, block, size); /* what lies beyond the old block is garbage, as it may be */
    if (FAULT == SHORT_REALLOC && block && moved && size > 4000)
        memset((char *)moved + size / 4, 0, 16);
    return moved;
}

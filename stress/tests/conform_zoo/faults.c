/* The zoo of the conformance suite: the C library's malloc behind a thin shim, sound as it stands,
 * and with one -D each a planted fault, named for what it breaks. conform_zoo.rs says which row
 * must find which. */
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void __libc_free(void *);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

#define SAY(text) \
    do { \
        if (write(2, text "\n", sizeof text)) {} \
    } while (0)

/* glibc's chunk: the word before the block holds its size and three flags; one says that it is
 * mapped. */
static size_t true_size(void *block) {
    size_t word = ((size_t *)block)[-1];
    return (word & ~(size_t)7) - (word & 2 ? 16 : 8);
}

static __thread int dead_thread;
static int dead, constructed;

#if defined TWO_OWNERS || defined UNLOCKED
/* Blocks of 1 to 700 bytes in a list of their own, without a check and without a lock. */
static void *list;
static int listed(void *block) { return true_size(block) >= 712 && true_size(block) <= 728; }
#define SMALL(size) ((size) && (size) <= 700)
#endif

#if defined FORGETS_FORK || defined CALLS_LOADER
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#endif

#if defined SILENT || defined FAILS || defined HANGS || defined REPORTS || defined MISNAMES || \
    defined DEFERRED || defined ACCUSES
/* The last block of 8 bytes that was freed: given back only by the next one. */
static void *last;
static int late;
static int again(void *block) {
    if (true_size(block) > 24)
        return 0;
    if (block == last)
        return 1;
    void *old = last;
    last = block;
    __libc_free(old);
    return 2;
}
#endif

void *malloc(size_t size) {
#ifdef FAILS
    if (late) { errno = ENOMEM; return NULL; }
#endif
#ifdef SHARES_NOTHING
    static long nothing[2];
    if (size == 0) return nothing;
#endif
#ifdef NULL_FOR_NOTHING
    if (size == 0) return NULL;
#endif
#ifdef GRANTS_THE_IMPOSSIBLE
    if (size > PTRDIFF_MAX && size < SIZE_MAX - 65536) size &= 0xfff;
#endif
#ifdef WRAPS
    if (size > SIZE_MAX - 31) size = (size + 31) & ~(size_t)31;
#endif
#ifdef FORGETS_ENOMEM
    int before = errno;
    void *it = __libc_malloc(size);
    if (!it) errno = before;
    return it;
#endif
#ifdef NOT_BEFORE_CONSTRUCTOR
    if (!constructed && size > 1 << 16) return NULL;
#endif
#ifdef DIES_AT_EXIT
    if (dead) return NULL;
#endif
#ifdef DIES_WITH_ITS_KEY
    static pthread_key_t key;
    static int made;
    if (dead_thread) return NULL;
    if (constructed) {
        extern void ended(void *);
        if (!made) made = pthread_key_create(&key, ended) == 0;
        if (!pthread_getspecific(key)) pthread_setspecific(key, &key);
    }
#endif
#ifdef FAILS_OTHER_STACKS
    stack_t stack;
    if (!sigaltstack(NULL, &stack) && stack.ss_flags & SS_ONSTACK) return NULL;
#endif
#ifdef GIVES_UP_AT_EINTR
    struct timespec time = {0, 200000};
    if (size >= 1 << 20 && nanosleep(&time, NULL)) { errno = ENOMEM; return NULL; }
#endif
#ifdef CALLS_LOADER
    Dl_info info;
    static __thread int inside;
    if (constructed && !inside) {
        inside = 1;
        pthread_mutex_lock(&lock);
        dladdr((void *)malloc, &info);
        pthread_mutex_unlock(&lock);
        inside = 0;
    }
#endif
#ifdef LEAKS_PER_THREAD
    static __thread int here;
    if (!here) { here = 1; memset(__libc_malloc(4000), 1, 4000); }
#endif
#ifdef DEEP
    volatile char *deep = alloca(60 << 10);
    for (size_t at = 0; at < 60 << 10; at += 4096) deep[at] = 1;
#endif
#ifdef FORGETS_FORK
    pthread_mutex_lock(&lock);
    for (volatile int turn = 0; turn < 300; turn++) {}
    void *it = __libc_malloc(size);
    pthread_mutex_unlock(&lock);
    return it;
#endif
#ifdef ABORTS_WHEN_FAILED
    void *it = __libc_malloc(size);
    if (!it && size < PTRDIFF_MAX / 2) abort();
    return it;
#endif
#ifdef TALKS
    if (size > 500000) SAY("a large one!");
#endif
#ifdef MISALIGNS
    static int calls;
    if (size > 100 && size < 2000 && __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 50 == 0)
        return (char *)__libc_malloc(size + 8) + 8;
#endif
#if defined TWO_OWNERS || defined UNLOCKED
    if (SMALL(size)) {
        if (list) {
            void *it = list;
#ifdef UNLOCKED
            static int calls;
            if (++calls % 64 == 0) sched_yield();
#endif
            list = *(void **)it;
            return it;
        }
        return __libc_malloc(720);
    }
#endif
    return __libc_malloc(size);
}

void ended(void *value) { (void)value; dead_thread = 1; }

void free(void *block) {
#ifdef CRASHES_AT_NULL
    *(volatile char *)block;
#endif
    if (!block) return;
#ifdef SHARES_NOTHING
    if (block == malloc(0)) return;
#endif
#ifdef MISALIGNS
    block = (void *)((uintptr_t)block & ~(uintptr_t)15);
#endif
#ifdef CLOBBERS_ERRNO
    if (true_size(block) > 100000) errno = EAGAIN;
#endif
#if defined TWO_OWNERS || defined UNLOCKED
    if (listed(block)) { *(void **)block = list; list = block; return; }
#endif
#ifdef FORGETS_FORK
    pthread_mutex_lock(&lock);
    __libc_free(block);
    pthread_mutex_unlock(&lock);
    return;
#endif
#if defined SILENT || defined FAILS || defined HANGS || defined REPORTS || defined MISNAMES || \
    defined DEFERRED || defined ACCUSES
    switch (again(block)) {
    case 1:
#ifdef HANGS
        for (volatile int forever = 1; forever;) {}
#endif
#ifdef REPORTS
        SAY("shim: double free of a small block");
        abort();
#endif
#ifdef MISNAMES
        SAY("shim: something is not as it was");
        abort();
#endif
        late = 1;
        return;
    case 2:
#ifdef ACCUSES
        if (constructed) { SAY("shim: double free of a small block"); abort(); }
#endif
        return;
    }
#endif
    __libc_free(block);
}

void *calloc(size_t count, size_t size) {
#ifdef MULTIPLIES
    return __libc_calloc(1, count * size);
#endif
#ifdef FORGETS_TO_ZERO
    if (count == 1 && size > 20000 && size < 100000) return __libc_malloc(size);
#endif
    size_t all;
    if (__builtin_mul_overflow(count, size, &all) || all > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
#if defined FORGETS_ENOMEM || defined FORGETS_FORK || defined DIES_WITH_ITS_KEY || \
    defined SHARES_NOTHING
    void *it = malloc(all);
    if (it && all) memset(it, 0, all);
    return it;
#endif
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    if (!block) return malloc(size);
#ifdef SHARES_NOTHING
    if (block == malloc(0)) return malloc(size);
#endif
#ifdef FREES_WHEN_FAILED
    if (size > PTRDIFF_MAX) { __libc_free(block); errno = ENOMEM; return NULL; }
#endif
#if defined LOSES_THE_END || defined MISALIGNS || defined TWO_OWNERS || defined UNLOCKED || \
    defined FORGETS_FORK
    /* By the slow way, for the blocks that the C library does not know. */
    if (size > PTRDIFF_MAX) { errno = ENOMEM; return NULL; }
    int odd = ((uintptr_t)block & 15) != 0;
    size_t old = odd ? true_size((char *)block - 8) - 8 : true_size(block);
    void *it = malloc(size);
    if (!it) return NULL;
    size_t common = old < size ? old : size;
#ifdef LOSES_THE_END
    if (common > 1000) common -= 8;
#endif
    memcpy(it, block, common);
    free(block);
    return it;
#endif
    return __libc_realloc(block, size);
}

static int power(size_t align) { return align && !(align & (align - 1)); }

#ifndef NO_ALIGNED_ALLOC
void *aligned_alloc(size_t align, size_t size) {
#ifndef GRANTS_BAD_ALIGNMENTS
    if (!power(align)) { errno = EINVAL; return NULL; }
#endif
#ifdef ALIGNS_TO_A_PAGE
    if (align > 4096) align = 4096;
#endif
    return __libc_memalign(align, size);
}
#endif

void *memalign(size_t align, size_t size) { return __libc_memalign(align, size); }

int posix_memalign(void **block, size_t align, size_t size) {
    if (!power(align) || align < sizeof(void *)) {
#ifdef TOUCHES_MEMPTR
        *block = NULL;
#endif
        return EINVAL;
    }
    int before = errno;
    void *it = __libc_memalign(align, size);
#ifndef SETS_ERRNO
    errno = before;
#endif
#ifdef BLAMES_THE_ALIGNMENT
    if (!it) return EINVAL;
#endif
    if (!it) return ENOMEM;
#ifdef FAILS_THE_ALIGNED
    if (size == 5000) { __libc_free(it); return ENOMEM; }
#endif
    *block = it;
    return 0;
}

void *valloc(size_t size) {
#ifdef VALLOC_IS_MALLOC
    return __libc_malloc(size);
#endif
    return __libc_memalign(4096, size);
}

void *pvalloc(size_t size) {
    if (size > PTRDIFF_MAX - 4096) { errno = ENOMEM; return NULL; }
    return __libc_memalign(4096, (size + 4095) & ~(size_t)4095);
}

size_t malloc_usable_size(void *block) {
#ifdef CRASHES_AT_NULL
    *(volatile char *)block;
#endif
    if (!block) return 0;
#ifdef SHARES_NOTHING
    if (block == malloc(0)) return 0;
#endif
#ifdef UNDERSTATES
    return true_size(block) & ~(size_t)63;
#endif
#ifdef OVERSTATES
    return true_size(block) + 16;
#endif
    return true_size(block);
}

#ifdef MISTRUSTS_SIZES
void free_sized(void *block, size_t size) {
    if (size != true_size(block)) { SAY("shim: wrong size"); abort(); }
    __libc_free(block);
}
void free_aligned_sized(void *block, size_t align, size_t size) {
    (void)align;
    free_sized(block, size);
}
#endif

#ifdef DIES_AT_EXIT
void exit(int status) {
    dead = 1;
    ((void (*)(int))dlsym(RTLD_NEXT, "exit"))(status);
    __builtin_unreachable();
}
#endif

#ifdef STARTS_A_THREAD
static void *forever(void *nothing) { for (;;) pause(); return nothing; }
#endif
#ifdef HANDLES_A_SIGNAL
static void nothing(int signal) { (void)signal; }
#endif
#ifdef DEFERRED
static void at_exit(void) {
    if (late) { SAY("shim: double free of a small block, found late"); abort(); }
}
#endif

__attribute__((constructor)) static void start(void) {
    constructed = 1;
#ifdef GREETS
    if (write(1, "shim: hello\n", 12)) {}
#endif
#ifdef LEAVES_ITS_STATE
    /* For itself in the next program: which it does not expect to be started so. */
    if (getenv("SHIM")) _exit(3);
    setenv("SHIM", "here", 1);
#endif
#ifdef OPENS_A_FILE
    if (open("/dev/null", O_RDONLY)) {}
#endif
#ifdef STARTS_A_THREAD
    pthread_t thread;
    pthread_create(&thread, NULL, forever, NULL);
#endif
#ifdef HANDLES_A_SIGNAL
    signal(SIGUSR2, nothing);
#endif
#ifdef DEFERRED
    atexit(at_exit);
#endif
}

/* The C library's malloc with one planted fault, which FAULT names; with NONE it is right. For
 * faults that can be put round any allocator: the stress tool must find each in its default run. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    NONE,
    OVERLAPS,        /* a block within a live one, once in 100,000 */
    DIRTY_CALLOC,    /* a large block that comes back is not zeroed for calloc */
    MISALIGNS,       /* alignments above 4 KiB are not kept */
    LEAKS_FREES,     /* every fourth free does nothing */
    LEAKS_EXITS,     /* a MiB is lost at every ten-thousandth end of a thread */
    LOSES_REMOTE,    /* a block is lost that another thread frees while others free too */
    OVERSTATES,      /* malloc_usable_size + 16 */
    STALLS,          /* sleeps 200 ms, once in a million calls */
    SPINS,           /* the same on the processor */
    CHILD_HANGS,     /* a forked child hangs */
    KEEPS_ALL,       /* nothing goes back to the OS */
    CLOBBERS_ERRNO,  /* free sets errno */
    MEMALIGN_WRITES, /* posix_memalign writes its result on failure */
    TRUSTS_SIZES,    /* free_sized keeps blocks by what it is told, unchecked */
    HANGS            /* one call never returns, others go on */
};

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static unsigned long calls, frees, exits, freeing;
static pid_t parent;
static unsigned long overlapping;

static size_t true_size(void *block) {
    static size_t (*next)(void *);
    if (!next) next = (size_t (*)(void *))dlsym(RTLD_NEXT, "malloc_usable_size");
    return next(block);
}

enum { CPU = CLOCK_THREAD_CPUTIME_ID };
static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

__attribute__((constructor)) static void begin(void) {
    parent = getpid();
    if (FAULT == KEEPS_ALL) {
        mallopt(M_MMAP_MAX, 0);
        mallopt(M_TRIM_THRESHOLD, 0x7fffffff);
        mallopt(M_TOP_PAD, 1 << 20);
        mallopt(M_ARENA_MAX, 1);
    }
}

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void at_exit(void *unused) {
    if (__atomic_add_fetch(&exits, 1, __ATOMIC_RELAXED) % 10000 == 0) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS;
        char *lost = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (lost != MAP_FAILED) memset(lost, 1, 1 << 20);
    }
}
static void make_key(void) { pthread_key_create(&key, at_exit); }

static void at_call(void) {
    unsigned long number = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    if (FAULT == STALLS && number % 1000000 == 0) {
        struct timespec rest = {0, 200000000};
        while (nanosleep(&rest, &rest)) {}
    }
    if (FAULT == SPINS && number % 1000000 == 0)
        for (double end = now(CPU) + 0.2; now(CPU) < end;) {}
    while (FAULT == HANGS && number == 100000) pause();
    while (FAULT == CHILD_HANGS && number > 20000 && getpid() != parent) pause();
    if (FAULT == LEAKS_EXITS) {
        pthread_once(&once, make_key);
        if (!pthread_getspecific(key)) pthread_setspecific(key, &key);
    }
}

/* Who made a block of LOSES_REMOTE: the last 16 bytes of its memory, which nobody is told of. */
enum { TAG = FAULT == LOSES_REMOTE ? 16 : 0 };
static void *tagged(void *block) {
    if (TAG && block) *(pid_t *)((char *)block + true_size(block) - TAG) = gettid();
    return block;
}

/* Blocks of TRUSTS_SIZES, by the size that free_sized was told, in steps of 64. */
static void *lists[64];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void *malloc(size_t size) {
    at_call();
    static __thread char *last;
    static __thread size_t last_size;
    if (FAULT == OVERLAPS && size >= 16 && size <= 4096) {
        unsigned long number = __atomic_add_fetch(&overlapping, 1, __ATOMIC_RELAXED);
        if (number % 100000 == 0 && last && last_size >= 32) return last + 16;
        last_size = size;
        return last = __libc_malloc(size);
    }
    if (TAG && size > PTRDIFF_MAX) return __libc_malloc(size);
    if (FAULT == TRUSTS_SIZES && size && size <= 4032) {
        pthread_mutex_lock(&lock);
        void **list = &lists[(size + 63) / 64], *block = *list;
        if (block) *list = *(void **)block;
        pthread_mutex_unlock(&lock);
        if (block) return block;
    }
    return tagged(__libc_malloc(size + TAG));
}

/* Large blocks of DIRTY_CALLOC that were freed. */
enum { LARGE = 128 << 10 };
static void *kept[16];
static size_t kept_sizes[16];

static int keep(void *block, size_t size) {
    for (int i = 0; i < 16; i++) {
        void *none = NULL;
        if (!kept_sizes[i] && __sync_bool_compare_and_swap(&kept_sizes[i], 0, size)) {
            __atomic_store_n(&kept[i], block, __ATOMIC_RELEASE);
            return 1;
        }
    }
    return 0;
}

static void *take(size_t size) {
    for (int i = 0; i < 16; i++) {
        void *block = __atomic_load_n(&kept[i], __ATOMIC_ACQUIRE);
        size_t has = kept_sizes[i];
        if (block && has >= size && __sync_bool_compare_and_swap(&kept[i], block, NULL)) {
            __atomic_store_n(&kept_sizes[i], 0, __ATOMIC_RELEASE);
            return block;
        }
    }
    return NULL;
}

void free(void *block) {
    at_call();
    int before = errno;
    if (!block) return;
    if (FAULT == CLOBBERS_ERRNO) {
        __libc_free(block);
        errno = EINVAL;
        return;
    }
    if (FAULT == LEAKS_FREES && __atomic_add_fetch(&frees, 1, __ATOMIC_RELAXED) % 4 == 0) return;
    if (FAULT == DIRTY_CALLOC && true_size(block) >= LARGE && keep(block, true_size(block))) return;
    if (FAULT == LOSES_REMOTE) {
        int others = __atomic_fetch_add(&freeing, 1, __ATOMIC_SEQ_CST);
        pid_t *owner = (pid_t *)((char *)block + true_size(block) - TAG);
        int remote = *owner != gettid();
        if (!(others && remote)) __libc_free(block);
        __atomic_fetch_sub(&freeing, 1, __ATOMIC_SEQ_CST);
        errno = before;
        return;
    }
    __libc_free(block);
    errno = before;
}

void *calloc(size_t count, size_t size) {
    at_call();
    size_t bytes;
    int over = __builtin_mul_overflow(count, size, &bytes);
    if (FAULT == DIRTY_CALLOC && !over && bytes >= LARGE) {
        void *block = take(bytes);
        if (block) return block;
    }
    if (TAG && !__builtin_mul_overflow(count, size, &bytes) && bytes < PTRDIFF_MAX)
        return tagged(__libc_calloc(1, bytes + TAG));
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    at_call();
    if (TAG && size > PTRDIFF_MAX) return __libc_realloc(block, size);
    if (TAG && block && !size) return free(block), NULL;
    return tagged(__libc_realloc(block, size + TAG));
}

void *aligned_alloc(size_t alignment, size_t size) {
    at_call();
    if (FAULT == MISALIGNS && alignment > 4096) {
        char *block = __libc_memalign(4096, size);
        return block;
    }
    if (TAG && size > PTRDIFF_MAX) return __libc_memalign(alignment, size);
    return tagged(__libc_memalign(alignment, size + TAG));
}

void *memalign(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    at_call();
    if (alignment % sizeof(void *) || alignment & (alignment - 1) || !alignment) {
        if (FAULT == MEMALIGN_WRITES) *result = (void *)-1;
        return EINVAL;
    }
    void *block = aligned_alloc(alignment, size);
    if (!block) {
        if (FAULT == MEMALIGN_WRITES) *result = (void *)-1;
        return ENOMEM;
    }
    *result = block;
    return 0;
}

void free_sized(void *block, size_t size) {
    if (FAULT == TRUSTS_SIZES && block && size && size <= 4032) {
        pthread_mutex_lock(&lock);
        void **list = &lists[(size + 63) / 64];
        *(void **)block = *list;
        *list = block;
        pthread_mutex_unlock(&lock);
        return;
    }
    free(block);
}

size_t malloc_usable_size(void *block) {
    return block ? true_size(block) - TAG + (FAULT == OVERSTATES ? 16 : 0) : 0;
}

/* An allocator that reports misuses in the words of libdrystone.so, and goes on: powers of two, a
 * list of free blocks for each, one lock, and a table that says of every 16 bytes what begins
 * there. Sound as it stands; SILENT, TWICE and MISNAMES each plant a fault. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REGION ((size_t)1 << 36)
#define LIVE 0x40
#define FREE 0x80

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *region;
static unsigned char *table; /* LIVE or FREE, and the logarithm of the block's size */
static size_t used;
static void *lists[64];

static void report(const char *kind, void *block) {
    char line[128];
    int length = snprintf(line, sizeof line, "drystone: %s: 0x%zx, found at the call\n",
                          kind, (size_t)block);
#ifdef SILENT
    return;
#endif
#ifdef TWICE
    if (write(2, line, length) < 0) {}
#endif
    if (write(2, line, length) < 0) {}
}

/* Under the lock. */
static void *take(size_t size, size_t align) {
    if (size > REGION / 4) return NULL;
    int log = 4;
    while ((size_t)1 << log < size || (size_t)1 << log < align) log++;
    if (!region) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        region = mmap(NULL, 2 * REGION, PROT_READ | PROT_WRITE, flags, -1, 0);
        region = (char *)(((uintptr_t)region + REGION - 1) & ~(REGION - 1));
        table = mmap(NULL, REGION / 16, PROT_READ | PROT_WRITE, flags, -1, 0);
    }
    char *block = lists[log];
    if (block) {
        lists[log] = *(void **)block;
    } else {
        used = (used + ((size_t)1 << log) - 1) & ~(((size_t)1 << log) - 1);
        if (used + ((size_t)1 << log) > REGION) return NULL;
        block = region + used;
        used += (size_t)1 << log;
    }
    table[(block - region) / 16] = LIVE | log;
    return block;
}

/* Under the lock: what is wrong with a pointer, or NULL if it is a live block. */
static const char *wrong(char *block) {
    if (!region || block < region || block >= region + used) return "foreign pointer";
    if ((uintptr_t)block % 16)
        return "unaligned pointer";
    unsigned char says = table[(block - region) / 16];
    if (says & LIVE) return NULL;
    if (says & FREE) return "double free";
#ifdef MISNAMES
    return "double free";
#endif
    return "interior pointer";
}

static void put(char *block) {
    unsigned char *says = &table[(block - region) / 16];
    int log = *says & 0x3f;
    *says = FREE | log;
    *(void **)block = lists[log];
    lists[log] = block;
}

void *aligned_alloc(size_t align, size_t size) {
    int before = errno;
    pthread_mutex_lock(&lock);
    void *block = take(size, align);
    pthread_mutex_unlock(&lock);
    errno = block ? before : ENOMEM;
    return block;
}

void *malloc(size_t size) { return aligned_alloc(16, size); }

void *calloc(size_t count, size_t size) {
    size_t bytes;
    void *block = __builtin_mul_overflow(count, size, &bytes) ? NULL : malloc(bytes);
    return block ? memset(block, 0, bytes) : NULL;
}

void free(void *block) {
    if (!block) return;
    int before = errno;
    pthread_mutex_lock(&lock);
    const char *kind = wrong(block);
    if (!kind) put(block);
    pthread_mutex_unlock(&lock);
    if (kind) report(kind, block);
    errno = before;
}

void *realloc(void *block, size_t size) {
    if (!block) return malloc(size);
    pthread_mutex_lock(&lock);
    const char *kind = wrong(block);
    void *moved = kind ? NULL : take(size, 16);
    if (moved) {
        size_t had = (size_t)1 << (table[((char *)block - region) / 16] & 0x3f);
        memcpy(moved, block, had < size ? had : size);
        put(block);
    }
    pthread_mutex_unlock(&lock);
    if (kind) report(kind, block);
    return moved;
}

int posix_memalign(void **out, size_t align, size_t size) {
    *out = aligned_alloc(align, size);
    return *out ? 0 : ENOMEM;
}

void *memalign(size_t align, size_t size) { return aligned_alloc(align, size); }

size_t malloc_usable_size(void *block) {
    return block ? (size_t)1 << (table[((char *)block - region) / 16] & 0x3f) : 0;
}

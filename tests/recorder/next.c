// An allocator to preload behind the recorder. Its calloc and realloc call its malloc by the
// exported name, so through whoever interposes; at exit it says how often each was called.
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void *malloc(size_t);
void free(void *);

static _Alignas(4096) char memory[64 << 20];
static size_t used;
static long mallocs, frees;

void *memalign(size_t align, size_t size) {
    size_t at = __atomic_load_n(&used, __ATOMIC_RELAXED), start, end;
    do {
        start = (at + 16 + align - 1) / align * align;
        end = start + (size + 15) / 16 * 16;
        if (end > sizeof memory || end < start) return NULL;
    } while (!__atomic_compare_exchange_n(&used, &at, end, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    ((size_t *)(memory + start))[-1] = size;
    return memory + start;
}

void *malloc(size_t size) {
    __atomic_fetch_add(&mallocs, size == 7100, __ATOMIC_RELAXED);
    return memalign(16, size);
}

void *calloc(size_t count, size_t size) {
    void *block = malloc(count * size);
    return block ? memset(block, 0, count * size) : NULL;
}

void *realloc(void *block, size_t size) {
    void *new = malloc(size);
    if (new && block) {
        size_t old = ((size_t *)block)[-1];
        memcpy(new, block, old < size ? old : size);
        free(block);
    }
    return new;
}

void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }

int posix_memalign(void **out, size_t align, size_t size) {
    *out = memalign(align, size);
    return *out ? 0 : 12;
}

void free(void *block) {
    if (block == NULL) return;
    if ((char *)block < memory || (char *)block >= memory + sizeof memory) __builtin_trap();
    __atomic_fetch_add(&frees, ((size_t *)block)[-1] == 7100, __ATOMIC_RELAXED);
}

size_t malloc_usable_size(void *block) { return block ? ((size_t *)block)[-1] : 0; }

__attribute__((destructor)) static void say(void) { fprintf(stderr, "%ld %ld\n", mallocs, frees); }

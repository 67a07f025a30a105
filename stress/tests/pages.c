/* An allocator of the simplest kind, for the tests of preloaded allocators: each block has pages of
 * its own, so a double free touches what is no longer mapped. Correct except for one thing: where
 * munmap fails the pages are lost, for it does not try again.
 *
 *   | header: start, bytes mapped, bytes asked for | block ... |
 *
 * One call in 5,000 does, with -DMISALIGN, -DCRASH, -DEXITS, -DHANGS, -DTALKS: return a block that
 * is off by 8 bytes; abort; end the process with 101; never return, after making the file that
 * -DSIGN names, if it does; print half a line that is no text. With -DLARGE_MISALIGN every block of
 * more than 64 KiB is off by 8 bytes. When the OS fails a mapping, with -DFAILED_CRASH it is
 * used all the same; with -DFAILED_LOSES a realloc frees the old block; with -DFAILED_FOREVER
 * every later request fails; with -DFAILED_LEAKS a MiB is mapped and forgotten. With
 * -DBREAKS_DOWN it aborts as soon as anybody asks for the program break by sbrk. With -DNULLS every
 * request fails, with -DNO_MEGABYTE those of 1 MiB sharp. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct header {
    char *start;
    size_t mapped, asked, unused;
};

static struct header *header_of(void *block) { return (struct header *)block - 1; }

void *aligned_alloc(size_t alignment, size_t size) {
#ifdef NULLS
    errno = ENOMEM;
    return NULL;
#endif
#ifdef NO_MEGABYTE
    if (size == 1 << 20) { errno = ENOMEM; return NULL; }
#endif
    if (alignment < 16) alignment = 16;
    if (size > PTRDIFF_MAX - 2 * alignment - 8192) { errno = ENOMEM; return NULL; }
    size_t mapped = (size + alignment + sizeof(struct header) + 8 + 4095) & ~(size_t)4095;
    char *start = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#ifdef FAILED_FOREVER
    static int failed;
    if (start == MAP_FAILED) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&failed, __ATOMIC_RELAXED)) start = MAP_FAILED;
#endif
#ifdef FAILED_LEAKS
    if (start == MAP_FAILED)
        mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#endif
#ifndef FAILED_CRASH
    if (start == MAP_FAILED) { errno = ENOMEM; return NULL; }
#endif
    uintptr_t block = (uintptr_t)start + sizeof(struct header);
    block = (block + alignment - 1) & ~(uintptr_t)(alignment - 1);
#if defined MISALIGN || defined CRASH || defined EXITS || defined HANGS || defined TALKS
    static int calls;
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 5000 == 0) {
#ifdef CRASH
        if (write(2, "pages: out of luck\n", 19)) abort();
#endif
#ifdef EXITS
        _exit(101);
#endif
#ifdef HANGS
#ifdef SIGN
        close(open(SIGN, O_CREAT | O_WRONLY, 0600));
#endif
        for (volatile int forever = 1; forever;) {}
#endif
#ifdef TALKS
        if (write(1, "\xff\xfe\n\xff half", 9)) {}
#endif
#ifdef MISALIGN
        block += 8;
#endif
    }
#endif
#ifdef LARGE_MISALIGN
    if (size > 64 << 10) block += 8;
#endif
    *header_of((void *)block) = (struct header){start, mapped, size, 0};
    return (void *)block;
}

void *malloc(size_t size) { return aligned_alloc(16, size); }

void free(void *block) {
    if (!block) return;
    int error = errno;
    struct header header = *header_of(block);
    munmap(header.start, header.mapped);
    errno = error;
}

void *calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) { errno = ENOMEM; return NULL; }
    return malloc(bytes);
}

void *realloc(void *block, size_t size) {
    void *moved = malloc(size);
#ifdef FAILED_LOSES
    if (!moved) free(block);
#endif
    if (!block || !moved) return moved;
    size_t kept = header_of(block)->asked;
    memcpy(moved, block, kept < size ? kept : size);
    free(block);
    return moved;
}

#ifdef BREAKS_DOWN
void *sbrk(intptr_t more) { abort(); }
#endif

size_t malloc_usable_size(void *block) { return block ? header_of(block)->asked : 0; }

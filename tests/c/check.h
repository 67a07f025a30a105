/* What the C test programs share: a check that says where it failed, and a deadline. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned long checks;

#define CHECK(condition)                                                                    \
    do {                                                                                    \
        checks++;                                                                           \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: does not hold: %s (errno %d)\n", __FILE__, __LINE__,    \
                    #condition, errno);                                                     \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

/* Hides from the compiler what it knows about a pointer, so that it neither elides nor
 * complains. */
static inline void *opaque(const void *pointer)
{
    const void *volatile hidden = pointer;
    return (void *)hidden;
}

/* A double free behind 1,024 blocks of the same size, freed and allocated again: without a
 * quarantine the second free would be of somebody else's block. */
static inline void free_twice_behind_others(void)
{
    static void *others[1024];
    void *block = opaque(malloc(100));
    free(block);
    for (int i = 0; i < 1024; i++)
        CHECK((others[i] = opaque(malloc(100))) != block);
    for (int i = 0; i < 1024; i++)
        free(others[i]);
    free(block);
}

/* Likewise for a number. */
static inline size_t hidden(size_t number)
{
    volatile size_t it = number;
    return it;
}

static inline int is_aligned(const void *pointer, size_t alignment)
{
    return (uintptr_t)pointer % alignment == 0;
}

/* Fills a block with bytes that depend on `seed` and on the place. */
static inline void fill(void *block, size_t size, unsigned seed)
{
    unsigned char *bytes = block;
    for (size_t place = 0; place < size; place++)
        bytes[place] = (unsigned char)(seed * 131 + place * 7);
}

static inline int is_filled(const void *block, size_t size, unsigned seed)
{
    const unsigned char *bytes = block;
    for (size_t place = 0; place < size; place++)
        if (bytes[place] != (unsigned char)(seed * 131 + place * 7))
            return 0;
    return 1;
}

/* Draws a pseudorandom number: xorshift, by G. Marsaglia (2003). `state` is not 0. */
static inline uint32_t draw(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/*
 * `rounds` random allocations, resizings and frees, log-uniform up to 32 KiB, one in 64 up to 1
 * MiB; every block keeps its contents.
 */
static inline void exercise(uint32_t seed, int rounds)
{
    enum { BLOCKS = 64 };
    unsigned char *blocks[BLOCKS] = {0};
    size_t sizes[BLOCKS] = {0};
    for (int round = 0; round < rounds; round++) {
        uint32_t number = draw(&seed), slot = (number >> 8) % BLOCKS;
        size_t size = draw(&seed) >> (number % 64 == 0 ? 12 : 17 + number % 15);
        if (!blocks[slot]) {
            blocks[slot] = malloc(size);
        } else if (number & 0x80) {
            CHECK(is_filled(blocks[slot], sizes[slot], slot));
            size_t kept = size < sizes[slot] ? size : sizes[slot];
            blocks[slot] = realloc(blocks[slot], size + 1);
            CHECK(blocks[slot] && is_filled(blocks[slot], kept, slot));
        } else {
            CHECK(is_filled(blocks[slot], sizes[slot], slot));
            free(blocks[slot]);
            blocks[slot] = NULL;
            continue;
        }
        CHECK(blocks[slot] && is_aligned(blocks[slot], 16));
        sizes[slot] = size;
        fill(blocks[slot], size, slot);
    }
    for (int slot = 0; slot < BLOCKS; slot++) {
        CHECK(is_filled(blocks[slot], blocks[slot] ? sizes[slot] : 0, slot));
        free(blocks[slot]);
    }
}

#endif

/*
 * All ways by which memory goes back to the system: blocks that wait, blocks that grow and shrink
 * with mappings of their own, aligned ones, spikes of small ones, trimming. Every block keeps its
 * contents meanwhile. With an argument, a block is freed twice in the end, and must still wait.
 */
#include "../check.h"

#include <malloc.h>
#include <stdint.h>
#include <unistd.h>

enum { BLOCKS = 48 };

static unsigned char *blocks[BLOCKS];
static size_t sizes[BLOCKS];

static void drop(int slot)
{
    CHECK(is_filled(blocks[slot], blocks[slot] ? sizes[slot] : 0, slot));
    free(blocks[slot]);
    blocks[slot] = NULL;
}

static void large(uint32_t *seed)
{
    int slot = draw(seed) % BLOCKS;
    size_t size = 1000 + draw(seed) % (6u << 20) / (1 + draw(seed) % 64);
    if (blocks[slot] && draw(seed) % 4 == 0)
        drop(slot);
    if (!blocks[slot] && draw(seed) % 3 == 0) {
        CHECK(posix_memalign((void **)&blocks[slot], 1u << (4 + draw(seed) % 15), size) == 0);
    } else {
        size_t kept = !blocks[slot] ? 0 : sizes[slot] < size ? sizes[slot] : size;
        unsigned char *block = realloc(blocks[slot], size);
        CHECK(block && is_filled(block, kept, slot));
        blocks[slot] = block;
    }
    sizes[slot] = size;
    CHECK(malloc_usable_size(blocks[slot]) >= size);
    fill(blocks[slot], size, slot);
    unsigned char *zero = calloc(1, size);
    for (size_t place = 0; place < size; place += 97)
        CHECK(zero[place] == 0);
    memset(zero, 1, size);
    free(zero);
}

int main(int count, char **arguments)
{
    (void)arguments;
    uint32_t seed = 1;
    static void *small[20000];
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 40; i++)
            large(&seed);
        for (int i = 0; i < 20000; i++)
            CHECK((small[i] = malloc(16 + (size_t)(i % 300))) != NULL);
        for (int i = 0; i < 20000; i++)
            free(small[i]);
        exercise(seed, 3000);
        for (int i = 0; i < 60000; i++)
            free(opaque(malloc(16 + (size_t)(i % 7) * 16)));
        malloc_trim(0);
        for (int slot = 0; slot < BLOCKS; slot++)
            CHECK(is_filled(blocks[slot], blocks[slot] ? sizes[slot] : 0, slot));
        void *page = valloc(10);
        CHECK((uintptr_t)page % (size_t)sysconf(_SC_PAGESIZE) == 0);
        free(page);
    }
    for (int slot = 0; slot < BLOCKS; slot++)
        drop(slot);
    if (count > 1) {
        void *block = opaque(malloc(64));
        free(block);
        for (int i = 0; i < 2000; i++)
            CHECK((small[i] = opaque(malloc(64))) != block);
        for (int i = 0; i < 2000; i++)
            free(small[i]);
        free(block);
    }
    puts("right");
    return 0;
}

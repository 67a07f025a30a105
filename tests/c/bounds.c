/*
 * Bounds on the memory that stays, on the work of one call, and on the time until a misuse is told:
 * one act for each, named by the argument. The test judges the numbers.
 */
#include "check.h"

#include <malloc.h>
#include <stdint.h>
#include <unistd.h>

static void **table(size_t count)
{
    void **blocks = calloc(count, sizeof *blocks);
    CHECK(blocks != NULL);
    return blocks;
}

static long resident(void)
{
    long all, pages;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &all, &pages) == 2);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* One block in 200 stays: the bytes that stay after a trim, and those of pages that must. */
static void between(void)
{
    enum { SIZE = 304, COUNT = (64 << 20) / SIZE, KEPT = 200 };
    void **blocks = table(COUNT);
    memset(blocks, 1, COUNT * sizeof *blocks);
    long before = resident(), pages = 0;
    for (int i = 0; i < COUNT; i++)
        memset(blocks[i] = malloc(SIZE), 1, SIZE);
    uintptr_t last = 0;
    for (int i = 0; i < COUNT; i++) {
        if (i % KEPT != 0) {
            free(blocks[i]);
            continue;
        }
        uintptr_t first = (uintptr_t)blocks[i] / 4096, end = ((uintptr_t)blocks[i] + SIZE - 1) / 4096;
        pages += (first != last) + (end != first);
        last = end;
    }
    malloc_trim(0);
    printf("%ld %ld\n", resident() - before, pages * 4096);
    for (int i = 0; i < COUNT; i += KEPT)
        CHECK(*(unsigned char *)blocks[i] == 1 && ((unsigned char *)blocks[i])[SIZE - 1] == 1);
}

static const struct {
    const char *name;
    void (*run)(void);
} acts[] = {
    {"between", between},
};

int main(int count, char **arguments)
{
    CHECK(count == 2);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (strcmp(arguments[1], acts[i].name) == 0) {
            acts[i].run();
            return 0;
        }
    return 2;
}

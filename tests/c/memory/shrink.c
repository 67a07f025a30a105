/*
 * `shrink FROM TO HOW`: 200 MiB of blocks of FROM bytes, "grown" from small ones or allocated, are
 * made blocks of TO bytes, which keep their contents. The memory behind them must have gone back.
 */
#include "../check.h"

static long resident(void)
{
    long all, pages;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm && fscanf(statm, "%ld %ld", &all, &pages) == 2);
    fclose(statm);
    return pages * 4096;
}

int main(int count, char **arguments)
{
    CHECK(count == 4);
    size_t from = strtoul(arguments[1], NULL, 10), to = strtoul(arguments[2], NULL, 10);
    int grown = strcmp(arguments[3], "grown") == 0;
    size_t blocks = (200u << 20) / from;
    unsigned char **block = calloc(blocks, sizeof *block);
    long before = resident();
    for (size_t i = 0; i < blocks; i++) {
        block[i] = malloc(grown ? 100 : from);
        for (size_t size = 200; grown && size < from; size *= 2)
            CHECK((block[i] = realloc(block[i], size)));
        block[i] = realloc(block[i], from);
        fill(block[i], from, (uint32_t)i);
    }
    CHECK(resident() - before > (long)(blocks * from) / 10 * 9);
    for (size_t i = 0; i < blocks; i++)
        CHECK((block[i] = realloc(block[i], to)) && is_filled(block[i], to, (uint32_t)i));
    long bound = (long)(blocks * to) / 8 * 9 + (long)blocks * 8192 + (40 << 20);
    if (resident() - before > bound)
        printf("%ld MiB, %ld are allowed\n", (resident() - before) >> 20, bound >> 20);
    /* What went is there again. */
    for (size_t i = 0; i < blocks; i++) {
        CHECK((block[i] = realloc(block[i], from)) && is_filled(block[i], to, (uint32_t)i));
        fill(block[i], from, (uint32_t)i);
    }
    for (size_t i = 0; i < blocks; i++) {
        CHECK(is_filled(block[i], from, (uint32_t)i));
        free(block[i]);
    }
    puts("right");
    return 0;
}

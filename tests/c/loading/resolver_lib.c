/*
 * An indirect function whose resolver allocates: the loader calls it while it relocates, perhaps
 * before the allocator. Its blocks live on.
 */
#include <stdlib.h>
#include <string.h>

void *kept[4];

static int plain(int number)
{
    return number + 1;
}

static int (*resolve(void))(int)
{
    char *block = malloc(100), *zero = calloc(10, 30), *grown = realloc(NULL, 50);
    void *aligned = NULL;
    if (!block || !zero || !grown || posix_memalign(&aligned, 256, 1000) != 0)
        return NULL;
    for (int i = 0; i < 300; i++)
        if (zero[i])
            return NULL;
    for (int i = 0; i < 50; i++)
        grown[i] = (char)i;
    grown = realloc(grown, 5000);
    for (int i = 0; i < 50; i++)
        if (grown[i] != i)
            return NULL;
    free(block);
    free(NULL);
    kept[0] = zero;
    kept[1] = grown;
    kept[2] = aligned;
    kept[3] = malloc(40000);
    return plain;
}

int work(int) __attribute__((ifunc("resolve")));

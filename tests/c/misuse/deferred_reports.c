/*
 * Frees as many blocks as the first argument says, and writes into each afterwards: under a
 * quarantine that has room for all of them, each is a report at the exit.
 */
#include "../check.h"

int main(int count, char **arguments)
{
    CHECK(count == 2);
    size_t blocks = strtoul(arguments[1], NULL, 10);
    unsigned char **block = malloc(blocks * sizeof *block);
    CHECK(block);
    for (size_t i = 0; i < blocks; i++)
        CHECK((block[i] = malloc(64)));
    for (size_t i = 0; i < blocks; i++)
        free(block[i]);
    for (size_t i = 0; i < blocks; i++)
        *(unsigned char *)opaque(block[i] + i % 64) = 1;
    puts("wrote");
    return 0;
}

/*
 * Becomes a daemon: whoever waits for the end of the stderr that it was started with must see it
 * at once. The daemon lives until its parent's reader says, by closing the pipe on its stdin.
 */
#define _GNU_SOURCE
#include "../check.h"

int main(void)
{
    free(opaque(malloc(1)));
    int leash = dup(STDIN_FILENO);
    CHECK(leash >= 0);
    CHECK(daemon(0, 0) == 0);
    free(opaque(malloc(1)));
    char byte;
    return read(leash, &byte, 1) == 0 ? 0 : 1;
}

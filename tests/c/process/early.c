/*
 * Allocates before anything else of the program runs, and before the C library knows the
 * environment; then frees a block twice, behind 1,024 others, which only a quarantine finds.
 * Afterwards it says "went on".
 */
#include "../check.h"

static void before_everything(void)
{
    free(opaque(malloc(10)));
}

__attribute__((section(".preinit_array"), used))
static void (*const early)(void) = before_everything;

int main(void)
{
    free_twice_behind_others();
    puts("went on");
    return 0;
}

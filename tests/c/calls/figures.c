/* Asks for the table on stderr, as programs do that were written for another allocator. */
#include <drystone.h>

int main(void)
{
    void *block = malloc(100);
    malloc_stats();
    free(block);
    return !block;
}

/* Uses the indirect function, and the blocks that its resolver has left. */
#include "../check.h"

#include <malloc.h>

extern int work(int);
extern void *kept[4];

int main(void)
{
    free(opaque(malloc(10)));
    CHECK(work(41) == 42);
    CHECK(malloc_usable_size(kept[1]) >= 5000);
    char *grown = realloc(kept[1], 100000);
    for (int i = 0; i < 50; i++)
        CHECK(grown[i] == i);
    CHECK(is_aligned(kept[2], 256));
    free(kept[0]);
    free(grown);
    free(kept[2]);
    free(kept[3]);
    exercise(1, 10000);
    puts("right");
    return 0;
}

/* Works in what address space there is: nothing here is large, and all of it must be granted. */
#include "../check.h"

#include <pthread.h>
#include <drystone.h>

static void *working(void *seed)
{
    exercise((uint32_t)(uintptr_t)seed, 20000);
    return NULL;
}

int main(void)
{
    pthread_t thread[3];
    for (uintptr_t i = 0; i < 3; i++)
        CHECK(pthread_create(&thread[i], NULL, working, (void *)(i + 1)) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    enum { BLOCKS = 200 };
    void *blocks[BLOCKS];
    for (int round = 0; round < 5; round++) {
        /* 200 MiB of small blocks, then of large ones: the memory of each must serve the other. */
        for (int i = 0; i < BLOCKS; i++) {
            CHECK((blocks[i] = malloc(round % 2 ? 1 << 20 : 1000000)));
            fill(blocks[i], 5000, i);
        }
        for (int i = 0; i < BLOCKS; i++) {
            CHECK(is_filled(blocks[i], 5000, i));
            free(blocks[i]);
        }
        void *huge = malloc((size_t)200 << 20);
        CHECK(huge);
        free(huge);
    }
    puts("all granted");
    return 0;
}

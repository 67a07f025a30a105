/*
 * Threads whose ends are long: destructors of thread-specific data that allocate, resize and free,
 * round after round, after the allocator's own has run; and blocks that outlive their threads,
 * freed by one that was there before them.
 */
#include "../check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <drystone.h>

enum { THREADS = 2000, ROUNDS = 4, KEYS = 3 };

static pthread_key_t keys[KEYS];
static atomic_ulong rounds;
static void *_Atomic left[KEYS];

/* A value counts the rounds that are left, in a block. */
static void at_end(void *value)
{
    int *counter = value;
    int key = counter[1];
    rounds++;
    exercise((uint32_t)counter[0] * 7 + (uint32_t)key + 1, 40);
    /* A block for the next thread's destructors, which free this one's. */
    free(atomic_exchange(&left[key], malloc(100 + 1000 * (size_t)key)));
    if (--counter[0] == 0) {
        free(counter);
        return;
    }
    counter = realloc(counter, 64 * (size_t)counter[0] + 8);
    CHECK(counter);
    CHECK(pthread_setspecific(keys[key], counter) == 0);
}

static void *working(void *number)
{
    for (int key = 0; key < KEYS; key++) {
        int *counter = malloc(2 * sizeof *counter);
        CHECK(counter);
        counter[0] = ROUNDS - 1;
        counter[1] = key;
        CHECK(pthread_setspecific(keys[key], counter) == 0);
    }
    exercise((uint32_t)(uintptr_t)number + 1, 100);
    void *block = malloc(5000);
    fill(block, 5000, (unsigned)(uintptr_t)number);
    return block;
}

int main(void)
{
    alarm(100);
    for (int key = 0; key < KEYS; key++)
        CHECK(pthread_key_create(&keys[key], at_end) == 0);
    for (uintptr_t i = 0; i < THREADS; i += 4) {
        pthread_t thread[4];
        for (uintptr_t k = 0; k < 4; k++)
            CHECK(pthread_create(&thread[k], NULL, working, (void *)(i + k)) == 0);
        for (uintptr_t k = 0; k < 4; k++) {
            void *block;
            CHECK(pthread_join(thread[k], &block) == 0);
            CHECK(is_filled(block, 5000, (unsigned)(i + k)));
            free(block);
        }
    }
    for (int key = 0; key < KEYS; key++)
        free(left[key]);
    CHECK(rounds == (unsigned long)THREADS * KEYS * (ROUNDS - 1));
    printf("%d threads ended in %d rounds\n", THREADS, ROUNDS - 1);
    return 0;
}

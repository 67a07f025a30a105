/*
 * A thread's end in which a key's destructor, made before or after the allocator's own, frees all
 * that the thread had: prints how often the allocator took its lock for that.
 */
#include "../check.h"

#include <pthread.h>
#include <drystone.h>

enum { BLOCKS = 100000 };

static pthread_key_t key;
static long before, after;

static long locked(void)
{
    static char text[DRYSTONE_STATS_BYTES];
    CHECK(drystone_stats(text, sizeof text) < sizeof text);
    const char *figure = strstr(text, "\"locked\":");
    CHECK(figure);
    return atol(figure + 9);
}

static void freeing(void *value)
{
    void **block = value;
    before = locked();
    for (int i = 0; i < BLOCKS; i++)
        free(block[i]);
    after = locked();
    free(block);
}

static void *working(void *unused)
{
    (void)unused;
    void **block = malloc(BLOCKS * sizeof *block);
    CHECK(block);
    for (int i = 0; i < BLOCKS; i++)
        CHECK((block[i] = malloc(64)));
    CHECK(pthread_setspecific(key, block) == 0);
    return NULL;
}

int main(void)
{
    CHECK(pthread_key_create(&key, freeing) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, working, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    printf("%ld\n", after - before);
    return 0;
}

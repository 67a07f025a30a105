/*
 * Mistakes that only a quarantine finds. Each is named on the command line; afterwards the program
 * says "went on".
 */
#include "../check.h"

#include <pthread.h>
#include <drystone.h>

static void delayed_huge(void)
{
    void *block = opaque(malloc(4 << 20));
    free(block);
    CHECK(opaque(malloc(4 << 20)) != block);
    free(block);
}

/* The address that was written to stands in the line: it is printed here. */
static void written(size_t size, size_t place)
{
    char *block = opaque(malloc(size));
    free(block);
    printf("%p\n", (void *)(block + place));
    fflush(stdout);
    *(volatile char *)(block + place) = 1;
}

static void written_after_free(void) { written(100, 37); }
static void written_after_free_in_huge(void) { written(4 << 20, 1234567); }

static void written_after_realloc(void)
{
    char *block = opaque(malloc(100)), *moved = opaque(realloc(block, 5000));
    CHECK(moved && moved != block);
    printf("%p\n", (void *)(block + 3));
    fflush(stdout);
    *(volatile char *)(block + 3) = 1;
    free(moved);
}

static void resized_after_free(void)
{
    void *block = opaque(malloc(3 << 20));
    free(block);
    errno = 0;
    CHECK(realloc(block, hidden(2 << 20)) == NULL && errno == EINVAL);
}

static void *freeing(void *block)
{
    free(block);
    return NULL;
}

static void by_two_threads(void)
{
    pthread_t thread;
    void *block = opaque(malloc(100));
    CHECK(pthread_create(&thread, NULL, freeing, block) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    for (int i = 0; i < 1024; i++)
        free(opaque(malloc(100)));
    free(block);
}

/* First in, first out, within the limit: what was freed before the limit's worth of others is
 * allocated again; what was freed since is not. */
static void bounded(void)
{
    enum { SIZE = 1024, LIMIT = 1 << 20 };
    void *block = opaque(malloc(SIZE));
    free(block);
    int again = 0, at = 0;
    for (int i = 0; i < 2 * LIMIT / SIZE && !again; i++) {
        void *other = opaque(malloc(SIZE));
        again = other == block;
        at = i;
        free(other);
    }
    /* Each has a place of 16 bytes, which counts. */
    CHECK(again && at >= LIMIT / (SIZE + 16) - 1);
}

static void correct(void)
{
    exercise(1, 20000);
}

static const struct {
    const char *name;
    void (*run)(void);
} CASES[] = {
    {"delayed", free_twice_behind_others},
    {"delayed_huge", delayed_huge},
    {"written_after_free", written_after_free},
    {"written_after_free_in_huge", written_after_free_in_huge},
    {"written_after_realloc", written_after_realloc},
    {"resized_after_free", resized_after_free},
    {"by_two_threads", by_two_threads},
    {"bounded", bounded},
    {"correct", correct},
};

int main(int count, char **arguments)
{
    CHECK(count == 2);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (strcmp(arguments[1], CASES[i].name) == 0) {
            CASES[i].run();
            puts("went on");
            return 0;
        }
    return 2;
}

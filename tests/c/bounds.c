/*
 * Bounds on the memory that stays, on the work of one call, and on the time until a misuse is told:
 * one act for each, named by the argument. The test judges the numbers.
 */
#define _GNU_SOURCE
#include "check.h"

#include <drystone.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void **table(size_t count)
{
    void **blocks = calloc(count, sizeof *blocks);
    CHECK(blocks != NULL);
    return blocks;
}

static long resident(void)
{
    long all, pages;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &all, &pages) == 2);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* One block in 200 stays: the bytes that stay after a trim, and those of pages that must. */
static void between(void)
{
    enum { SIZE = 304, COUNT = (64 << 20) / SIZE, KEPT = 200 };
    void **blocks = table(COUNT);
    memset(blocks, 1, COUNT * sizeof *blocks);
    long before = resident(), pages = 0;
    for (int i = 0; i < COUNT; i++)
        memset(blocks[i] = malloc(SIZE), 1, SIZE);
    uintptr_t last = 0;
    for (int i = 0; i < COUNT; i++) {
        if (i % KEPT != 0) {
            free(blocks[i]);
            continue;
        }
        uintptr_t place = (uintptr_t)blocks[i];
        uintptr_t first = place / 4096, end = (place + SIZE - 1) / 4096;
        pages += (first != last) + (end != first);
        last = end;
    }
    malloc_trim(0);
    printf("%ld %ld\n", resident() - before, pages * 4096);
    for (int i = 0; i < COUNT; i += KEPT)
        CHECK(*(unsigned char *)blocks[i] == 1 && ((unsigned char *)blocks[i])[SIZE - 1] == 1);
}

/* How often the span lock was taken. */
static long locked(void)
{
    static char figures[32768];
    size_t (*stats)(char *, size_t) = drystone_stats;
    CHECK(stats(figures, sizeof figures) < sizeof figures);
    const char *place = strstr(figures, "\"locked\":");
    CHECK(place != NULL);
    return atol(place + 9);
}

static void pause_for(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

enum { MANY = 600000 };
static void **blocks_of_one;

static void *leave_many(void *unused)
{
    for (int i = 0; i < MANY; i++)
        CHECK((blocks_of_one[i] = malloc(64)) != NULL);
    return unused;
}

/*
 * A thread leaves three hundred slabs. The most takings of the lock by one of the calls after that,
 * in which all of them are abandoned.
 */
static void innocent(void)
{
    blocks_of_one = table(MANY);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, leave_many, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pause_for(400);
    long most = 0, before = locked(), own = locked() - before;
    for (int i = 0; i < 150; i++) {
        before = locked();
        if (i % 3 == 0)
            free(blocks_of_one[i * 1000]);
        else
            blocks_of_one[i * 1000] = malloc(i % 3 == 1 ? 64 : 16 + (size_t)i % 900 * 30);
        long takings = locked() - before - own;
        most = takings > most ? takings : most;
    }
    printf("%ld\n", most);
}

static sem_t never;
enum { WORKERS = 5, SPIKE = 400000 };
static void **spike;
static sem_t go[WORKERS], gone;

static void *free_all(void *number)
{
    sem_wait(&go[(intptr_t)number]);
    for (int i = 0; i < SPIKE; i++)
        free(spike[i]);
    sem_post(&gone);
    sem_wait(&never);
    return number;
}

/* Workers free all of a spike, one each, and then wait for ever: what is resident after each. */
static void last_freers(void)
{
    spike = table(SPIKE);
    CHECK(sem_init(&gone, 0, 0) == 0 && sem_init(&never, 0, 0) == 0);
    for (intptr_t i = 0; i < WORKERS; i++) {
        pthread_t thread;
        CHECK(sem_init(&go[i], 0, 0) == 0);
        CHECK(pthread_create(&thread, NULL, free_all, (void *)i) == 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        for (int k = 0; k < SPIKE; k++)
            CHECK((spike[k] = malloc(16)) != NULL);
        sem_post(&go[i]);
        sem_wait(&gone);
        for (int round = 0; round < 3; round++) {
            pause_for(300);
            void *some[4000];
            for (int k = 0; k < 4000; k++)
                some[k] = malloc(32 + (size_t)(k % 100) * 160);
            for (int k = 0; k < 4000; k++)
                free(some[k]);
        }
        printf("%ld\n", resident());
    }
    fflush(stdout);
    _exit(0);
}

/*
 * A process that may lock 8 MiB, locks all that it has and will have, and still allocates half a
 * MiB. -1 where it is not allowed to be such a process.
 */
static void lock_all(void)
{
    struct rlimit limit = {8 << 20, 8 << 20};
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
        puts("-1");
        return;
    }
    CHECK(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
    long bytes = 0;
    static const size_t sizes[] = {16, 40, 100, 200, 500, 1000, 4000};
    for (int i = 0; bytes < 512 << 10; i++) {
        size_t size = sizes[i % (sizeof sizes / sizeof *sizes)];
        void *block = malloc(size);
        CHECK(block != NULL);
        memset(block, 1, size);
        bytes += (long)size;
    }
    printf("%ld\n", bytes);
}

/* Two threads free each of these at once, and a third has allocated them. */
enum { RACED = 4000 };
static void *raced[RACED];
static _Atomic int arrived;

static void *race(void *unused)
{
    for (int i = 0; i < RACED; i++) {
        arrived++;
        for (int looks = 1; arrived < 2 * (i + 1); looks++)
            if (looks % 10000 == 0)
                sched_yield();
        free(raced[i]);
    }
    return unused;
}

static sem_t filled;

static void *fill_and(void *waits)
{
    for (int i = 0; i < RACED; i++)
        CHECK((raced[i] = malloc(48)) != NULL);
    sem_post(&filled);
    while (waits)
        sem_wait(&never);
    return NULL;
}

/* All races. The owner waits for ever, or has exited `before` milliseconds before. */
static void run_races(int waits, long before)
{
    pthread_t owner, racer[2];
    CHECK(sem_init(&filled, 0, 0) == 0 && sem_init(&never, 0, 0) == 0);
    CHECK(pthread_create(&owner, NULL, fill_and, waits ? &never : NULL) == 0);
    CHECK(waits ? sem_wait(&filled) == 0 : pthread_join(owner, NULL) == 0);
    pause_for(before);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&racer[i], NULL, race, NULL) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(racer[i], NULL) == 0);
}

/* Something happens in the process for a second; then it ends, and nobody is asked. */
static void act_and_vanish(void)
{
    for (int i = 0; i < 100; i++) {
        pause_for(10);
        void *some[8];
        for (int k = 0; k < 8; k++)
            some[k] = malloc(4000 + (size_t)i * 16);
        for (int k = 0; k < 8; k++)
            free(some[k]);
    }
    syscall(SYS_exit_group, 0);
}

static void deferred_parked(void)
{
    run_races(0, 0);
    act_and_vanish();
}

static void deferred_abandoned(void)
{
    run_races(0, 400);
    act_and_vanish();
}

static void deferred_waiting(void)
{
    run_races(1, 0);
    act_and_vanish();
}

static void deferred_leaves(void)
{
    run_races(1, 0);
    _exit(0);
}

static void deferred_leaves_quickly(void)
{
    run_races(0, 0);
    quick_exit(0);
}

/* Threads that never allocate, and free what they were given by a key's destructor. */
static pthread_key_t heirloom;

static void *inherit(void *block)
{
    CHECK(pthread_setspecific(heirloom, block) == 0);
    return NULL;
}

static void heirs(void)
{
    CHECK(pthread_key_create(&heirloom, free) == 0);
    long begun = 0;
    for (int i = 0; i < 4000; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, inherit, malloc(100)) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        if (i == 99)
            begun = resident();
    }
    printf("%ld\n", resident() - begun);
}

static const struct {
    const char *name;
    void (*run)(void);
} acts[] = {
    {"between", between},
    {"last_freers", last_freers},
    {"heirs", heirs},
    {"innocent", innocent},
    {"lock_all", lock_all},
    {"deferred_abandoned", deferred_abandoned},
    {"deferred_leaves", deferred_leaves},
    {"deferred_leaves_quickly", deferred_leaves_quickly},
    {"deferred_parked", deferred_parked},
    {"deferred_waiting", deferred_waiting},
};

int main(int count, char **arguments)
{
    CHECK(count == 2);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (strcmp(arguments[1], acts[i].name) == 0) {
            acts[i].run();
            return 0;
        }
    return 2;
}

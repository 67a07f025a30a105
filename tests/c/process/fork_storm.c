/*
 * Two threads fork while three others allocate: each child allocates, frees what its parent's
 * threads had allocated, those that fork and those that do not exist any more, and exits. A child
 * that finds the heap locked or in mid-change hangs, crashes or sees its blocks changed; an alarm
 * ends it, and the program says which it was.
 */
#include "../check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <drystone.h>

enum { FORKS = 1000, WORKERS = 3, KEPT = 40 };

static atomic_bool over;
static atomic_ulong rounds;
/* Blocks of the workers that stay live, of all sizes. */
static void *kept[WORKERS][KEPT];
static atomic_int ready;

static size_t size_of_kept(int number)
{
    return (size_t)16 << number % 18;
}

static void *allocating(void *seed)
{
    uint32_t state = (uint32_t)(uintptr_t)seed;
    void **mine = kept[state - 1];
    for (int i = 0; i < KEPT; i++) {
        CHECK((mine[i] = malloc(size_of_kept(i))));
        fill(mine[i], size_of_kept(i), i);
    }
    ready++;
    while (!over) {
        exercise(draw(&state), 200);
        rounds++;
    }
    return NULL;
}

static void in_the_child(uint32_t seed, void *inherited)
{
    alarm(60);
    if (!is_filled(inherited, 3000, 4))
        _exit(3);
    free(inherited);
    exercise(seed, 100);
    for (int worker = 0; worker < WORKERS; worker++)
        for (int i = seed % 3; i < KEPT; i += 3) {
            if (!is_filled(kept[worker][i], size_of_kept(i), i))
                _exit(4);
            free(kept[worker][i]);
        }
    exercise(seed, 100);
    /* Half of them the long way: atexit functions, destructors, the library's own end. */
    if (seed % 2)
        exit(0);
    _exit(0);
}

static void *forking(void *seed)
{
    for (uint32_t i = 1; i <= FORKS; i++) {
        void *block = malloc(3000);
        CHECK(block);
        fill(block, 3000, 4);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            in_the_child(i * 2654435761u + (uint32_t)(uintptr_t)seed, block);
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        if (status != 0) {
            fprintf(stderr, "child %u ended by %s %d\n", i, WIFSIGNALED(status) ? "signal" : "exit",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            exit(1);
        }
        CHECK(is_filled(block, 3000, 4));
        free(block);
    }
    return NULL;
}

int main(void)
{
    pthread_t worker[WORKERS], forker[2];
    alarm(500);
    for (uintptr_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&worker[i], NULL, allocating, (void *)(i + 1)) == 0);
    while (ready < WORKERS)
        usleep(1000);
    for (uintptr_t i = 0; i < 2; i++)
        CHECK(pthread_create(&forker[i], NULL, forking, (void *)i) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(forker[i], NULL) == 0);
    over = 1;
    for (int i = 0; i < WORKERS; i++)
        CHECK(pthread_join(worker[i], NULL) == 0);
    printf("%d forks, workers %s\n", 2 * FORKS, rounds > WORKERS ? "at work" : "idle");
    return 0;
}

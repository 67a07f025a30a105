/*
 * Forks while the other threads stand still at whatever instruction a signal found them: in and out
 * of the allocator's critical sections, on their way through lists, with blocks half moved. Each
 * child must find what it had, allocate and free of all sizes, and end with a sound heap; the
 * parent goes on.
 */
#include "../check.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { WORKERS = 2, KEPT = 48 };

static pthread_t worker[WORKERS];
static atomic_int standing, let_go;
static atomic_bool over;
/* Blocks that stay live, of sizes up to 4 MiB. */
static void *kept[WORKERS + 1][KEPT];
static atomic_int ready;

static size_t size_of_kept(int number)
{
    return (size_t)24 << number % 18;
}

static void keep(int whose)
{
    for (int i = 0; i < KEPT; i++) {
        CHECK((kept[whose][i] = malloc(size_of_kept(i))));
        fill(kept[whose][i], size_of_kept(i) < 5000 ? size_of_kept(i) : 5000, whose + i);
    }
}

static int is_kept(int whose, int i)
{
    size_t size = size_of_kept(i);
    return is_filled(kept[whose][i], size < 5000 ? size : 5000, whose + i);
}

static void stand(int signal)
{
    (void)signal;
    int mine = let_go;
    standing++;
    while (let_go == mine)
        sched_yield();
}

/*
 * Spans, mappings that are kept and go back, blocks that grow, and memory that goes back under the
 * lock: a signal that comes during a call of the kernel's is served right behind it.
 */
static void churn(uint32_t *state)
{
    enum { BLOCKS = 24 };
    static _Thread_local unsigned char *block[BLOCKS];
    for (int i = 0; i < 40; i++) {
        int slot = draw(state) % BLOCKS;
        size_t size = (size_t)20000 << draw(state) % 8;
        if (draw(state) % 3 == 0 && block[slot]) {
            block[slot] = realloc(block[slot], size);
        } else {
            free(block[slot]);
            block[slot] = malloc(size);
        }
        CHECK(block[slot]);
        block[slot][0] = block[slot][size - 1] = 1;
        if (i % 2)
            malloc_trim(0);
    }
}

static void *short_lived(void *block)
{
    free(block);
    return malloc(700);
}

static void *working(void *number)
{
    uint32_t state = (uint32_t)(uintptr_t)number + 1;
    keep((int)(uintptr_t)number);
    ready++;
    while (!over) {
        churn(&state);
        /* Heaps that are parked, and taken up. */
        if (draw(&state) % 8 == 0) {
            pthread_t thread;
            void *left;
            CHECK(pthread_create(&thread, NULL, short_lived, malloc(700)) == 0);
            CHECK(pthread_join(thread, &left) == 0);
            free(left);
        }
    }
    return NULL;
}

static void *in_a_thread(void *seed)
{
    exercise((uint32_t)(uintptr_t)seed, 300);
    return NULL;
}

static void in_the_child(uint32_t seed)
{
    alarm(60);
    for (int i = 0; i < KEPT; i++) {
        for (int whose = 0; whose <= WORKERS; whose++)
            if (!is_kept(whose, i))
                _exit(3);
        if (i % 2)
            free(kept[i % (WORKERS + 1)][i]);
    }
    for (int i = 0; i < 10; i++)
        churn(&seed);
    exercise(seed, 300);
    pthread_t thread;
    if (pthread_create(&thread, NULL, in_a_thread, (void *)(uintptr_t)(seed | 1)) != 0)
        _exit(4);
    pthread_join(thread, NULL);
    /* Fresh memory is zero, whatever the parent's threads had half given back. */
    for (size_t size = 100000; size < 5000000; size *= 2) {
        unsigned char *block = calloc(1, size);
        for (size_t place = 0; place < size; place++)
            if (block[place])
                _exit(5);
        free(block);
    }
    exit(0);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    int forks = atoi(arguments[1]);
    struct sigaction action = {.sa_handler = stand, .sa_flags = SA_RESTART};
    alarm(500);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    keep(WORKERS);
    for (uintptr_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&worker[i], NULL, working, (void *)i) == 0);
    while (ready < WORKERS)
        sched_yield();
    for (int i = 1; i <= forks; i++) {
        standing = 0;
        for (int k = 0; k < WORKERS; k++)
            CHECK(pthread_kill(worker[k], SIGUSR1) == 0);
        /* Nothing here allocates: one that stands may have the allocator's lock. */
        while (standing < WORKERS)
            sched_yield();
        pid_t child = fork();
        if (child == 0)
            in_the_child((uint32_t)i * 2654435761u | 1);
        let_go++;
        int status;
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        if (status != 0) {
            fprintf(stderr, "child %d ended by %s %d\n", i, WIFSIGNALED(status) ? "signal" : "exit",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            _exit(1);
        }
        exercise((uint32_t)i, 20);
    }
    over = 1;
    for (int k = 0; k < WORKERS; k++)
        CHECK(pthread_join(worker[k], NULL) == 0);
    printf("%d forks\n", forks);
    return 0;
}

/*
 * A program with fork handlers of its own, which allocate, and which take a lock under which its
 * other threads allocate. The allocator's handlers must be the last to lock and the first to
 * unlock, or the two wait for each other; and while they hold its lock, the forking thread must
 * still get through.
 */
#include "../check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <drystone.h>

enum { FORKS = 200, WORKERS = 3 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool over;
static void *kept[3];
static atomic_int calls[3];

static void allocate(int which)
{
    free(kept[which]);
    CHECK((kept[which] = malloc(500 + 100 * which)));
    fill(kept[which], 500, which);
    calls[which]++;
}

static void prepare(void)
{
    pthread_mutex_lock(&lock);
    allocate(0);
}

static void parent(void)
{
    allocate(1);
    pthread_mutex_unlock(&lock);
}

static void child(void)
{
    allocate(2);
    pthread_mutex_unlock(&lock);
}

/* Registered before the program has allocated anything. */
__attribute__((constructor)) static void before_main(void)
{
    CHECK(pthread_atfork(prepare, parent, child) == 0);
}

static void *allocating(void *seed)
{
    uint32_t state = (uint32_t)(uintptr_t)seed;
    while (!over) {
        pthread_mutex_lock(&lock);
        exercise(draw(&state), 10);
        pthread_mutex_unlock(&lock);
        sched_yield(); /* glibc's mutex is not fair: without it, the fork waits for ages */
    }
    return NULL;
}

int main(void)
{
    pthread_t worker[WORKERS];
    alarm(100);
    for (uintptr_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&worker[i], NULL, allocating, (void *)(i + 1)) == 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t id = fork();
        CHECK(id >= 0);
        if (id == 0) {
            alarm(20);
            exercise((uint32_t)i + 1, 100);
            _exit(is_filled(kept[2], 500, 2) && calls[2] == 1 ? 0 : 3);
        }
        int status;
        CHECK(waitpid(id, &status, 0) == id);
        CHECK(status == 0);
    }
    over = 1;
    for (int i = 0; i < WORKERS; i++)
        CHECK(pthread_join(worker[i], NULL) == 0);
    CHECK(calls[0] == FORKS && calls[1] == FORKS && calls[2] == 0);
    printf("%d forks\n", FORKS);
    return 0;
}

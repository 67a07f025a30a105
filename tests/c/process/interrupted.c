/*
 * A signal handler forks, or ends the process, at whatever the program is at in the allocator. The
 * first argument is the act, the second how often.
 *
 *   fork            one thread; the handler forks, and the child exits at once by _exit
 *   fork_and_return as above; the child goes on with what was interrupted, for a while
 *   exit            children whose handler calls exit, amid allocations of several kinds
 *   exit_others     as above, while another thread allocates, and frees what this one has
 */
#include "../check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>

static const char *act;
static volatile sig_atomic_t forks;
static volatile sig_atomic_t is_child;

/* A timer for one signal: with more, they could come faster than a handler forks. */
static void once(long microseconds)
{
    struct itimerval timer = {{0, 0}, {0, microseconds}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

/* Blocks of slabs, of whole spans and of mappings, and what they hold. */
static void work(uint32_t *state)
{
    enum { BLOCKS = 64 };
    static unsigned char *block[BLOCKS];
    static const size_t sizes[] = {48, 700, 5000, 40000, 300000, 600000, 2 << 20};
    uint32_t slot = draw(state) % BLOCKS;
    size_t size = sizes[draw(state) % 7];
    if (block[slot])
        CHECK(block[slot][0] == slot);
    if (draw(state) % 4 == 0) {
        block[slot] = realloc(block[slot], size);
    } else {
        free(block[slot]);
        block[slot] = malloc(size);
    }
    CHECK(block[slot]);
    block[slot][0] = (unsigned char)slot;
}

static void forking(int signal)
{
    (void)signal;
    pid_t child = fork();
    if (child == 0 && strcmp(act, "fork") == 0)
        _exit(0);
    if (child == 0) {
        is_child = 1;
        return;
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        _exit(3);
    forks++;
    once(1000);
}

static int fork_all(int times)
{
    struct sigaction action = {.sa_handler = forking, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    uint32_t state = 7;
    once(1000);
    while (forks < times && !is_child)
        work(&state);
    if (is_child) {
        for (int i = 0; i < 300; i++)
            work(&state);
        exercise(state, 200);
        exit(0);
    }
    once(0);
    printf("%s forks\n", forks >= times ? "all" : "some");
    return 0;
}

static void exiting(int signal)
{
    (void)signal;
    exit(0);
}

static void *_Atomic handed;

static void *other(void *unused)
{
    (void)unused;
    uint32_t state = 99;
    for (;;) {
        free(atomic_exchange(&handed, NULL));
        free(opaque(malloc(draw(&state) % 60000)));
    }
    return NULL;
}

static void amid(uint32_t seed)
{
    CHECK(signal(SIGALRM, exiting) != SIG_ERR);
    pthread_t thread;
    if (strcmp(act, "exit_others") == 0)
        CHECK(pthread_create(&thread, NULL, other, NULL) == 0);
    once(300 + seed * 37 % 3000);
    for (;;) {
        work(&seed);
        if (strcmp(act, "exit_others") == 0)
            free(atomic_exchange(&handed, malloc(100 + seed % 5000)));
    }
}

static int exit_all(int times)
{
    for (int i = 1; i <= times; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            amid((uint32_t)i);
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        if (status != 0) {
            printf("child %d: status %#x\n", i, status);
            return 1;
        }
    }
    printf("%d exits\n", times);
    return 0;
}

int main(int count, char **arguments)
{
    CHECK(count == 3);
    act = arguments[1];
    int times = atoi(arguments[2]);
    return strncmp(act, "fork", 4) == 0 ? fork_all(times) : exit_all(times);
}

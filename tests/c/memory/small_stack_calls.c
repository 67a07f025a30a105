/*
 * Each call of the allocator that has much to say or to do, by a thread with the smallest stack
 * that there is and by a signal handler on a stack of its own; then exit(3) by such a thread.
 */
#include "../check.h"

#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <drystone.h>

static int last;

static void calls(void)
{
    static char text[DRYSTONE_STATS_BYTES];
    exercise(5, 60);
    malloc_trim(0);
    struct mallinfo2 info = mallinfo2();
    CHECK(info.arena > 0);
    CHECK(drystone_stats(text, sizeof text) > 100);
    malloc_stats();
    void *block = opaque(malloc(100));
    free(block);
    free(opaque(block));
    if (last)
        exit(0);
}

static void *on_a_small_stack(void *unused)
{
    calls();
    return unused;
}

static void handler(int signal)
{
    (void)signal;
    calls();
}

static void in_a_thread(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) == 0);
    CHECK(pthread_create(&thread, &attributes, on_a_small_stack, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(void)
{
    in_a_thread();
    size_t size = (size_t)sysconf(_SC_SIGSTKSZ);
    stack_t stack = {.ss_size = size, .ss_sp = malloc(size)};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(raise(SIGUSR1) == 0);
    last = 1;
    in_a_thread();
    return 1;
}

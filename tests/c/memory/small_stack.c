/*
 * In a thread with the smallest stack that there is: prints the process's and the thread's number,
 * frees a block twice, and ends the process there by exit(3), where figures are given.
 */
#include "../check.h"

#include <limits.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *twice(void *unused)
{
    char line[64];
    int length = snprintf(line, sizeof line, "%d %ld\n", (int)getpid(), syscall(SYS_gettid));
    CHECK(write(STDOUT_FILENO, line, length) == length);
    void *block = opaque(malloc(100));
    free(block);
    free(opaque(block));
    exit(0);
    return unused;
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) == 0);
    CHECK(pthread_create(&thread, &attributes, twice, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return 1;
}

/*
 * A thread whose cancellation is due frees a block twice, and comes back from both: free is no
 * cancellation point, whatever it has to say. Then it ends at one that is. With an argument, stderr
 * is a full pipe when the report comes, a signal interrupts the wait for room, and the reader then
 * counts what arrives.
 */
#include "../check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

static atomic_int came_back;
static int piped;
static int ends[2];
static long filler;

static void ignored(int signal)
{
    (void)signal;
}

static void *doubly(void *unused)
{
    (void)unused;
    CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL) == 0);
    void *block = opaque(malloc(100));
    free(block);
    CHECK(pthread_cancel(pthread_self()) == 0);
    CHECK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL) == 0);
    free(opaque(block));
    came_back = 1;
    pthread_testcancel();
    came_back = 2;
    return NULL;
}

/* Interrupts the thread that writes, then makes room. */
static void drain(pthread_t writer)
{
    struct timespec pause = {0, 50000000};
    for (int i = 0; i < 3; i++) {
        nanosleep(&pause, NULL);
        CHECK(pthread_kill(writer, SIGUSR1) == 0);
    }
    nanosleep(&pause, NULL);
    static char bytes[1 << 17];
    size_t got = 0;
    while (!memchr(bytes + filler, '\n', sizeof bytes - filler)) {
        ssize_t part = read(ends[0], bytes + got, sizeof bytes - got);
        CHECK(part > 0);
        got += (size_t)part;
    }
    CHECK((size_t)filler < got);
    bytes[got] = 0;
    printf("%s", bytes + filler);
}

int main(int count, char **arguments)
{
    (void)arguments;
    alarm(60);
    piped = count > 1;
    if (piped) {
        /* Without SA_RESTART: the write fails with EINTR. */
        struct sigaction action = {.sa_handler = ignored};
        CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
        CHECK(pipe(ends) == 0);
        CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
        while (write(ends[1], "x", 1) == 1)
            filler++;
        CHECK(fcntl(ends[1], F_SETFL, 0) == 0);
        CHECK(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    }
    pthread_t thread;
    void *result;
    CHECK(pthread_create(&thread, NULL, doubly, NULL) == 0);
    if (piped)
        drain(thread);
    CHECK(pthread_join(thread, &result) == 0);
    printf("came back: %d, cancelled: %d\n", came_back, result == PTHREAD_CANCELED);
    return 0;
}

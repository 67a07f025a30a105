/*
 * Forks while another thread flushes all streams, one of which allocates as it writes: that thread
 * has the C library's lock of its list of streams when it asks the allocator for memory, and fork
 * takes that lock after it has called every prepare handler.
 */
#define _GNU_SOURCE
#include "../check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static atomic_bool over;
static atomic_ulong flushes;

static ssize_t writing(void *cookie, const char *bytes, size_t count)
{
    (void)cookie;
    /* A mapping of its own: the allocator's lock is taken each time. */
    char *block = opaque(malloc(2 << 20));
    CHECK(block);
    block[0] = bytes[0];
    free(block);
    return (ssize_t)count;
}

static void *flushing(void *stream)
{
    while (!over) {
        fputs("x", stream);
        fflush(NULL);
        flushes++;
    }
    return NULL;
}

static void *reading(void *unused)
{
    (void)unused;
    while (!over) {
        char *line = NULL;
        size_t room = 0;
        FILE *file = fopen("/proc/self/maps", "r");
        CHECK(file && getline(&line, &room, file) > 0);
        free(line);
        CHECK(fclose(file) == 0);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    alarm(200);
    cookie_io_functions_t functions = {.write = writing};
    FILE *stream = fopencookie(NULL, "w", functions);
    CHECK(stream);
    pthread_t flusher, reader;
    CHECK(pthread_create(&flusher, NULL, flushing, stream) == 0);
    CHECK(pthread_create(&reader, NULL, reading, NULL) == 0);
    int forks = atoi(arguments[1]);
    for (int i = 0; i < forks || flushes < 1000; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            exercise((uint32_t)i + 1, 50);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    over = 1;
    CHECK(pthread_join(flusher, NULL) == 0 && pthread_join(reader, NULL) == 0);
    puts("no deadlock");
    return 0;
}

/* The library that checks load: it allocates in its constructor, in its functions, in memory of its
 * threads that comes and goes with it, and frees in its destructor. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *from_constructor;
/* More than fits beside the static thread-local memory, so that the loader allocates it. */
static __thread char large[1 << 16];
static __thread char *mine;

__attribute__((constructor)) static void start(void) {
    from_constructor = malloc(3000);
    if (from_constructor)
        memset(from_constructor, 0x5a, 3000);
}

__attribute__((destructor)) static void stop(void) { free(from_constructor); }

/* 1 if what the constructor allocated is as it was left. */
int fixture_sound(void) {
    for (int i = 0; i < 3000; i++)
        if (!from_constructor || from_constructor[i] != 0x5a)
            return 0;
    return 1;
}

/* The malloc that this library is bound to. */
void *fixture_malloc_address(void) { return (void *)malloc; }

/* A block that the program frees. */
void *fixture_allocate(size_t size) { return malloc(size); }

/* Uses the calling thread's memory; 1 if it is sound. */
int fixture_in_a_thread(int value) {
    if (!mine)
        mine = malloc(100);
    if (!mine)
        return 0;
    mine[99] = (char)value;
    memset(large, value, sizeof large);
    int sound = large[0] == (char)value && large[sizeof large - 1] == mine[99];
    free(mine);
    mine = NULL;
    return sound;
}

/* The exit status of a program started by vfork and execve; -1 if that fails. */
int fixture_vfork(const char *program) {
    char *const arguments[] = {(char *)program, NULL};
    extern char **environ;
    pid_t process = vfork();
    if (process == 0) {
        execve(program, arguments, environ);
        _exit(127);
    }
    int status;
    if (process < 0)
        return -1;
    while (waitpid(process, &status, 0) != process) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

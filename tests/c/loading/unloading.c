/*
 * Loads the library named by the argument at run time and lets go of it again. Its blocks can still
 * be freed afterwards, and fork, for which it has registered handlers, still works. (A program that
 * links to another malloc keeps that one; only pointers from dlsym reach this one.)
 */
#include "../check.h"

#include <dlfcn.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    alarm(60);
    CHECK(argc == 2);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library);
    void *(*allocate)(size_t) = (void *(*)(size_t))(uintptr_t)dlsym(library, "malloc");
    void (*release)(void *) = (void (*)(void *))(uintptr_t)dlsym(library, "free");
    CHECK(allocate && release);
    void *block = allocate(1000);
    CHECK(block);
    fill(block, 1000, 1);
    CHECK(dlclose(library) == 0);
    CHECK(is_filled(block, 1000, 1));
    release(block);
    release(allocate(100));

    pid_t child = fork();
    if (child == 0)
        _exit(0);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    puts("unloaded");
    return 0;
}

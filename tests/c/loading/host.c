/*
 * A host of plug-ins: `host FILE HOW [NUMBER]`. Each plug-in has `plug_work`, which allocates and
 * frees with an allocator of its own, and gives the sum of the numbers below its argument.
 */
#include "../check.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned long Work(unsigned);

static Work *work;
static sem_t worked, unloaded;

static void *load(const char *file)
{
    void *plugin = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!plugin)
        puts(dlerror());
    CHECK(plugin);
    *(void **)&work = dlsym(plugin, "plug_work");
    CHECK(work && work(1000) == 499500);
    return plugin;
}

/* Uses the plug-in, and ends when it is unloaded. */
static void *worker(void *unused)
{
    CHECK(work(1000) == 499500);
    sem_post(&worked);
    sem_wait(&unloaded);
    return unused;
}

static long pages(void)
{
    long all, resident;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm && fscanf(statm, "%ld %ld", &all, &resident) == 2);
    fclose(statm);
    return all;
}

int main(int count, char **arguments)
{
    CHECK(count >= 3);
    const char *file = arguments[1], *how = arguments[2];
    int number = count > 3 ? atoi(arguments[3]) : 0;
    sem_init(&worked, 0, 0);
    sem_init(&unloaded, 0, 0);
    if (strcmp(how, "thread") == 0) {
        void *plugin = load(file);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, worker, NULL) == 0);
        sem_wait(&worked);
        dlclose(plugin);
        sem_post(&unloaded);
        CHECK(pthread_join(thread, NULL) == 0);
    } else if (strcmp(how, "fork") == 0) {
        dlclose(load(file));
        pid_t child = fork();
        if (child == 0)
            exit(0);
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    } else if (strcmp(how, "again") == 0) {
        long before = 0;
        for (int round = 0; round < number; round++) {
            dlclose(load(file));
            if (round == 10)
                before = pages();
        }
        CHECK(pages() - before < 256);
    } else {
        for (int copy = 0; copy < number; copy++) {
            char name[4096];
            snprintf(name, sizeof name, "%s.%d", file, copy);
            load(name);
        }
    }
    puts("right");
    return 0;
}

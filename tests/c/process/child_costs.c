/*
 * A process with many blocks forks two children, one that ends by exit(3) and one that ends by
 * _exit(2), and prints how many more pages the first one had to get.
 */
#include "../check.h"

#include <sys/resource.h>
#include <sys/wait.h>

enum { BLOCKS = 1000000 };

static long faults_of(void (*end)(int))
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        end(0);
    int status;
    struct rusage usage;
    CHECK(wait4(child, &status, 0, &usage) == child && status == 0);
    return usage.ru_minflt;
}

int main(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        char *block = opaque(malloc(80));
        CHECK(block);
        block[0] = 1;
    }
    long by_exit = faults_of(exit), directly = faults_of(_exit);
    printf("%ld\n", by_exit - directly);
    fflush(stdout);
    _exit(0);
}
